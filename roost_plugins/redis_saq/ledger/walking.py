"""A walk through all that a query may be true of, some hundred work items in each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from roost_core.backend import StoredWork
from roost_core.backend.finding import MAX_OFFSET_DIGITS, NO_CURSOR, subject_of
from roost_core.errors import InvalidInput
from roost_core.models import State
from roost_core.query import Query, Subject, matches
from roost_plugins.redis_saq.keys import PLACES
from roost_plugins.redis_saq.ledger import sources
from roost_plugins.redis_saq.ledger.one_queue import OneQueue
from roost_plugins.redis_saq.ledger.sources import Range, Source
from roost_plugins.redis_saq.record.standing import stored_work
from roost_plugins.redis_saq.scripts import with_place

#: How many are looked at in one call: some milliseconds of the server's time.
PORTION: Final = 500
_FORWARD: Final = frozenset(place for state, place in PLACES.items() if state in sources.FORWARD)


class Walk:
    """Goes through a source; ``cursor`` says where it stands, and is None at its end.

    :param reverse: the other way round, through sets that are in the order of a list.
    :param cursor: where an earlier walk through the same source has stopped.
    """

    def __init__(
        self,
        queue: OneQueue,
        query: Query,
        source: Source,
        now_ms: int,
        cursor: str | None = None,
        *,
        reverse: bool = False,
    ) -> None:
        self._queue = queue
        self._query = query
        self._is_reverse = reverse
        self._source = source
        self._now_ms = now_ms
        self._states = _states(query, source)
        self._engines = " ".join(sources.exact_values(query, "engine") or ())
        self._labels = " ".join(sources.exact_labels(query))
        self._text = sources.needed_text(query)
        #: Whether it shows all of each work item: otherwise what takes much space is left out.
        self.is_full = sources.is_covered(query, source)
        self.cursor = cursor
        self.looked = 0
        self._check()

    async def matches(self, limit: int, look: int) -> AsyncIterator[tuple[StoredWork, Subject]]:
        """Yield what the query is true of.

        :param limit: only this many: the walk continues from there.
        :param look: look at about this many.
        """
        number = 0
        while limit > number:
            part, at = self._standing()
            if part >= len(self._source.ranges or self._source.places):
                self.cursor = None
                return
            if self.looked >= look:
                return
            rows = limit - number if self.is_full else PORTION
            after, looked, found, afters = await self._portion(
                part, at, min(PORTION, look - self.looked), rows, "full" if self.is_full else "thin"
            )
            self.looked += looked
            for row, behind in zip(found, afters, strict=True):
                stored = stored_work(row)
                subject = subject_of(stored)
                is_match = matches(self._query, subject, self._now_ms)
                if is_match and not self._was_met(part, subject):
                    number += 1
                    self._stand(part, behind)
                    yield stored, subject
                    if number >= limit:
                        return
            if after == -1:
                part, after = part + 1, b""
            self._stand(part, after)

    async def tally(self, look: int) -> Counter[str | None]:
        """Return how much the query is true of in each state; only if the source tells.

        :param look: look at about this many.
        """
        found: Counter[str | None] = Counter()
        while True:
            part, at = self._standing()
            if part >= len(self._source.ranges or self._source.places):
                self.cursor = None
                return found
            if self.looked >= look:
                return found
            count = min(PORTION, look - self.looked)
            after, looked, counts, _ = await self._portion(part, at, count, 1, "tally")
            self.looked += looked
            for state, number in zip(counts[::2], counts[1::2], strict=True):
                found[state.decode()] += number
            if after == -1:
                part, after = part + 1, b""
            self._stand(part, after)

    def _check(self) -> None:
        """Refuse a cursor that no walk through such a source can have."""
        if self.cursor is None:
            return
        name, _, rest = self.cursor.partition(" ")
        part, _, at = rest.partition(" ")
        is_number = part.isascii() and part.isdecimal() and len(part) <= MAX_OFFSET_DIGITS
        is_place = at.isascii() and at.isdecimal() and len(at) <= MAX_OFFSET_DIGITS
        if self._source.ranges:
            is_place = at.startswith(("[", "("))
        if name != self._source.name or not is_number or not (is_place or not at):
            raise InvalidInput(NO_CURSOR)

    def _standing(self) -> tuple[int, str]:
        if self.cursor is None:
            return 0, ""
        _, part, at = self.cursor.split(" ", 2)
        return int(part), at

    def _stand(self, part: int, at: bytes | int) -> None:
        where = at.decode(errors="surrogateescape") if isinstance(at, bytes) else str(at)
        self.cursor = f"{self._source.name} {part} {where}"

    async def _portion(self, part: int, at: str, look: int, rows: int, shape: str) -> Any:
        queue, source = self._queue, self._source
        if source.ranges:
            place, way = "index", ("lex", at or source.ranges[part][0], source.ranges[part][1])
        else:
            place = source.places[part]
            is_forward = (place in _FORWARD) is not self._is_reverse
            way = ("rank", at or "0", "0" if is_forward else "1")
        script = with_place(queue.scripts["find"], queue.keys, place)
        args = [one.encode(errors="surrogateescape") for one in way]
        filters = (self._states, self._engines, self._labels)
        return await queue.call(script, *args, look, rows, *filters, shape, self._text)

    def _was_met(self, part: int, subject: Subject) -> bool:
        """Return whether an earlier part of the index has the work item, too."""
        earlier = self._source.ranges[:part]
        return any(_is_in(one, member) for one in earlier for member in _members(subject))


def _states(query: Query, source: Source) -> str:
    states = sources.states_of(query)
    is_any = source.name == "states" or len(states) == len(State)
    return "" if is_any else " ".join(sorted(states))


def _members(subject: Subject) -> Sequence[str]:
    """Return under what a work item stands in the index."""
    found = [f"e {subject.engine} {subject.work_id}"]
    found += [f"l {key}={value} {subject.work_id}" for key, value in subject.labels.items()]
    error = subject.error()
    if error is not None:
        kind = "f" if subject.state is State.FAILED else "r"
        found.append(f"{kind} {error[1]} {subject.work_id}")
    return found


def _is_in(part: Range, member: str) -> bool:
    begin, end = part
    is_before_end = member <= end[1:] if end[0] == "[" else member < end[1:]
    return begin[1:] <= member and is_before_end
