"""What a worker does about once a minute: purge what is over its retention."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import Purged
from roost_core.errors import BackendError
from roost_core.settings import Settings
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces

_log = logging.getLogger("roost.worker")

#: How many terminal work items one call of the purge removes: few, so that it holds nobody up.
PURGE_AT_ONCE: Final = 100


class Upkeep:
    """Purges the work of some ledgers, with its artifacts and workspaces."""

    def __init__(
        self,
        settings: Settings,
        stores: Mapping[Ledger, ArtifactStore],
        workspaces: Mapping[Ledger, Workspaces],
        is_stopping: Callable[[], bool],
    ) -> None:
        """Take the artifacts and workspaces of each ledger to look after."""
        self._settings = settings
        self._stores = stores
        self._workspaces = workspaces
        self._is_stopping = is_stopping

    async def run(self) -> None:
        """Purge all that is due now; a ledger that does not answer is tried again next time."""
        for ledger in self._workspaces:
            try:
                await self._purge_all(ledger)
            except BackendError as error:
                _log.warning("cannot purge old work, trying again later: %s", error)

    async def _purge_all(self, ledger: Ledger) -> None:
        seen: set[Purged] = set()
        forgotten: list[Purged] = []
        while not self._is_stopping():
            gone = await self._purge(ledger, PURGE_AT_ONCE, forgotten)
            forgotten = []
            fresh = [one for one in gone if one not in seen]
            for one in fresh:
                if await run_in_thread(self._forget, ledger, one):
                    forgotten.append(one)
            seen.update(fresh)
            if len(gone) < PURGE_AT_ONCE or not fresh:
                break
        if forgotten:
            await self._purge(ledger, 0, forgotten)

    async def _purge(
        self, ledger: Ledger, limit: int, forgotten: Sequence[Purged]
    ) -> Sequence[Purged]:
        letters = self._settings.dead_letter_retention
        return await ledger.purge(
            round(self._settings.retention * 1000),
            None if letters is None else round(letters * 1000),
            limit,
            forgotten,
        )

    def _forget(self, ledger: Ledger, gone: Purged) -> bool:
        """Return whether nothing is left of it; else it stays on record, and is tried again."""
        errors = forget(self._stores[ledger], self._workspaces[ledger], gone)
        for error in errors:
            text = "%s is purged, but something of it is left, trying again later: %s"
            _log.warning(text, gone.work_id, error)
        return not errors


def forget(store: ArtifactStore, workspaces: Workspaces, gone: Purged) -> list[Exception]:
    """Remove what a purged work item had outside of the queue. Blocks.

    :returns: why something of it is left; empty if nothing is.
    """
    errors: list[Exception] = []
    values = store.values
    for one in (
        store.forget,
        *(() if values is None else (values.forget,)),
        workspaces.remove,
    ):
        try:
            one(gone.work_id, gone.life)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, the rest goes
            errors.append(error)
    return errors
