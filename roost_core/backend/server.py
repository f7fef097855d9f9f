"""Where ledgers are kept: a connection, a clock, and the lanes of a worker."""

from __future__ import annotations

import abc
import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import Finding

if TYPE_CHECKING:
    # Only workers have these.
    from roost_core.backend.messages import Claim
    from roost_core.backend.serving import ServePlan


class Reach(enum.IntEnum):
    """How far apart those may be who share something."""

    PROCESS = 1  #: they are in one process
    MACHINE = 2  #: they are on one machine
    NETWORK = 3  #: they may be anywhere


class Server(abc.ABC):
    """Keeps the ledgers of queues.

    A method that raises :class:`~roost_core.errors.BackendUnavailable` can be repeated; any other
    :class:`~roost_core.errors.BackendError` is a permanent refusal.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, starting a server first if this backend does that, and check its version.

        :raises BackendUnavailable: one line that says where it tried and what to do.
        :raises BackendError: it cannot work: the server's version, or a refused login.
        """

    @property
    def reach(self) -> Reach:
        """How far apart its workers may be, as far as it knows."""
        return Reach.NETWORK

    @property
    def is_started_here(self) -> bool:
        """Whether :meth:`open` starts the server, so that there is no one else to wait for."""
        return False

    def nothing_here(self) -> str | None:
        """Return why there cannot be any work yet, in one line, or None. Blocks briefly.

        Called before :meth:`open` by those that only want to read, and must not create a place
        for work. A backend whose ``open`` creates nothing does not need it.
        """
        return None

    @abc.abstractmethod
    async def close(self) -> None:
        """Release every connection. May be called twice."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the data is, for people; no password in it."""

    @abc.abstractmethod
    def ledger(self, queue: str) -> Ledger:
        """Return the ledger of a queue, the same one each time, without calling the server.

        The queue need not exist yet: its first work item creates it.
        """

    @abc.abstractmethod
    async def now_ms(self) -> int:
        """Return the server's clock.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """

    @abc.abstractmethod
    async def diagnose(self) -> Sequence[Finding]:
        """Check for what would lose data: version, persistence, eviction policy, clock.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """

    def repair_log(self) -> Sequence[Finding]:
        """Cut off damage that keeps Roost's own server from starting; keep a copy.

        Called instead of, or before, :meth:`open`. It may block.

        :raises BackendError: it cannot be repaired; nothing was changed.
        """
        return [Finding("info", "log", "this server takes care of its own files")]

    @abc.abstractmethod
    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Ledger, Claim], Awaitable[None]],
        on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes until ``plan.stopping`` is set and they are empty.

        Each claim is passed to ``handle`` with its ledger, at most ``plan.concurrency`` at a time;
        a ``handle`` still running at the end of the drain is cancelled, and must give its work
        back. ``upkeep`` is called about once a minute. The lanes wait for a server that is away;
        only a bug ends them early.

        :raises BackendError: the server would lose work, or refuses what lanes need.
        """
