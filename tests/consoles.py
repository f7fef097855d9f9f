"""Consoles for tests, as people start them or in this process; and HTTP down to the bytes."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from roost_core import Settings
from roost_core.plugins.registry import Plugins
from roost_plugins import console as console_plugin
from roost_plugins import fs_artifacts, redis_saq
from roost_plugins.console.serving.console import serving
from roost_plugins.console.settings import Bind
from tests.integration.cli_bench import LIMIT, Shell


@attrs.frozen
class Reply:
    """What a request got. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as a text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@attrs.define(eq=False)
class Site:
    """A console as a browser or a program reaches it.

    :ivar url: the address that signs in.
    :ivar jar: cookies by name: like a browser's, it does not tell ports apart.
    """

    url: str
    jar: dict[str, str] = attrs.field(factory=dict)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 80

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The token of the address."""
        return self.url.partition("token=")[2]

    @property
    def cookies(self) -> str:
        """What a browser sends."""
        return "; ".join(f"{name}={text}" for name, text in self.jar.items())

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Reply:
        """Send a request without any header but these; their names have ``_`` for ``-``."""
        sent = {name.replace("_", "-"): text for name, text in headers.items() if text is not None}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(line):
            line.request(method, path, body, sent)
            answer = line.getresponse()
            given = {name.lower(): text for name, text in answer.getheaders()}
            cookie = re.match(r"([^=]+)=([^;]*)", given.get("set-cookie", ""))
            if cookie is not None:
                self.jar[cookie[1]] = cookie[2]
            return Reply(answer.status, given, answer.read())

    def sign_in(self) -> Site:
        """Open the address, as a browser does; return this."""
        assert 303 == self.ask("GET", self.url[len(self.origin) :]).status
        return self

    def get(self, path: str, **headers: str | None) -> Reply:
        """Get a page as a browser that has the cookies."""
        return self.ask("GET", path, **{"Cookie": self.cookies, "Accept": "text/html", **headers})

    def post(self, path: str, body: bytes = b"", **headers: str | None) -> Reply:
        """Send a form as a page of the console does."""
        usual = {
            "Cookie": self.cookies,
            "Origin": self.origin,
            "Content_Type": "application/x-www-form-urlencoded",
        }
        return self.ask("POST", path, body, **{**usual, **headers})

    def raw(self, data: bytes) -> bytes:
        """Send bytes, and return all that comes until the connection is closed."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as line:
            line.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while part := line.recv(65536):
                    found += part
        return found


class Stream:
    """An open stream of ``/live``."""

    def __init__(self, site: Site, path: str = "/live", **headers: str) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", site.port, timeout=LIMIT)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        self._line.request(
            "GET", path, headers={"Cookie": site.cookies, "Accept": "text/event-stream", **sent}
        )
        answer = self._line.getresponse()
        self.status = answer.status
        self.headers = {name.lower(): text for name, text in answer.getheaders()}
        self._answer = answer
        self.last_id = ""

    def next(self, *kinds: str) -> tuple[str, Any]:
        """Return the next message, of one of these kinds if any are given."""
        while True:
            fields: dict[str, str] = {}
            while line := self._answer.readline():
                if line == b"\n":
                    break
                name, _, text = line.decode().rstrip("\n").partition(": ")
                fields[name] = text
            else:
                raise EOFError("the stream has ended")
            self.last_id = fields.get("id", self.last_id)
            if "event" in fields and (not kinds or fields["event"] in kinds):
                return fields["event"], json.loads(fields["data"])

    def until(self, wanted: Callable[[str, Any], bool]) -> Any:
        """Return the data of the first message that is wanted."""
        while True:
            kind, data = self.next()
            if wanted(kind, data):
                return data

    def ends(self) -> bool:
        """Read to the end; return whether it was one."""
        with contextlib.suppress(EOFError, http.client.HTTPException, ConnectionError):
            while True:
                self.next()
        return True

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._line.close()


@contextlib.contextmanager
def streams(site: Site, number: int) -> Iterator[list[Stream]]:
    """Open this many streams."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            one = Stream(site)
            stack.callback(one.close)
            found.append(one)
        yield found


def plugins_of(*more: object) -> Plugins:
    """Return the plugins that a console needs, and others."""
    found = Plugins.empty()
    found.register(redis_saq, "redis_saq")
    found.register(fs_artifacts, "fs_artifacts")
    found.register(console_plugin, "console")
    for one in more:
        found.register(one, getattr(one, "engine_id", type(one).__name__))
    return found


@contextlib.contextmanager
def console_here(settings: Settings, **own: Any) -> Iterator[Site]:
    """Serve a console in this process, on a free port.

    :param own: its settings, without their namespace.
    """
    given = {f"console_{name}": value for name, value in own.items()}
    with serving(settings.evolve(**given), plugins_of(), Bind("127.0.0.1", 0)) as console:
        port = console.place.port
        yield Site(f"http://127.0.0.1:{port}/?token={console.token}")


@attrs.define(eq=False)
class Running(Site):
    """A console that runs as people start it."""

    process: subprocess.Popen[str] | None = None
    said: list[str] = attrs.field(factory=list)
    _listener: threading.Thread | None = None

    def stop(self, *signals: int) -> int:
        """Send signals; return the exit code."""
        assert self.process is not None
        for number in signals or (signal.SIGTERM,):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            time.sleep(0.02)  # so that they do not become one
        code = self.process.wait(LIMIT)
        if self._listener is not None:
            self._listener.join(LIMIT)
        return code


@contextlib.contextmanager
def running(shell: Shell, *args: str, command: Sequence[str] = ("ui",)) -> Iterator[Running]:
    """Run ``roost ui``, on a free port unless ``args`` name one."""
    if "--port" not in args:
        args = (*args, "--port", "0")
    process = shell.start(*command, *args)
    found = Running("", process=process)
    assert process.stdout is not None
    assert process.stderr is not None

    def listen(stream: Any) -> None:
        found.said.extend(stream)

    listener = threading.Thread(target=listen, args=(process.stderr,), daemon=True)
    listener.start()
    found._listener = listener
    try:
        found.url = process.stdout.readline().strip()
        if not found.url:
            process.wait(LIMIT)
            listener.join(LIMIT)
            raise AssertionError(f"no console: {''.join(found.said)}")
        yield found
    finally:
        process.kill()
        process.wait()
        listener.join(LIMIT)
        process.stdout.close()
        process.stderr.close()
