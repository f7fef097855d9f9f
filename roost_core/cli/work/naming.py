"""Ids that were typed in part: whoever reads may do that, whoever changes work may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from roost_core.cli import output
from roost_core.client.missing import not_found
from roost_core.client.roost import Roost
from roost_core.errors import WorkNotFound

_T = TypeVar("_T")

#: How many ids are named of those that a short one may mean.
_NAMED: Final = 3
#: In how many of the newest events one is looked for that tells of work that is gone.
_LOOK: Final = 3_000


async def with_full_id(
    roost: Roost, typed: str, use: Callable[[str], Awaitable[_T]], *, is_told: bool = True
) -> _T:
    """Read a work item whose id may have been typed in part; an exact id wins.

    :param use: raises :class:`~roost_core.errors.WorkNotFound` if there is none with an id.
    :param is_told: say on standard error which one was taken.
    :raises WorkNotFound: no id begins so, several do, or the one that was typed is gone.
    """
    try:
        return await use(typed)
    except WorkNotFound:
        only = await _only_that_begins(roost, typed)
        if only is None:
            raise
    if is_told:
        _tell(typed, only)
    return await use(only)


async def full_id(roost: Roost, typed: str) -> str:
    """Return the id that was typed in full or in part; as it was typed if there is none.

    :raises WorkNotFound: several begin so, or the one that was typed is gone.
    """
    if await roost.ledger.read(typed) is not None:
        return typed
    only = await _only_that_begins(roost, typed)
    if only is None:
        return typed
    _tell(typed, only)
    return only


async def with_whole_id(roost: Roost, typed: str, use: Callable[[str], Awaitable[_T]]) -> _T:
    """Change a work item: that with the very id that was typed, or none.

    So a command that is repeated after its work has gone does nothing to other work.

    :param use: raises :class:`~roost_core.errors.WorkNotFound` if there is none with an id.
    :raises WorkNotFound: no work item has this id; the text names those that begin so.
    """
    try:
        return await use(typed)
    except WorkNotFound:
        raise await missing(roost, typed) from None


async def missing(roost: Roost, typed: str) -> WorkNotFound:
    """Return what is said of an id that no work item has, to somebody who wants to change it."""
    if (gone := await _gone(roost, typed)) is not None:
        return gone
    ids = await _that_begin(roost, typed)
    if not ids:
        return not_found(typed, roost.ledger.queue)
    return WorkNotFound(
        f"no work item {typed!r}: what changes work takes a whole id, and "
        f"{_named(ids)} {'begins' if len(ids) == 1 else 'begin'} so"
    )


def _tell(typed: str, full: str) -> None:
    output.note(f"{typed} stands for {full}")


async def _only_that_begins(roost: Roost, typed: str) -> str | None:
    # What is gone is not taken for another whose id is longer.
    if (gone := await _gone(roost, typed)) is not None:
        raise gone
    ids = await _that_begin(roost, typed)
    if len(ids) > 1:
        raise WorkNotFound(f"several work items begin with {typed!r}: {_named(ids)}")
    return ids[0] if ids else None


async def _that_begin(roost: Roost, typed: str) -> Sequence[str]:
    from roost_core.query.terms import Query

    found = await roost.find(Query.beginning(typed), limit=_NAMED + 1)
    return [row.meta.work_id for row in found]


async def _gone(roost: Roost, typed: str) -> WorkNotFound | None:
    if not await roost.ledger.newest_of(typed, limit=1, look=_LOOK):
        return None
    return WorkNotFound(
        f"no work item {typed!r} any more: `roost events --work {typed}` tells what became of it"
    )


def _named(ids: Sequence[str]) -> str:
    more = ", …" if len(ids) > _NAMED else ""
    return f"{', '.join(sorted(ids)[:_NAMED])}{more}"
