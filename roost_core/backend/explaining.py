"""Why a work item does not run: a part of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.backend.control import Control
from roost_core.backend.reading import Reading

if TYPE_CHECKING:
    # Most commands do not ask: they do without.
    from roost_core.backend.facts import Facts


class Explaining(Reading, Control):
    """Tells why a work item does not run."""

    async def facts(self, work_id: str) -> Facts | None:
        """Return what decides when a work item runs, or None if no work item has this id.

        By default it is put together from what can be read one by one: without its place in line,
        what is in the way of its resources, and how fast work goes.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """
        from roost_core.backend.facts import facts_from

        work = await self.read(work_id)
        if work is None:
            return None
        return facts_from(work, await self.workers(), await self.halts())
