"""Versions of work as pages read them: in one round trip, and then at leisure.

What is made of a history can take as long as its bytes are many, so it is made in the thread of the
request, and not in the loop of the connection that all requests share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from roost_core import Roost
from roost_core.backend import StoredFork, StoredHistory
from roost_core.errors import CorruptRecord, WorkNotFound
from roost_core.large_values import Texts
from roost_core.models import Fork, ForkedFrom
from roost_core.shown import views
from roost_plugins.console.here import Here


def history_of(here: Here, work_id: str) -> StoredHistory:
    """Read what is kept of a work item's versions.

    :raises InvalidInput: that cannot be an id.
    :raises WorkNotFound: there is no such work item.
    :raises WrittenByNewer: a newer Roost wrote it.
    :raises CorruptRecord: how it stands does not decode, so its versions cannot be told.
    :raises BackendUnavailable: no answer.
    """

    async def stored(roost: Roost) -> StoredHistory:
        found = await roost.ledger.history(roost.work(work_id).id)
        if found is None:
            raise WorkNotFound(f"no work item {work_id!r} in the queue {roost.ledger.queue!r}")
        return found

    found = here.ask(stored)
    if found.work.newer_layout is not None:
        views.item(found.work)  # It says which, and who can.
    if not found.work.version and found.base is not None:
        raise CorruptRecord(f"{work_id}: the stored record does not decode")
    return found


def texts_of(here: Here) -> Texts:
    """Return what reads those texts of versions that the artifact store keeps. It may block."""

    async def texts(roost: Roost) -> Texts:
        return roost.texts

    return here.ask(texts)


def gone(here: Here, *named: ForkedFrom | Fork | StoredFork | None) -> Collection[str]:
    """Return the ids of an origin and of forks that no work has any more."""
    wanted = list(dict.fromkeys(one.work_id for one in named if one is not None))

    async def look(roost: Roost) -> Collection[str]:
        found = await asyncio.gather(*(roost.ledger.facts(one) for one in wanted))
        return {work_id for work_id, one in zip(wanted, found, strict=True) if one is None}

    return here.ask(look) if wanted else ()
