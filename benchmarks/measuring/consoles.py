"""A console as people start it, and a browser that only waits: pages, and streams of news."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from benchmarks.measuring.bench import Bench
from benchmarks.measuring.machine import memory_of
from benchmarks.measuring.processes import Processes

#: Only a console that hangs takes this long. Seconds.
_PATIENCE: Final = 60.0


@attrs.frozen
class Page:
    """One answer: how long it took in seconds, and its size in bytes."""

    seconds: float
    size: int


@attrs.frozen(eq=False)
class Console:
    """A running console, signed in, over one connection that stays open."""

    pid: int
    origin: str
    port: int
    cookie: str
    _line: http.client.HTTPConnection

    @property
    def memory(self) -> float:
        """The resident memory of the process, in bytes."""
        return memory_of(self.pid).now

    def page(self, path: str) -> Page:
        """Read a page as a browser does that has just done something: nothing old is shown.

        :raises RuntimeError: there is no such page.
        """
        # Whatever may have changed something makes the console read anew what its pages share.
        self._ask("POST", "/nothing/of-the-kind", 404)
        began = time.perf_counter()
        body = self._ask("GET", path)
        return Page(time.perf_counter() - began, len(body))

    def again(self, path: str) -> Page:
        """Read a page as another tab does at the same time."""
        began = time.perf_counter()
        body = self._ask("GET", path)
        return Page(time.perf_counter() - began, len(body))

    def _ask(self, method: str, path: str, status: int = 200) -> bytes:
        headers = {"Cookie": self.cookie, "Accept": "text/html"}
        if method == "POST":
            headers["Origin"] = self.origin
        self._line.request(method, path, headers=headers)
        answer = self._line.getresponse()
        body = answer.read()
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return body

    @contextmanager
    def stream(self) -> Iterator[Stream]:
        """Open a stream, and wait until it listens."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            line.request(
                "GET", "/live", headers={"Cookie": self.cookie, "Accept": "text/event-stream"}
            )
            answer = line.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"a stream was refused: {answer.status}")
            found = Stream(answer)
            found.next("pulse")
            yield found
            answer.close()
        finally:
            line.close()


class Stream:
    """An open stream of news."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def next(self, kind: str) -> Any:
        """Return the data of the next message of a kind."""
        event = ""
        while line := self._answer.readline():
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = text
            elif name == "data" and event == kind:
                return json.loads(text)
        raise RuntimeError("the stream has ended")


@contextmanager
def console(bench: Bench, **own: str) -> Iterator[Console]:
    """Start a console on a server; it is gone afterwards.

    :param own: its settings, without their namespace.
    """
    processes = Processes(bench.folder, bench.server.url)
    with processes.console(**own) as (process, url):
        parts = urlsplit(url)
        assert parts.port is not None
        line = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=_PATIENCE)
        try:
            line.request("GET", f"{parts.path}?{parts.query}")
            answer = line.getresponse()
            answer.read()
            cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            origin = f"{parts.scheme}://{parts.netloc}"
            yield Console(process.pid, origin, parts.port, cookie, line)
        finally:
            line.close()
