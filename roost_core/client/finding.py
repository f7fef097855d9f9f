"""What a program finds and counts by a query."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from roost_core.backend.searching import LOOK
from roost_core.client.connection import Connection
from roost_core.models.checks import check_limit, check_whole
from roost_core.models.standing import ErrorRecord, WorkRow
from roost_core.query.grouping import By
from roost_core.query.parsing import parse
from roost_core.query.terms import AGES, Query
from roost_core.shown import views
from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class Matches(Value):
    """Work items that a query is true of; iterating gives the rows.

    :ivar is_all: False if there may be more: ``limit`` was reached, or enough looked at.
    :ivar looked: how many work items were looked at.
    :ivar is_indexed: False if the index of the queue lacks some work items, which were enqueued by
        an older Roost, and so was not used: ``roost doctor --repair`` completes it.
    :ivar cursor: where the next page begins; None if this is the last one.
    """

    rows: tuple[WorkRow, ...]
    is_all: bool
    looked: int
    is_indexed: bool
    cursor: str | None = None

    def __iter__(self) -> Iterator[WorkRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@attrs.frozen(eq=False, repr=False)
class CountedGroup(Value):
    """Work items that were counted together.

    :ivar name: the state, the engine, the label's value, or the error's fingerprint; None for those
        without label or error.
    :ivar error: the error of one of them, if they were counted by error.
    """

    name: str | None
    count: int
    error: ErrorRecord | None = None


@attrs.frozen(eq=False, repr=False)
class Count(Value):
    """How many work items a query is true of.

    :ivar groups: the largest first; empty if they were not counted apart.
    :ivar is_exact: False if not all were looked at: there are at least this many.
    :ivar looked: how many were looked at, 0 if there was no need to.
    :ivar is_indexed: as in :class:`Matches`.
    """

    total: int
    groups: tuple[CountedGroup, ...]
    is_exact: bool
    looked: int
    is_indexed: bool


def query_of(query: Query | str) -> Query:
    """Return a query, read if it is a text.

    :raises InvalidInput: the text is no query.
    """
    return parse(query) if isinstance(query, str) else query


async def find(
    roost: Connection,
    query: Query | str,
    limit: int,
    look: int = LOOK,
    cursor: str | None = None,
    reverse: bool = False,
) -> Matches:
    """Return up to ``limit`` work items; see :meth:`Roost.find`.

    :raises InvalidInput: a text that is no query, a negative limit, or no cursor of this query.
    """
    check_limit(limit)
    check_whole(look, "look")
    asked = query_of(query)
    now_ms = await now_at(roost, asked)
    found = await roost.ledger.find(
        asked, now_ms=now_ms, limit=limit, look=look, cursor=cursor, reverse=reverse
    )
    rows = tuple(map(views.row, found.works))
    return Matches(rows, found.cursor is None, found.looked, found.is_indexed, found.cursor)


async def count(
    roost: Connection, query: Query | str, by: By | str | None, look: int = LOOK
) -> Count:
    """Count work items; see :meth:`Roost.count`.

    :raises InvalidInput: a text that is no query, or what cannot be counted by.
    """
    asked = query_of(query)
    group_by = By.parse(by) if isinstance(by, str) else by
    now_ms = await now_at(roost, asked)
    check_whole(look, "look")
    found = await roost.ledger.count(asked, group_by, now_ms=now_ms, look=look)
    groups = tuple(
        CountedGroup(one.name, one.count, views.error_of(one.error)) for one in found.groups
    )
    return Count(found.total, groups, found.is_exact, found.looked, found.is_indexed)


async def now_at(roost: Connection, query: Query) -> int:
    """Return the server's clock, if the query needs it."""
    return await roost.server.now_ms() if query.uses(*AGES) else 0
