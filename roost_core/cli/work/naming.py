"""Ids that were typed in part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from roost_core.client.roost import Roost
from roost_core.errors import WorkNotFound

_T = TypeVar("_T")

#: How many ids are named of those that a short one may mean.
_NAMED: Final = 3


async def with_full_id(roost: Roost, typed: str, use: Callable[[str], Awaitable[_T]]) -> _T:
    """Use a work item whose id may have been typed in part; an exact id wins.

    :param use: raises :class:`~roost_core.errors.WorkNotFound` if there is none with an id.
    :raises WorkNotFound: no id begins so, or several do.
    """
    try:
        return await use(typed)
    except WorkNotFound:
        only = await _only_that_begins(roost, typed)
        if only is None:
            raise
    return await use(only)


async def full_id(roost: Roost, typed: str) -> str:
    """Return the id that was typed in full or in part; as it was typed if there is none.

    :raises WorkNotFound: several begin so.
    """
    if await roost.ledger.read(typed) is not None:
        return typed
    return await _only_that_begins(roost, typed) or typed


async def _only_that_begins(roost: Roost, typed: str) -> str | None:
    from roost_core.query.terms import Query

    found = await roost.find(Query.beginning(typed), limit=_NAMED + 1)
    ids = [row.meta.work_id for row in found]
    if len(ids) > 1:
        more = ", …" if len(ids) > _NAMED else ""
        raise WorkNotFound(
            f"several work items begin with {typed!r}: {', '.join(sorted(ids)[:_NAMED])}{more}"
        )
    return ids[0] if ids else None
