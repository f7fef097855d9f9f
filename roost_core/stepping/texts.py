"""Large texts of snapshots in a worker: stored before the commit that names them, and tidied up.

A lease stores a text in the name of its work item and its own. When the work item goes, so do its
texts; those that no version names any more go earlier.

**Why no text goes that is needed.** A lease drops only what it, or a lease before it, has stored,
and what no version names that was kept when it looked. A later version names a text because the one
before it does, or an earlier one that is put back and so was kept as well, or because it brings it:
then its own lease has stored the text in its own name, which no earlier lease takes back, however
late it is. So it may look after its end as well. And it drops a text only if it had found it
unneeded some time before: a server may lose its last second, and be at a version before that again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, TypeVar, TypeVarTuple

import attrs

from roost_core.backend.history import StoredHistory
from roost_core.backend.ledger import Ledger
from roost_core.backend.reports import StoredWork
from roost_core.codec.moved import Stored, has_values, value_ids
from roost_core.errors import ArtifactError, BackendError, RoostError
from roost_core.large_values import Texts, fence_of, put
from roost_core.models.worker import Lease
from roost_core.retry import name_of, text_of
from roost_core.threads import run_in_thread

_log = logging.getLogger("roost.artifacts")

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

#: A store that does not answer for this long is given up for now. Seconds.
_SILENCE: Final = 20.0
#: No more calls are made while this many that were given up have not come back.
_MOST_HUNG: Final = 4
#: What no version names any more is looked for once in about this many texts that were stored, or
#: bytes of them.
_TIDY_EVERY: Final = 64
_TIDY_BYTES: Final = 64 << 20
#: A text is dropped once it was found unneeded this long ago. Seconds. A server that syncs to disk
#: every second, or hands over to a replica, loses far less; it also leaves time to copy the folder
#: after the server's data.
_GRACE: Final = 600.0
#: Of this many work items it is remembered which texts were found unneeded.
_MOST_WORKS: Final = 1000


@attrs.frozen
class _Unneeded:
    """What was found unneeded: for which lease, and since when, by id and name."""

    lease: Lease
    since: dict[tuple[str, str | None], float]


class LargeTexts:
    """What a worker does with the large texts of one queue.

    :ivar least: how many bytes a text has that is moved; 0 for none.
    """

    def __init__(
        self,
        texts: Texts,
        least: int = 0,
        *,
        dice: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without having looked at anything.

        :param dice: numbers from 0 to 1, for what is done now and then.
        :param clock: seconds.
        """
        self.least = least
        self._texts = texts
        self._dice = dice
        self._clock = clock
        self._lock = threading.Lock()
        self._hung = 0
        #: By work item and life.
        self._unneeded: OrderedDict[tuple[str, int], _Unneeded] = OrderedDict()

    async def fetch(self, raw: bytes, work_id: str) -> Stored:
        """Return a snapshot with the texts that were moved out of it.

        :raises CorruptRecord: one is lost or damaged.
        :raises ArtifactError: they cannot be read now.
        """
        if not has_values(raw):
            return Stored(raw)
        return await self._call(self._texts.fetch, raw, work_id)

    async def whole_work(self, work: StoredWork) -> StoredWork:
        """Return a work item with the texts of its snapshot, or what says that they are lost.

        :raises ArtifactError: the store does not answer.
        """
        if work.snapshot is None or not has_values(work.snapshot):
            return work
        return await self._call(self._texts.whole_work, work)

    async def put(self, texts: Mapping[str, bytes], lease: Lease, life: int) -> None:
        """Store texts that the next version brings.

        :param texts: by their ids.
        :raises ArtifactError: they are not durable, or not in time.
        """
        values = self._texts.values
        await self._call(put, texts, values, lease.work_id, life, lease.fence)

    def is_tidy_due(self, texts: Mapping[str, bytes]) -> bool:
        """Whether to look for what no version names any more, after these were stored."""
        chance = max(len(texts) / _TIDY_EVERY, sum(map(len, texts.values())) / _TIDY_BYTES)
        return bool(texts) and self._dice() < chance

    async def tidy(self, history: StoredHistory, lease: Lease, life: int) -> None:
        """Drop what no version names any more that the lease, or one before it, has stored.

        :param history: read after the lease's newest commit.
        """
        try:
            await self._call(self._tidy, history, lease, life)
        except RoostError as error:
            _log.warning("%s: cannot drop large texts: %s", lease.work_id, error)

    async def look_again(self, ledger: Ledger) -> None:
        """Look once more at what was found unneeded a while ago; a worker does so each minute."""
        now = self._clock()
        with self._lock:
            due = [
                (key, found.lease)
                for key, found in self._unneeded.items()
                if now - min(found.since.values()) >= _GRACE
            ]
        for key, lease in due:
            work_id, life = key
            try:
                history = await ledger.history(work_id)
            except BackendError as error:
                _log.debug("cannot look at %s: %s", work_id, error)
                return
            if history is not None and history.work.created_ms == life:
                await self.tidy(history, lease, life)
            else:
                # Its texts went with it.
                with self._lock:
                    self._unneeded.pop(key, None)

    def _tidy(self, history: StoredHistory, lease: Lease, life: int) -> None:
        named: set[str] = set()
        for _, text in history.texts():
            if text is None:
                return  # It may be mended, and would need its texts.
            named |= value_ids(text)
        if any(later.version - one.version > 1 for later, one in pairwise(history.commits)):
            return  # So may what is missing in between.
        key, now = (lease.work_id, life), self._clock()
        with self._lock:
            known = self._unneeded.pop(key, None)
        before = {} if known is None else known.since
        since: dict[tuple[str, str | None], float] = {}
        for one in self._texts.values.of_work(lease.work_id):
            fence = fence_of(one)
            if fence is None or fence > lease.fence or one.artifact_id in named:
                continue
            mark = one.artifact_id, one.name
            since[mark] = before.get(mark, now)
            if now - since[mark] >= _GRACE:
                try:
                    self._texts.values.drop(one, work_id=lease.work_id, life=life)
                    del since[mark]
                except ArtifactError as error:
                    # Somebody may be storing the same one. The next look tries again.
                    _log.debug("%s: %s", lease.work_id, error)
        with self._lock:
            if since:
                self._unneeded[key] = _Unneeded(lease, since)
            if len(self._unneeded) > _MOST_WORKS:
                self._unneeded.popitem(last=False)

    async def _call(self, function: Callable[[*_Args], _T], *args: *_Args) -> _T:
        """Call a function of the store in a thread, and give it up if it takes too long.

        :raises ArtifactError: it has failed, whatever it raised, or did not come back in time.
        """
        with self._lock:
            if self._hung >= _MOST_HUNG:
                raise ArtifactError("the store of large texts has not answered for a while")
        is_over = is_given_up = False

        def called() -> _T:
            nonlocal is_over
            try:
                return function(*args)
            except RoostError:
                raise
            except Exception as error:
                raise ArtifactError(f"{name_of(error)}: {text_of(error)}") from error
            finally:
                with self._lock:
                    is_over = True
                    self._hung -= is_given_up

        try:
            async with asyncio.timeout(_SILENCE):
                return await run_in_thread(called)
        except TimeoutError:
            with self._lock:
                is_given_up = not is_over
                self._hung += is_given_up
            raise ArtifactError(
                f"the store of large texts has not answered for {_SILENCE:.0f} s"
            ) from None
