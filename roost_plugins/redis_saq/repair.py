"""``roost doctor --repair``: what is derived from the records is repaired from them.

The records in ``work`` are the truth. A walk over them, and then one over each index, checks some
members in each script call; a script repairs what it checks, so that a worker never sees a
half-repaired state. What workers do meanwhile is unaffected. Records of a newer layout, and what
points to them, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from roost_core.backend import Repaired
from roost_core.codec.records import decode_item
from roost_core.codec.strict_json import digest
from roost_core.errors import CodecError, CorruptRecord
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.connection.refusals import translated
from roost_plugins.redis_saq.keys import PLACES, TYPES
from roost_plugins.redis_saq.ledger.one_queue import OneQueue
from roost_plugins.redis_saq.record.answers import text

#: About how many members one call checks: a few milliseconds of the server's time.
_STEP: Final = 200
#: How many examples are kept of each kind of finding.
_EXAMPLES: Final = 3
#: The stream's clock is broken if its newest entry is this far ahead of the server's. Milliseconds.
_AHEAD: Final = 86_400_000
_INDEXES: Final = (*PLACES.values(), "created", "newer", "lines", "index")
#: Descriptions of findings, with ``{}`` for the place.
_WORDS: Final = {
    "missing": "work that belongs there was missing in {}",
    "surplus": "members of {} belonged elsewhere",
    "gone": "members of {} had nothing behind them",
    "score": "scores in {} were out of bounds",
    "stale": "resources in {} had a holder that does not run",
    "stray": "idempotency keys in {} pointed to nothing, or to other work",
    "past": "versions or answers in {} belonged to work, or a life of it, that is gone",
    "counter": "{} was not a number, or lower than the stored work requires",
    "type": "{} held a value of another type, or one that is used up: it was renamed to {}",
}
#: What only a person can fix.
_LEFT: Final = {
    "unreadable": "records do not decode: dead letters, with their bytes as they are",
    "orphan": "work items have bytes, but no record",
    "twice": "work items claim in {} what other work has too",
    "newer type": "{} is of another type, perhaps by a newer Roost that uses this queue",
    "no digest": "idempotency keys in {} cannot be made again: the work item does not decode",
}


class Repair:
    """One run over one queue."""

    def __init__(
        self,
        queue: OneQueue,
        lease_ttl_ms: int,
        *,
        dry_run: bool,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._queue = queue
        self._client = queue.client
        self._keys = queue.keys
        self._scripts = queue.scripts
        self._lease_ttl_ms = lease_ttl_ms
        self._dry = int(dry_run)
        self._progress = progress
        self._found: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}
        #: Keys that are still of the wrong type: they cannot be read.
        self._unusable: set[str] = set()

    async def run(self) -> Sequence[Repaired]:
        """Check everything once; return the findings, in the order of the keys."""
        with translated(self._queue.endpoint.description):
            await self._types()
            if not self._unusable:
                greatest = await self._work()
                for index in _INDEXES:
                    await self._index(index)
                await self._walk("repair_held")
                await self._walk("repair_keys")
                self._note(await self._call("repair_rest", greatest))
        return [self._said(what, where) for what, where in sorted(self._found)]

    async def _call(self, name: str, *args: Any, script: scripts.Script | None = None) -> Any:
        return await self._queue.call(script or self._scripts[name], self._dry, *args)

    # -- keys of another type --------------------------------------------------------------

    async def _types(self) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for name in TYPES:
            pipeline.type(self._keys.key(name))
        kinds = [kind.decode() for kind in await pipeline.execute()]
        wrong = {
            name: kind
            for (name, right), kind in zip(TYPES.items(), kinds, strict=True)
            if kind not in (right, "none")
        }
        # A newer Roost may keep something else there.
        has_newer = "newer" not in wrong and await self._client.zcard(self._keys.key("newer"))
        if "events" not in wrong and await self._is_used_up():
            await self._set_aside("events")
        for name in wrong:
            if has_newer:
                self._add("newer type", name, wrong[name])
                self._unusable.add(name)
            else:
                await self._set_aside(name)

    async def _is_used_up(self) -> bool:
        """Return whether the stream's next entry would have an id far ahead of its time."""
        key = self._keys.key("events")
        if not await self._client.exists(key):
            return False
        newest = (await self._client.xinfo_stream(key))["last-generated-id"]
        return int(newest.split(b"-")[0]) > await self._queue.now_ms() + _AHEAD

    async def _set_aside(self, name: str) -> None:
        full = self._keys.key(name)
        aside = f"{full}:damaged:{await self._queue.now_ms()}"
        self._add("type", name, aside)
        if self._dry:
            if name != "events":
                self._unusable.add(name)
            return
        await self._client.renamenx(full, aside)

    # -- the walks -------------------------------------------------------------------------

    async def _work(self) -> int:
        """Walk through the records; return the greatest order of arrival."""
        cursor, looked, greatest = b"0", 0, 0
        while True:
            cursor, found, number, largest, keyless = await self._call(
                "repair_work", self._lease_ttl_ms, cursor, _STEP
            )
            looked += number
            greatest = max(greatest, int(largest))
            self._note(found)
            await self._restore_keys(list(zip(keyless[::2], keyless[1::2], strict=True)))
            if self._progress is not None:
                self._progress(looked)
            if cursor == b"0":
                return greatest

    async def _index(self, name: str) -> None:
        script = scripts.with_place(self._scripts["repair_index"], self._keys, name)
        cursor = b"0"
        while True:
            cursor, found = await self._call(
                "", self._lease_ttl_ms, cursor, _STEP, name, script=script
            )
            self._note(found)
            if cursor == b"0":
                return

    async def _walk(self, name: str) -> None:
        cursor = b"0"
        while True:
            cursor, found = await self._call(name, cursor, _STEP)
            self._note(found)
            if cursor == b"0":
                return

    async def _restore_keys(self, missing: Sequence[tuple[bytes, bytes]]) -> None:
        """Restore idempotency keys from the work items."""
        args: list[bytes | str] = []
        for work_id, key in missing:
            raw = await self._client.hget(self._keys.key("work"), work_id + b" item")
            try:
                item = decode_item(raw or b"")
                args += (work_id, key, digest(item.engine, item.payload))
            except (CorruptRecord, CodecError):
                self._add("no digest", "key", text(work_id))
        if args:
            _, found = await self._call("repair_keys", "", 0, *args)
            self._note(found)

    # -- what was found --------------------------------------------------------------------

    def _note(self, found: Sequence[Sequence[bytes]]) -> None:
        for what, where, example in found:
            self._add(what.decode(), where.decode(), text(example))

    def _add(self, what: str, where: str, example: str) -> None:
        kind = (what, where)
        self._found[kind] = self._found.get(kind, 0) + 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES and example not in examples:
            examples.append(example)

    def _said(self, what: str, where: str) -> Repaired:
        examples = tuple(self._examples[what, where])
        if what in _LEFT:
            outcome, words = "left", _LEFT[what].format(where)
        else:
            outcome = "found" if self._dry else "mended"
            words = _WORDS[what].format(where, *examples)
        return Repaired(outcome, where, words, self._found[what, where], examples)
