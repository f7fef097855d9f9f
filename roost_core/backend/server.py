"""Where ledgers are: a connection, a clock, and the lanes of a worker."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Sequence

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Claim
from roost_core.backend.reports import Finding
from roost_core.backend.serving import ServePlan


class Server(abc.ABC):
    """A place that keeps the ledgers of queues.

    A method that raises :class:`~roost_core.errors.BackendUnavailable` can be repeated; one that
    raises another :class:`~roost_core.errors.BackendError` was refused for good.
    """

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, start a server if that is this backend's way, check its version.

        :raises BackendUnavailable: one line that says where it tried and what to do.
        :raises BackendError: the server refuses for good: its version, the login.
        """

    @property
    def is_started_here(self) -> bool:
        """Whether :meth:`open` starts the server, so that nobody has to wait for somebody else."""
        return False

    def nothing_here(self) -> str | None:
        """Return why there cannot be any work yet, in one line, or None. Blocks briefly.

        Asked before :meth:`open` by who only wants to read, and must not make a place for
        work. A backend whose ``open`` makes nothing does not need it.
        """
        return None

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back every connection. May be called twice."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the data is, for people; no password in it."""

    @abc.abstractmethod
    def ledger(self, queue: str) -> Ledger:
        """Return the ledger of a queue, the same one each time. It makes no call.

        A queue need not exist before: its first work item makes it.
        """

    @abc.abstractmethod
    async def now_ms(self) -> int:
        """Return the server's clock."""

    @abc.abstractmethod
    async def diagnose(self) -> Sequence[Finding]:
        """Look for what would lose data: version, persistence, eviction policy, clock."""

    def repair_log(self) -> Sequence[Finding]:
        """Cut off damage that keeps a server of Roost's own from starting; keep a copy.

        Called instead of, or before, :meth:`open`. It may block.

        :raises BackendError: it cannot be repaired; nothing was changed.
        """
        return [Finding("info", "log", "this server looks after its files itself")]

    @abc.abstractmethod
    async def serve(
        self,
        plan: ServePlan,
        handle: Callable[[Ledger, Claim], Awaitable[None]],
        on_dead_letters: Callable[[Ledger, Sequence[str]], Awaitable[None]],
        upkeep: Callable[[], Awaitable[None]],
    ) -> None:
        """Run a worker's lanes until ``plan.stopping`` is set and they are empty.

        Each claim goes to ``handle`` with its ledger, at most ``plan.concurrency`` at a time; a
        handle that is still running at the end of the drain is cancelled and
        must give its work back. ``upkeep`` is called about once a minute. A
        server that is away is waited for; only a bug ends the lanes early.

        :raises BackendError: the server would lose work, or refuses what lanes need.
        """
