"""Listings on a terminal: what fits, what is cut, and what to do next."""

from __future__ import annotations

import io
import shlex
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from roost_core.cli.look.columns import Column, fit
from roost_core.cli.look.listing import show
from roost_core.models import ErrorRecord, State, Verb, WorkRow
from roost_core.query import parse
from roost_core.shown.mending import Bar
from tests.unit.cli.cli_harness import Bench

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = "w-7138b5caa9465796"


def row(**fields):
    """Return a line of a listing; some fields of its standing are given."""
    bench = Bench()
    bench.enqueue(work_id=ID)
    found = bench.read(ID)
    title = fields.pop("title", None)
    fields = {"updated_at": NOW - timedelta(seconds=120), **fields}
    return WorkRow(attrs.evolve(found.meta, **fields), title)


def shown(*rows, width=80, query=""):
    """Return the lines of a listing."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(console, rows, NOW, asked=parse(query))
    return console.file.getvalue().splitlines()


FAILED = {
    "state": State.FAILED,
    "error": ErrorRecord("exception", "upstream said 500 and more than that", "RuntimeError"),
    "attempts": 5,
    "step": "read",
    "title": "A title that is much too long to be shown as a whole anywhere here, 漢字漢字漢字",
}


def test_a_title_is_worth_more_than_a_version():
    """People know work by it: it stays when there is no room for versions and attempts."""
    refund = row(step="read", attempts=1, version=3, title="Refund of March")
    heading, line, *_ = shown(refund, width=62)
    assert {"title"} == {"title", "step", "failed"} & set(heading.split())
    assert "  Refund of M" in line


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_each_item_is_one_line_that_fits(width):
    """Ids are whole, long texts end in an ellipsis, and no line is longer than the terminal."""
    lines = shown(row(**FAILED), row(state=State.RUNNING, wish=Verb.CANCEL), width=width)
    table = lines[: lines.index("")]
    assert 3 == len(table)
    assert [True, True] == [line.startswith(ID) for line in table[1:]]
    assert ["failed", "running (cancelling)"] == [
        line[len(ID) :].strip().split("  ")[0] for line in table[1:]
    ]
    assert max(map(len, table)) <= width


def test_the_error_comes_before_the_title():
    """Where there is no room for both, people want the error."""
    narrow, wide = (shown(row(**FAILED), width=width)[1] for width in (80, 200))
    assert "RuntimeError: upstream sa" in narrow
    assert "…" in narrow
    assert "A title" not in narrow
    assert "A title" in wide


@pytest.mark.parametrize("width", [60, 80])
def test_work_that_is_to_pause_takes_no_room_from_others(width):
    """One such item leaves room for what went wrong with the rest, or for when."""
    pausing = row(state=State.RUNNING, wish=Verb.PAUSE)
    heading, first, *_ = shown(pausing, row(**FAILED), width=width)
    assert "running (pausing)" == first.split("  ")[1]
    assert ("error" if width == 80 else "when") in heading


def test_a_narrow_column_is_shown_where_a_wider_one_has_no_room():
    """Though the wider one matters more."""
    columns = [Column("id"), Column("error", least=30, rank=1), Column("when", rank=2)]
    assert [18, 0, 10] == fit(columns, [18, 50, 10], 40)


def test_what_nobody_has_is_left_out():
    """A queue without failures has no column for them."""
    assert ["work id", "state", "engine", "v", "when"] == [
        one.strip() for one in shown(row())[0].split("  ") if one.strip()
    ]


@pytest.mark.parametrize(
    ("state", "due", "expected"),
    [
        (State.SLEEPING, 3, "due in 3 s"),
        (State.RETRY_WAIT, 90, "due in 90 s"),
        (State.SLEEPING, -3, "due now"),
        (State.PAUSED, 3, "2 m ago"),
        (State.DONE, None, "2 m ago"),
    ],
)
def test_when(state, due, expected):
    """When it continues, or when something last became of it."""
    at = None if due is None else NOW + timedelta(seconds=due)
    assert expected in shown(row(state=state, due_at=at))[1]


def test_what_to_do_next():
    """The end names the command; where all is well it names none."""
    assert f"retry: roost retry {ID}    why: roost why {ID}" == shown(row(**FAILED))[-1]
    assert (
        "retry all that failed: roost retry state:failed" == shown(row(**FAILED), row(**FAILED))[-1]
    )
    assert f"resume: roost resume {ID}" == shown(row(state=State.PAUSED))[-1]
    assert shown(row())[-1].startswith(ID)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "state:failed"),
        ("state:failed", "state:failed"),
        ("-state:done", "state:failed"),
        ("engine:crawl state:failed,done", "'state:failed engine:crawl'"),
        (
            'label:team=a error:"no table" -id:w-1',
            "'state:failed label:team=a error:\"no table\" -id:w-1'",
        ),
        ("it's", "'state:failed \"it'\"'\"'s\"'"),
    ],
)
def test_a_retry_of_all_keeps_to_the_query(query, expected):
    """Dead letters that were not asked for are not put back; the shell gives back what it was."""
    last = shown(row(**FAILED), row(**FAILED), query=query, width=200)[-1]
    assert f"retry all that failed: roost retry {expected}" == last
    *_, given = shlex.split(last)
    assert "state:failed" == str(parse(given)).partition(" ")[0]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30) | st.none(), st.integers(0, 9))),
    st.integers(10, 200),
)
def test_columns_fit_if_they_can(drawn, room):
    """What is never left out stays, what is never cut is whole, and the rest fits."""
    columns = [Column("h", least=least, rank=rank) for _, least, rank in drawn]
    natural = [width for width, _, _ in drawn]
    widths = fit(columns, natural, room)
    kept = [one for one in zip(columns, natural, widths, strict=True) if one[2]]
    for column, wanted, width in zip(columns, natural, widths, strict=True):
        assert width or column.rank
        assert width in (0, wanted) or (column.least is not None and column.least <= width)
    total = sum(width for _, _, width in kept) + 2 * max(0, len(kept) - 1)
    assert total <= room or not [one for one in kept if one[0].rank]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_command_that_is_too_long_has_a_line_of_its_own(width):
    """What keeps work from running, and what to type, each whole."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    bars = [Bar("no live worker offers engine slow", "roost worker --plugin PATH --engines slow")]
    show(console, [row()], NOW, bars)
    *_, before, last = console.file.getvalue().splitlines()
    hint = "no live worker offers engine slow; try `roost worker --plugin PATH --engines slow`"
    assert hint == (last if width == 120 else f"{before} {last}")
    assert len(last) <= width
