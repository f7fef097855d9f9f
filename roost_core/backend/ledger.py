"""The complete record of one queue."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

from roost_core.backend.control import Control
from roost_core.backend.explaining import Explaining
from roost_core.backend.renewal import Renewal
from roost_core.backend.reports import Finding, Repaired
from roost_core.backend.searching import Searching
from roost_core.backend.transitions import Transitions
from roost_core.errors import BackendError


class Ledger(Transitions, Explaining, Searching, Renewal, Control):
    """The durable record of one queue. Get it from :meth:`Server.ledger`.

    Every method is atomic, and durable when it returns. A method that raises
    :class:`~roost_core.errors.BackendUnavailable` may or may not have taken effect, and can be
    repeated safely with the same ids.
    """

    @property
    @abc.abstractmethod
    def queue(self) -> str:
        """The name of the queue."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the data is, for people; no password in it."""

    async def diagnose(self) -> Sequence[Finding]:
        """Check for what is wrong with this queue alone; the server has its own findings.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """
        return []

    async def repair(
        self, *, dry_run: bool, progress: Callable[[int], None] | None = None
    ) -> Sequence[Repaired]:
        """Repair, from the records of the work, whatever is derived from them.

        It works in small steps and is safe while workers run. A backend in which nothing can
        disagree need not offer it.

        :param dry_run: only report what would be done.
        :param progress: called occasionally with how many work items were checked so far.
        :raises BackendUnavailable: no answer; what was repaired so far stays so.
        :raises BackendError: this backend does not offer it, or the server refuses.
        """
        del dry_run, progress
        raise BackendError(f"there is no repair for this backend: {self.description}")
