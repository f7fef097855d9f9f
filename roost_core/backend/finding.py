"""What is found and counted by what people ask for, and how, if there is only a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Final

import attrs

from roost_core.backend.reading import Reading
from roost_core.backend.reports import ListQuery, StoredWork
from roost_core.codec.records import decode_item, decode_model
from roost_core.errors import CorruptRecord, InvalidInput
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.query.fingerprints import fingerprint
from roost_core.query.grouping import By
from roost_core.query.matching import Subject, matches
from roost_core.query.terms import Op, Query
from roost_core.values import Value

#: How many are listed in one call, where there is nothing better than a list.
_PAGE: Final = 500
#: No list is longer.
MAX_OFFSET_DIGITS: Final = 12
#: What is said of a cursor that no page has given.
NO_CURSOR: Final = "this is no cursor of this query: begin with its first page"


@attrs.frozen(eq=False, repr=False)
class Found(Value):
    """A page of work items that a query is true of, without snapshots.

    :ivar cursor: where the next page begins; None: there is none.
    :ivar looked: how many work items were looked at for it.
    :ivar is_indexed: False if the backend's index lacks some work items, and so was not used.
    """

    works: tuple[StoredWork, ...]
    cursor: str | None = None
    looked: int = 0
    is_indexed: bool = True


@attrs.frozen(eq=False, repr=False)
class Group(Value):
    """Work items that were counted together.

    :ivar name: what they have in common; None: that they have no such thing.
    :ivar error: the encoded error of one of them, if they were counted by error.
    """

    name: str | None
    count: int
    error: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen(eq=False, repr=False)
class Counted(Value):
    """How many work items a query is true of.

    :ivar groups: the largest first; empty if they were not to be counted apart.
    :ivar looked: how many were looked at, 0 if there was no need to.
    :ivar is_exact: False if not all were looked at: there are at least this many.
    :ivar is_indexed: as in :class:`Found`.
    """

    total: int
    groups: tuple[Group, ...] = ()
    looked: int = 0
    is_exact: bool = True
    is_indexed: bool = True


async def find_in_list(
    reading: Reading,
    query: Query,
    now_ms: int,
    limit: int,
    cursor: str | None,
    look: int,
    reverse: bool = False,
) -> Found:
    """Find as :meth:`~roost_core.backend.Searching.find` does, by looking at a list."""
    works: list[StoredWork] = []
    offset = begin = _offset(cursor)
    listed = _listed_back if reverse else _listed
    async for stored in listed(reading, query, offset, look):
        offset += 1
        if matches(query, subject_of(stored), now_ms):
            works.append(stored)
            if len(works) >= limit:
                return Found(tuple(works), str(offset), offset - begin)
    is_all = offset - begin < look
    return Found(tuple(works), None if is_all else str(offset), offset - begin)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= MAX_OFFSET_DIGITS):
        raise InvalidInput(NO_CURSOR)
    return int(cursor)


async def count_in_list(
    reading: Reading, query: Query, by: By | None, now_ms: int, look: int
) -> Counted:
    """Count as :meth:`~roost_core.backend.Searching.count` does, by looking at a list."""
    counter = GroupCounter(by)
    looked = 0
    async for stored in _listed(reading, query, 0, look):
        looked += 1
        subject = subject_of(stored)
        if matches(query, subject, now_ms):
            counter.add(subject, stored.error)
    return counter.counted(looked=looked, is_exact=looked < look)


async def _listed(
    reading: Reading, query: Query, offset: int, look: int
) -> AsyncIterator[StoredWork]:
    """Yield up to ``look`` work items of a list that a query may be true of."""
    states, engines = only(query, "state"), only(query, "engine")
    one = ListQuery(State(states[0]) if states else None, engines[0] if engines else None)
    left = look
    while left > 0:
        page = await reading.list(attrs.evolve(one, limit=min(_PAGE, left), offset=offset))
        for stored in page:
            yield stored
        if len(page) < min(_PAGE, left):
            return
        left -= len(page)
        offset += len(page)


async def _listed_back(
    reading: Reading, query: Query, offset: int, look: int
) -> AsyncIterator[StoredWork]:
    """Yield as :func:`_listed` does, from the end of the list on."""
    states = only(query, "state")
    one = ListQuery(State(states[0]) if states else None)
    counts = await reading.counts()
    end = (sum(counts.values()) if one.state is None else counts.get(one.state, 0)) - offset
    left = look
    while left > 0 and end > 0:
        limit = min(_PAGE, left, end)
        page = await reading.list(attrs.evolve(one, limit=limit, offset=end - limit))
        for stored in reversed(page):
            yield stored
        left, end = left - limit, end - limit


def only(query: Query, key: str) -> tuple[str, ...]:
    """Return the one value that a key has to have, alone in a tuple, or an empty one."""
    for term in query.of(key):
        if len(term.tests) == 1 and term.tests[0].op is Op.IS:
            return (str(term.tests[0].value),)
    return ()


class GroupCounter:
    """Counts work items, in groups if there is something to group them by."""

    def __init__(self, by: By | None) -> None:
        self._by = by
        self._counts: Counter[str | None] = Counter()
        self._errors: dict[str | None, bytes] = {}

    def add(self, subject: Subject, error: bytes | None) -> None:
        """Count one work item."""
        name = None if self._by is None else self._by.of(subject)
        self._counts[name] += 1
        if self._by is not None and self._by.what == "error" and error is not None:
            self._errors.setdefault(name, error)

    def counted(self, *, looked: int, is_exact: bool, is_indexed: bool = True) -> Counted:
        """Return the sum and the groups."""
        groups = () if self._by is None else grouped(self._counts, self._errors)
        return Counted(sum(self._counts.values()), groups, looked, is_exact, is_indexed)


def grouped(
    counts: Mapping[str | None, int], errors: Mapping[str | None, bytes] | None = None
) -> tuple[Group, ...]:
    """Return groups in their order: the largest first, then by name."""
    examples = errors or {}
    found = [Group(name, count, examples.get(name)) for name, count in counts.items() if count]
    return tuple(sorted(found, key=lambda one: (-one.count, one.name is None, one.name or "")))


def subject_of(stored: StoredWork) -> Subject:
    """Return what a query looks at; its bytes are decoded only if it asks for them."""
    return Subject(
        work_id=stored.work_id,
        engine=stored.engine,
        state=stored.state,
        labels=stored.labels,
        priority=stored.priority,
        attempts=stored.attempts,
        created_ms=stored.created_ms,
        updated_ms=stored.updated_ms,
        title=cache(lambda: _title(stored)),
        error=cache(lambda: _error(stored)),
    )


def _title(stored: StoredWork) -> str | None:
    if stored.item is None:
        return None
    try:
        return decode_item(stored.item, stored.created_ms).title
    except CorruptRecord:
        return None


def _error(stored: StoredWork) -> tuple[str, str] | None:
    if stored.error is None:
        return None
    try:
        error = decode_model(ErrorRecord, stored.error)
        text = f"{error.kind} {error.error_type or ''}: {error.message}"
    except CorruptRecord:
        text = "corrupt"
    return text, fingerprint(stored.error)
