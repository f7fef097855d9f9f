"""Why a work item does not run, and how a whole queue stands: a part of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.backend.control import Control
from roost_core.backend.reading import Reading

if TYPE_CHECKING:
    # Most commands do not ask: they do without.
    from roost_core.backend.facts import Facts
    from roost_core.backend.survey import Survey


class Explaining(Reading, Control):
    """Tells why a work item does not run, and how a whole queue stands."""

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

    async def survey(self) -> Survey:
        """Return what is known of the whole queue, a bounded part of it, in a few round trips.

        By default it is put together from lists: without what decides when work runs and how fast
        it goes, and of dead letters and of ready work only as much as a page has.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refuses.
        """
        from roost_core.backend.surveying import survey_by_lists

        return await survey_by_lists(self, await self.halts())
