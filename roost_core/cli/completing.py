"""What a shell completes from the queue: ids, engines, labels, words of a query.

A queue that cannot be asked silently completes to nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.errors import RoostError
from roost_core.models.checks import WORK_ID
from roost_core.models.work import State
from roost_core.query.terms import Query
from roost_core.shown.redaction import clean

if TYPE_CHECKING:
    from roost_core.client.roost import Roost

_T = TypeVar("_T")

#: How many ids are offered, and in how many of the newest work items labels are looked for.
_IDS: Final = 30
_NEWEST: Final = 200


def ids(ctx: click.Context, begin: str) -> list[CompletionItem]:
    """Return the newest ids that begin so, with state and title."""
    if begin and WORK_ID.fullmatch(begin) is None:
        return []

    async def ask(roost: Roost) -> list[CompletionItem]:
        rows = await roost.find(Query.beginning(begin), limit=_IDS)
        return [
            CompletionItem(row.meta.work_id, help=clean(f"{row.meta.state} {row.title or ''}"))
            for row in rows
        ]

    return _asked(ctx, ask)


def versions(ctx: click.Context, begin: str) -> list[CompletionItem]:
    """Return the versions that can be read of the work item that the command line names."""
    # Behind an option that lacks its value, click has not told the arguments apart.
    work_id = ctx.params.get("work_id") or next(iter(ctx.args), None)
    if work_id is None:
        return []

    # A shell drops what does not begin as the word does.
    mark = "v" if begin.startswith("v") else ""

    async def ask(roost: Roost) -> list[CompletionItem]:
        found = await with_full_id(
            roost, work_id, lambda full: roost.work(full).history(), is_told=False
        )
        return [
            CompletionItem(f"{mark}{one.version}", help=clean(one.step or ""))
            for one in found
            if one.is_readable and f"{mark}{one.version}".startswith(begin)
        ]

    return _asked(ctx, ask)


def engines(ctx: click.Context, begin: str) -> list[CompletionItem]:
    """Return the engines that are installed here, that live workers offer, or that have work."""
    return _items(_engines(ctx), begin)


def labels(ctx: click.Context, begin: str) -> list[CompletionItem]:
    """Return the labels of the newest work."""
    return _items(_labels(ctx), begin)


def plugins(ctx: click.Context, begin: str) -> list[CompletionItem]:
    """Return the installed plugins, also to be blocked; a shell adds files if there is none."""
    session = ctx.find_object(Session)
    names: list[str] = []
    if session is not None:
        with contextlib.suppress(RoostError):
            names = sorted({report.name for report in session.all_plugins().reports()})
    prefix = "no:" if begin.startswith("no:") else ""
    found = _items([f"{prefix}{name}" for name in names], begin)
    return found or [CompletionItem(begin, type="file")]


def words(ctx: click.Context, before: Sequence[str], begin: str) -> list[CompletionItem]:
    """Return words of a query: states, engines and labels.

    :param before: the words so far. A shell may have split this one behind its colon, or its equals
        sign: then only what follows is completed.
    """
    whole = begin
    for word in reversed(before):
        if not (whole[:1] in (":", "=") or word in (":", "=")):
            break
        whole = f"{word}{whole}"
    cut = len(whole) - len(begin)
    known = [f"state:{state}" for state in State]
    known += [f"engine:{engine}" for engine in _engines(ctx)]
    known += [f"label:{label}" for label in _labels(ctx)]
    return [CompletionItem(word[cut:]) for word in known if word.startswith(whole)]


def _items(values: Iterable[str], begin: str) -> list[CompletionItem]:
    return [CompletionItem(value) for value in values if value.startswith(begin)]


def _engines(ctx: click.Context) -> list[str]:
    session = ctx.find_object(Session)
    found: set[str] = set()
    if session is not None:
        with contextlib.suppress(RoostError):
            found.update(session.all_plugins().engines())

    async def ask(roost: Roost) -> list[str]:
        found.update(*(worker.engines for worker in await roost.workers()))
        found.update(one.name for one in (await roost.count(by="engine")).groups if one.name)
        return sorted(found)

    return _asked(ctx, ask) or sorted(found)


def _labels(ctx: click.Context) -> list[str]:
    async def ask(roost: Roost) -> list[str]:
        rows = await roost.find(limit=_NEWEST)
        return sorted({f"{key}={value}" for row in rows for key, value in row.meta.labels.items()})

    return _asked(ctx, ask)


def _asked(ctx: click.Context, ask: Callable[[Roost], Awaitable[list[_T]]]) -> list[_T]:
    session = ctx.find_object(Session)
    if session is None:
        return []
    try:
        return session.read(ask)
    except (RoostError, OSError):
        return []
