"""How work is found and counted by what people ask for: a part of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost_core.backend.reading import Reading

if TYPE_CHECKING:
    # Most commands know an id: they do without.
    from roost_core.backend.finding import Counted, Found
    from roost_core.query.grouping import By
    from roost_core.query.terms import Query

#: How many work items are looked at for one answer, unless the caller says otherwise.
LOOK: Final = 20_000


class Searching(Reading):
    """Finds and counts work. By default it looks at a list; backends with an index do better.

    What one call looks at is bounded, so that none holds others up. Each method raises
    :class:`~roost_core.errors.BackendUnavailable` if there is no answer.
    """

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
        """Return a page of what a query is true of, in the order of a list where that is possible.

        Of a large item, its payload may be missing.

        :param now_ms: the server's clock, if the query has times.
        :param cursor: of the page before.
        :param look: look at about this many work items; the page may then be short.
        :param reverse: the other way round, where they come in the order of a list.
        :raises InvalidInput: no page of such a query has that cursor.
        """
        from roost_core.backend.finding import find_in_list

        return await find_in_list(self, query, now_ms, limit, cursor, look, reverse)

    async def count(
        self, query: Query, by: By | None = None, *, now_ms: int = 0, look: int = LOOK
    ) -> Counted:
        """Count what a query is true of, all together and in groups."""
        from roost_core.backend.finding import count_in_list

        return await count_in_list(self, query, by, now_ms, look)
