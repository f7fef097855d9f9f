"""What a verb over a query would do, and has done, in words and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from roost_core.backend.orders import OrderOutcome
from roost_core.client.preview import Preview
from roost_core.models.control import Verb
from roost_core.models.work import State
from roost_core.query.terms import Query
from roost_core.shown.cells import cut, padded, width_of
from roost_core.shown.plain import row_json
from roost_core.shown.redaction import clean, redacted
from roost_core.shown.spans import span
from roost_core.shown.verbs import PAST, UNDER_WAY
from roost_core.values import Json

#: At most this many groups are shown to people.
_GROUPS: Final = 10


def noun(preview: Preview) -> str:
    """Return what the chosen are: ``1,204 dead letters``."""
    states = {group.state for group in preview.groups}
    what = "work item"
    if len(states) == 1:
        (state,) = states
        what = "dead letter" if state is State.FAILED else f"{state} work item"
    return f"{preview.total:,} {what}{'' if preview.total == 1 else 's'}"


def question(verb: Verb, preview: Preview, over: float) -> str:
    """Return what a person is asked: ``retry 1,204 dead letters, spread over 10 m?``."""
    spread = f", spread over {span(over)}" if over else ""
    lost = " for good, with all artifacts" if verb is Verb.DROP else ""
    return f"{verb} {noun(preview)}{lost}{spread}?"


def would(verb: Verb, preview: Preview) -> str:
    """Return the first line of a dry run."""
    return f"would {verb} {noun(preview)}" if preview.total else f"nothing to {verb}"


def left_out(verb: Verb, preview: Preview) -> Iterator[str]:
    """Yield which work items of the query are left out, and why."""
    if preview.unfit:
        yield f"left out: {_listed(preview.unfit)}: {verb} does not fit"
    if preview.already:
        yield f"left out: {_listed(preview.already)}: nothing to {verb}"
    if not preview.is_all:
        yield f"there are more than the {preview.total:,} of --limit"


def _listed(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{counts[state]:,} {state}" for state in State if counts.get(state))


def table(preview: Preview, width: int | None) -> Iterator[str]:
    """Yield lines: the groups, and the first of the work items.

    :param width: cut them to this many characters, in aligned columns; None: separate the cells by
        tabs.
    """
    groups = [
        (
            str(group.state),
            f"{group.count:,}",
            "-" if group.fingerprint is None else f"#{group.fingerprint}",
            group.error or "-",
        )
        for group in preview.groups[:_GROUPS]
    ]
    yield from _aligned(groups, width)
    if len(preview.groups) > _GROUPS:
        rest = preview.groups[_GROUPS:]
        yield f"and {sum(one.count for one in rest):,} with {len(rest):,} other errors or states"
    if preview.first:
        yield "all of them:" if len(preview.first) == preview.total else "the first ten:"
        rows = [
            (row.meta.work_id, str(row.meta.state), row.meta.engine, row.title or "-")
            for row in preview.first
        ]
        yield from _aligned(rows, width)


def _aligned(rows: Sequence[tuple[str, ...]], width: int | None) -> Iterator[str]:
    cells = [[clean(cell) for cell in row] for row in rows]
    if width is None:
        yield from ("\t".join(row) for row in cells)
        return
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(padded(cell, room) for cell, room in zip(row, widths, strict=True))
        yield f"  {cut(line.rstrip(), width - 2)}"


def totals(verb: Verb, total: int, counts: Mapping[OrderOutcome, int], failed: int) -> str:
    """Return the last line: ``retried 1,200 of 1,204, 3 left alone: they have changed``."""
    if not total:
        return f"nothing to {verb}"
    parts = [f"{PAST[verb]} {counts.get(OrderOutcome.DONE, 0):,} of {total:,}"]
    if requested := counts.get(OrderOutcome.REQUESTED):
        parts.append(f"{requested:,} {UNDER_WAY[verb].replace('this', 'their')}")
    if already := counts.get(OrderOutcome.ALREADY):
        parts.append(f"{already:,} were so already")
    if changed := counts.get(OrderOutcome.CHANGED):
        parts.append(f"{changed:,} left alone, changed meanwhile")
    if failed:
        parts.append(f"{failed:,} failed")
    return ", ".join(parts)


def head(verb: Verb, query: Query, preview: Preview) -> dict[str, Json]:
    """Return as JSON what was asked for, and what was found."""
    return {
        "verb": verb.value,
        "query": str(query),
        "total": preview.total,
        "groups": [
            {
                "state": one.state.value,
                "fingerprint": one.fingerprint,
                "count": one.count,
                "error": redacted(one.error),
            }
            for one in preview.groups
        ],
        "left_out": {"already": _plain(preview.already), "unfit": _plain(preview.unfit)},
        "is_all": preview.is_all,
        "is_indexed": preview.is_indexed,
    }


def plain(verb: Verb, query: Query, preview: Preview) -> Json:
    """Return a dry run as JSON."""
    return {**head(verb, query, preview), "first": [row_json(row) for row in preview.first]}


def _plain(counts: Mapping[State, int]) -> Json:
    return {state.value: count for state, count in counts.items()}
