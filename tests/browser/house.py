"""A server and a console that tests use one after the other: to start them takes seconds."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from types import TracebackType

import attrs
import redis

from tests.consoles import Running, running
from tests.integration.cli_bench import Shell
from tests.servers import Server, need, server_in, valkey_binary


@attrs.define(eq=False)
class House:
    """Each test gets an empty server, and a console that shows nothing of the tests before.

    What a test has killed is there again for the next one.

    :ivar root: the folder of servers, with a path that is short enough for their sockets.
    :ivar folder: where consoles are started.
    """

    root: Path
    folder: Path
    _server: Server | None = None
    _console: Running | None = None
    _of_server: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)
    _of_console: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    def __enter__(self) -> House:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._of_console.close()
        self._of_server.close()

    def server(self) -> Server:
        """Return a server that is empty."""
        if self._server is None or self._server.process.poll() is not None:
            # A console of the server before cannot show this one.
            self._console = None
            self._of_console.close()
            self._of_server.close()
            binary = need(valkey_binary(), "valkey-server")
            again = server_in(binary, self.root / secrets.token_hex(4), "--appendonly", "yes")
            self._server = self._of_server.enter_context(again)
        else:
            with redis.Redis.from_url(self._server.url) as client:
                client.flushall()
        return self._server

    def shell(self) -> Shell:
        """Return a command line on the server."""
        assert self._server is not None
        home = str(self.folder / "home")
        return Shell(self.folder, {"ROOST_REDIS_URL": self._server.url, "ROOST_HOME": home})

    def console(self) -> Running:
        """Return a console of the server. It keeps nothing of what it has read before."""
        if self._console is None:
            self._console = self._of_console.enter_context(running(self.shell()))
        else:
            # After whatever may change something, it reads anew what all its pages share.
            assert 404 == self._console.sign_in().post("/nothing/of-the-kind").status
        return self._console
