"""The console's one connection: it is kept trying for, and pages ask through it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from roost_core import Roost, SyncRoost
from roost_core.errors import BackendUnavailable, RoostError

_T = TypeVar("_T")
_log = logging.getLogger("roost.console")

#: Shortest and longest pause between two tries to connect. Seconds.
_PAUSES: Final = (0.1, 2.0)
#: How long the end waits for a try that is under way. Seconds.
_LAST_SECONDS: Final = 1.0


class Connection:
    """A connection to one queue, which may not be there yet.

    :param connect: makes a connection that is not open yet.
    """

    def __init__(self, connect: Callable[[], SyncRoost]) -> None:
        self._connect = connect
        self._roost: SyncRoost | None = None
        self._why = "connecting to the server"
        self._is_open = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> str | None:
        """Connect; if the server is away, keep trying in a thread of its own.

        :returns: why it is not connected yet, in one line, or None.
        :raises RoostError: trying again cannot help.
        """
        try:
            self._try()
        except BackendUnavailable as error:
            self._why = str(error)
            # It may hang in a try when the process ends.
            self._thread = threading.Thread(
                target=self._keep_trying, name="roost-console-connect", daemon=True
            )
            self._thread.start()
            return self._why
        return None

    def close(self) -> None:
        """End what is under way, and disconnect."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
        self._leave()

    @property
    def roost(self) -> SyncRoost:
        """The connection.

        :raises BackendUnavailable: there is none yet, or none any more; the text says why.
        """
        if self._roost is None:
            raise BackendUnavailable(self._why)
        return self._roost

    def wait(self, seconds: float) -> bool:
        """Wait until it is open for the first time, at most so long; return whether it is."""
        return self._is_open.wait(seconds)

    def ask(self, load: Callable[[Roost], Awaitable[_T]], timeout: float = 10.0) -> _T:
        """Run a coroutine function in the connection's loop, and return what it brings.

        :param timeout: seconds after which it is cancelled.
        :raises BackendUnavailable: there is no connection, or no answer in time.
        """

        async def bounded(roost: Roost) -> _T:
            limit = asyncio.timeout(timeout)
            try:
                async with limit:
                    return await load(roost)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise BackendUnavailable(f"no answer within {timeout:g} s") from error

        return self.roost.run(bounded)

    def _try(self) -> None:
        roost = self._connect()
        roost.__enter__()
        self._roost = roost
        self._is_open.set()
        if self._is_closed.is_set():
            self._leave()

    def _leave(self) -> None:
        roost, self._roost = self._roost, None
        if roost is not None:
            roost.__exit__(None, None, None)

    def _keep_trying(self) -> None:
        pause = _PAUSES[0]
        while not self._is_closed.wait(pause):
            try:
                self._try()
            except RoostError as error:
                # What cannot be mended by waiting may be mended by a person: a wrong password.
                self._why = str(error)
                pause = min(2 * pause, _PAUSES[1])
            else:
                _log.warning("the server is there")
                return
