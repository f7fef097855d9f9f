"""How work is found and counted: by the index where that tells, else by looking at portions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import attrs

from roost_core.backend import Counted, Found, StoredWork
from roost_core.backend.finding import NO_CURSOR, GroupCounter, grouped, subject_of
from roost_core.backend.searching import LOOK
from roost_core.errors import InvalidInput
from roost_core.models import State
from roost_core.query import By, Query, matches
from roost_plugins.redis_saq.keys import PLACES
from roost_plugins.redis_saq.ledger import counting, sources
from roost_plugins.redis_saq.ledger.one_queue import Part
from roost_plugins.redis_saq.ledger.sources import ALL, Range, Source
from roost_plugins.redis_saq.ledger.walking import Walk
from roost_plugins.redis_saq.record.answers import text
from roost_plugins.redis_saq.record.standing import stored_work

#: How many groups are counted in one call, and at most.
_GROUPS: Final = 200
_MOST_GROUPS: Final = 10_000
#: How many groups of errors get an example.
_EXAMPLES: Final = 100
#: How many work items are read in one call.
_ROWS: Final = 100
#: What can be counted by without a look at more than the records, on the server.
_IN_RECORD: Final = (None, By("state"))
#: What begins the cursor of a page that was put in order, before how many are skipped.
_SORTED: Final = "sorted"


class _Sizes(NamedTuple):
    """How much there is, at one moment: all, of each state, and of each source."""

    total: int
    states: dict[State, int]
    parts: Sequence[int]
    has_all: bool
    has_dead: bool

    def has(self, source: Source) -> bool:
        """Return whether nothing is missing in a part of the index."""
        return self.has_dead if source.name.startswith("error") else self.has_all


class RedisFinding(Part):
    """Finds and counts the work of one queue."""

    async def find(
        self,
        query: Query,
        *,
        now_ms: int = 0,
        limit: int = 50,
        cursor: str | None = None,
        look: int = LOOK,
        reverse: bool = False,
    ) -> Found:
        """Return a page of what a query is true of."""
        states = sources.states_of(query)
        ordered = sources.in_states(states)
        narrow = sources.in_index(query, await self._engines_for(query))
        is_indexed, is_gathered, source = True, False, ordered
        if narrow or not ordered.is_ordered:
            sizes = await self._sizes(*narrow)
            usable = [one for one in narrow if sizes.has(one)]
            is_indexed = len(usable) == len(narrow)
            of = _of_sources(sizes, ordered, narrow)
            source, is_gathered = sources.chosen(ordered, of, usable, limit)
            narrow = usable
        begun, _, rest = (cursor or "").partition(" ")
        if begun == _SORTED and not (rest.isascii() and rest.isdecimal() and len(rest) < 10):
            raise InvalidInput(NO_CURSOR)
        if is_gathered and begun in ("", _SORTED):
            page = await self._gathered(query, source, now_ms, limit, int(rest or 0), reverse)
            return attrs.evolve(page, is_indexed=is_indexed)
        known = {one.name: one for one in (ordered, *narrow)}
        # Where the index has changed meanwhile, so that another source is used, it begins again.
        at = cursor if begun in known else None
        walk = Walk(self.queue, query, known.get(begun, source), now_ms, at, reverse=reverse)
        works = [stored async for stored, _ in walk.matches(limit, look)]
        if not walk.is_full:
            works = await self._in_full(query, works, now_ms)
        return Found(tuple(works), walk.cursor, walk.looked, is_indexed)

    async def count(
        self, query: Query, by: By | None = None, *, now_ms: int = 0, look: int = LOOK
    ) -> Counted:
        """Count what a query is true of; by the index if that tells."""
        engines = await self._engines_for(query)
        parts = counting.parts(query, by, engines)
        narrow = sources.in_index(query, engines)
        wholes = [Source("error" if one[0][1] in "fr" else "part", (one,)) for one in parts or ()]
        sizes = await self._sizes(*narrow, *wholes)
        if by in (None, By("state")) and not any(term.key != "state" for term in query.terms):
            return _by_state(sizes, sources.states_of(query), by)
        is_indexed = all(sizes.has(one) for one in (*narrow, *wholes))
        if parts is not None and is_indexed:
            if by is None:
                return Counted(sum(sizes.parts[len(sizes.parts) - len(parts) :]))
            return await self._counted_in_groups(query, by, parts, sizes)
        ordered = sources.in_states(sources.states_of(query))
        of = _of_sources(sizes, ordered, narrow)
        usable = [ordered, *(one for one in narrow if sizes.has(one))]
        by_script = {
            one.name for one in usable if by in _IN_RECORD and sources.is_tallied(query, one)
        }
        source = min(usable, key=lambda one: (of[one.name], one.name not in by_script))
        walk = Walk(self.queue, query, source, now_ms)
        if source.name in by_script:
            states = await walk.tally(look)
            groups = grouped(states) if by else ()
            is_exact = walk.cursor is None
            return Counted(states.total(), groups, walk.looked, is_exact, is_indexed)
        counter = GroupCounter(by)
        async for stored, subject in walk.matches(look + 1, look):
            counter.add(subject, stored.error)
        is_exact = walk.cursor is None
        return counter.counted(looked=walk.looked, is_exact=is_exact, is_indexed=is_indexed)

    # -- what the index tells --------------------------------------------------------------

    async def _sizes(self, *narrow: Source) -> _Sizes:
        ranges = [one for source in narrow for one in source.ranges]
        ends = [end.encode("latin-1") for one in ranges for end in one]
        total, engines, dead, states, parts = await self._call("sizes", *ends)
        by_state = dict(zip(PLACES, states, strict=True))
        has_dead = dead == by_state[State.FAILED]
        return _Sizes(total, by_state, parts, engines == total, has_dead)

    async def _engines_for(self, query: Query) -> Sequence[str] | None:
        """Return all engines, if a query needs them: its ids are looked for in each."""
        if not query.of("id"):
            return None
        named = sources.exact_values(query, "engine")
        if named is not None:
            return named
        counts, _, is_all = await self._groups(ALL)
        return [counting.name_of(group) for group in counts] if is_all else None

    async def _groups(self, part: Range) -> tuple[dict[str, int], dict[str, bytes], bool]:
        """Return the groups of a part of the index, one id of each, and whether these are all."""
        counts: dict[str, int] = {}
        firsts: dict[str, bytes] = {}
        begin, end = (one.encode("latin-1") for one in part)
        while begin and len(counts) < _MOST_GROUPS:
            begin, found = await self._call("groups", begin, end, _GROUPS)
            for group, count, first in zip(found[::3], found[1::3], found[2::3], strict=True):
                counts[text(group)] = count
                firsts[text(group)] = first
        return counts, firsts, not begin

    async def _counted_in_groups(
        self, query: Query, by: By, parts: Sequence[Range], sizes: _Sizes
    ) -> Counted:
        counts: Counter[str | None] = Counter()
        firsts: dict[str | None, bytes] = {}
        is_exact = True
        for part in parts:
            found, ids, is_all = await self._groups(part)
            is_exact = is_exact and is_all
            for group, number in found.items():
                counts[counting.name_of(group)] += number
                firsts.setdefault(counting.name_of(group), ids[group])
        if is_exact and by.what in ("label", "error") and not query.uses(by.what):
            states = sources.states_of(query)
            counts[None] = max(0, sum(sizes.states[one] for one in states) - counts.total())
        errors = await self._examples(counts, firsts) if by.what == "error" else {}
        groups = grouped(counts, errors)
        return Counted(sum(one.count for one in groups), groups, 0, is_exact)

    async def _examples(
        self, counts: Counter[str | None], firsts: dict[str | None, bytes]
    ) -> dict[str | None, bytes]:
        names = [name for name, _ in counts.most_common() if name in firsts][:_EXAMPLES]
        if not names:
            return {}
        fields = [firsts[name] + b" error" for name in names]
        found = await self.queue.plain("HMGET", self.queue.keys.key("work"), *fields)
        return {name: raw for name, raw in zip(names, found, strict=True) if raw is not None}

    # -- what has to be looked at ----------------------------------------------------------

    async def _gathered(
        self, query: Query, source: Source, now_ms: int, limit: int, skip: int, reverse: bool
    ) -> Found:
        """Read all of a small source, and return a page in order."""
        walk = Walk(self.queue, query, source, now_ms)
        found = [stored async for stored, _ in walk.matches(LOOK, LOOK)]
        found = sources.in_order(found, sources.states_of(query))
        if reverse:
            found.reverse()
        works, behind = found[skip : skip + limit], skip + limit
        if not walk.is_full:
            works = await self._in_full(query, works, now_ms)
        cursor = f"{_SORTED} {behind}" if behind < len(found) else None
        return Found(tuple(works), cursor, walk.looked)

    async def _in_full(
        self, query: Query, works: Sequence[StoredWork], now_ms: int
    ) -> list[StoredWork]:
        """Read work items again, with all of their bytes; what has changed since is left out."""
        rows: list[Any] = []
        for first in range(0, len(works), _ROWS):
            rows += await self._call("rows", *(one.work_id for one in works[first : first + _ROWS]))
        found = map(stored_work, rows)
        return [one for one in found if matches(query, subject_of(one), now_ms)]


def _of_sources(sizes: _Sizes, ordered: Source, narrow: Sequence[Source]) -> dict[str, int]:
    found = {"created": sizes.total}
    if ordered.name == "states":
        found["states"] = sum(
            size for state, size in sizes.states.items() if PLACES[state] in ordered.places
        )
    first = 0
    for one in narrow:
        found[one.name] = sum(sizes.parts[first : first + len(one.ranges)])
        first += len(one.ranges)
    return found


def _by_state(sizes: _Sizes, states: frozenset[State], by: By | None) -> Counted:
    counts: dict[str | None, int] = {str(one): sizes.states[one] for one in states}
    is_all = len(states) == len(State)
    total = sizes.total if is_all and by is None else sum(counts.values())
    return Counted(total, grouped(counts) if by else ())
