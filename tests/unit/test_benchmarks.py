"""What benchmarks do with their figures: only a clone has them; skipped elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.models import Event, State

pytest.importorskip("benchmarks")

from benchmarks.check import Result
from benchmarks.measuring.figures import percentile, rounded, spread
from benchmarks.measuring.machine import Memory, parse_memory
from benchmarks.measuring.processes import ROOT
from benchmarks.probes.encodings import cut, difference, patched, restore
from benchmarks.probes.keeping import compare
from benchmarks.profile import LAYERS
from benchmarks.showing import markdown
from benchmarks.storm import judge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)
TEXTS = st.text(max_size=12)
AROUND = {
    "server": "Valkey 9",
    "fsync": "everysec",
    "python": "3.11.7",
    "versions": {"redis": "8.1", "celery": "5.7"},
    "cores": 2,
    "cpu": "a CPU",
    "system": "Linux",
    "load": [0.5, 0.4, 0.3],
}
LAST_LINE = (
    "\n*Valkey 9, append-only file everysec, Python 3.11.7, redis 8.1; "
    "2 cores, a CPU, Linux; load 0.5 at the start.*\n"
)


def lines(*words: str) -> str:
    """Return lines of a page."""
    return "".join(f"{word}\n" for word in words)


# -- layers ------------------------------------------------------------------------------------


def test_each_layer_of_a_profile_is_there() -> None:
    """Its path names files of the clone, and no wider one comes before it."""
    starts = list(LAYERS)
    assert [] == [one for one in starts if not any(ROOT.glob(f"{one.rstrip('/')}*"))]
    hidden = [one for place, one in enumerate(starts) if any(map(one.startswith, starts[:place]))]
    assert [] == hidden


# -- figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 51), (0.98, 99), (0.99, 100), (1.0, 100)]
)
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    """However they are ordered, the value at that rank counts; the last rank is the highest."""
    assert expected == percentile(range(100, 0, -1), share)


def test_a_spread_is_a_share_of_the_median() -> None:
    """From lowest to highest; of all zeros it is zero."""
    assert [1.5, 0.0] == [spread([1.0, 2.0, 4.0]), spread([0.0, 0.0])]


def test_kept_figures_have_the_digits_that_matter() -> None:
    """Small ones keep theirs, large ones become whole, and JSON never holds NaN."""
    found = {
        "a": [0.000123456, 123456.7],
        "b": float("nan"),
        "c": 12,
        "d": "text",
        "e": 0.0,
    }
    expected = {"a": [0.0001235, 123457], "b": None, "c": 12, "d": "text", "e": 0}
    assert expected == rounded(found)


def test_a_processs_memory_is_read_from_its_status() -> None:
    """The system says it in kB; a process that has ended says nothing."""
    assert Memory(2048.0, 3072.0) == parse_memory("Name:\tx\nVmHWM:\t3 kB\nVmRSS:\t2 kB\n")
    with pytest.raises(RuntimeError, match="has ended"):
        parse_memory("Name:\tx\nState:\tZ (zombie)\n")


@pytest.mark.parametrize(
    ("result", "is_met", "margin", "asked"),
    [
        (Result("a", 0.75, 0.6, "x", is_floor=True), True, 0.25, "≥ 0.6 x"),
        (Result("a", 0.3, 0.6, "x", is_floor=True), False, -0.5, "≥ 0.6 x"),
        (Result("a", 0.6, 0.6, "x", is_floor=True), True, 0.0, "≥ 0.6 x"),
        (Result("a", 20, 25, "ms"), True, 0.2, "< 25 ms"),
        (Result("a", 25, 25, "ms"), False, 0.0, "< 25 ms"),
        (Result("a", 50, 25, "ms"), False, -1.0, "< 25 ms"),
        (Result("a", 1, 1, "", is_strict=False), True, 0.0, "≤ 1"),
        (Result("a", 1, 0, "", is_strict=False), False, None, "≤ 0"),
        (Result("a", 7, None, "x"), True, None, ""),
    ],
)
def test_a_margin_is_the_distance_to_the_budget(
    result: Result, is_met: bool, margin: float | None, asked: str
) -> None:
    """It is negative where a budget is missed; there is no margin to a budget of zero."""
    found = result.as_row()
    assert (is_met, asked) == (found["is_met"], found["asked"])
    assert margin == (None if margin is None else pytest.approx(found["margin"]))
    assert (margin is None) == (found["margin"] is None)


# -- ways to keep a state ----------------------------------------------------------------------


def test_a_small_state_is_stored_whole_as_before() -> None:
    """What is built sends, keeps and claims as much as the way that it is compared with."""
    found = {row["way"]: row for row in compare("small", 60)}
    fields = ("sent_of_final", "written_of_final", "claim_of_final", "kept_of_final")
    wholes, built = ([found[way][field] for field in fields] for way in ("wholes", "as built"))
    assert wholes == built
    assert [60, 119, 1, 50] == [round(one) for one in wholes]


def test_a_growing_state_is_sent_about_three_times() -> None:
    """By its final bytes; as wholes it is sent half as often as it has steps."""
    found = {row["way"]: row for row in compare("growing", 100)}
    assert [51, 3] == [round(found[way]["sent_of_final"]) for way in ("wholes", "as built")]
    assert 1 < found["as built"]["claim_of_final"] < 2.5


# -- the storm's judge -------------------------------------------------------------------------


def events(*found: tuple[str, str, int]) -> Iterable[Event]:
    """Return events of the storm's victims: kind, work item and version."""
    for number, (kind, work_id, version) in enumerate(found):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        yield Event(f"{number}-0", at, kind, work_id, "victim", version, State.DONE)


WHOLE = (("recovered", "w-1", 0), ("committed", "w-1", 1), ("committed", "w-1", 2))


@pytest.mark.parametrize(
    ("found", "done", "begun_twice", "twice", "missing"),
    [
        (WHOLE, {"w-1": 2}, 0, 0, 0),
        # Committed again, and so finished with one version too many.
        ((*WHOLE, ("committed", "w-1", 3)), {"w-1": 3}, 0, 0, 1),
        ((*WHOLE, ("committed", "w-1", 2)), {"w-1": 2}, 0, 1, 0),
        (WHOLE, {"w-1": 2}, 1, 1, 0),
        (WHOLE, {}, 0, 0, 1),
        (WHOLE[:2], {"w-1": 2}, 0, 0, 1),
        ((*WHOLE, ("emitted", "w-1", 2)), {"w-1": 2}, 0, 0, 0),
    ],
    ids=["whole", "too many", "twice", "begun twice", "not done", "lost step", "emitted"],
)
def test_the_judge_counts_what_ran_twice_and_what_is_missing(
    found: Any, done: dict[str, int], begun_twice: int, twice: int, missing: int
) -> None:
    """Each work item is to be done, with each version accepted once and no step begun twice."""
    expected = {"items": 1, "recovered": 1, "twice": twice, "missing": missing}
    assert expected == judge(events(*found), done, 1, begun_twice)


def test_the_judge_misses_work_that_left_no_trace() -> None:
    """Work without any event is missing, too."""
    expected = {"items": 3, "recovered": 1, "twice": 0, "missing": 2}
    assert expected == judge(events(*WHOLE), {"w-1": 2}, 3, 0)


# -- other encodings ---------------------------------------------------------------------------


def stored(version: int, data: Any) -> bytes:
    """Return a snapshot as it is stored, with the version before the data."""
    return json.dumps({"version": version, "data": data}, separators=(",", ":")).encode()


@given(JSON, JSON)
def test_what_is_cut_can_be_restored(before: Any, after: Any) -> None:
    """Whatever two snapshots hold, the second comes back byte by byte."""
    old, new = stored(9, before), stored(10, after)
    assert new == restore(old, cut(old, new))


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_what_is_common_at_both_ends_is_cut(head: str, one: str, other: str, tail: str) -> None:
    """Ends that overlap or are the whole do not confuse it, and they are not sent."""
    old, new = stored(1, head + one + tail), stored(2, head + other + tail)
    sent = cut(old, new)
    assert new == restore(old, sent)
    # Lengths in front, and the quotes of the other middle.
    assert len(sent) <= len(new) - len(json.dumps(head + tail)) + 20


@given(JSON, JSON)
def test_a_difference_can_be_applied(before: Any, after: Any) -> None:
    """Whatever changes into whatever, the patch leads there."""
    assert after == patched(before, difference(before, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": [1]}, {"a": 1, "b": [1, 2]}, {"b": ["+", [2]]}),
        ({"a": 1}, {"a": 2}, {"a": ["=", 2]}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}, ["=", {"a": 1, "b": 2}]),
        ([1, 2], [1], ["=", [1]]),
    ],
)
def test_a_difference_holds_what_changed(before: Any, after: Any, expected: Any) -> None:
    """Lists that grow send their new end, objects with the same keys send what differs."""
    assert expected == difference(before, after)


# -- pages -------------------------------------------------------------------------------------


def test_budgets_are_shown_with_their_verdicts() -> None:
    """What is only reported has no verdict, and what could not be measured is named."""
    results = (
        Result("chained, of the limit", 0.75, 0.6, "x", is_floor=True),
        Result("wake-up", 50, 25, "ms"),
        Result("lateness", 3.0, None, "x"),
    )
    report = {
        **AROUND,
        "failed": {"memory": "no"},
        "budgets": [one.as_row() for one in results],
    }
    expected = lines(
        "| budget | measured | asked | margin |  |",
        "| --- | ---: | ---: | ---: | --- |",
        "| chained, of the limit | 0.75 x | ≥ 0.6 x | +25% | kept |",
        "| wake-up | 50 ms | < 25 ms | -100% | **missed** |",
        "| lateness | 3.00 x |  |  |  |",
        "",
        "Not measured: memory.",
    )
    assert expected + LAST_LINE == markdown.render(report)


def test_rows_of_several_kinds_stand_in_tables_of_their_own() -> None:
    """Each kind has its title; numbers are on the right, and what is missing leaves a gap."""
    rows = [
        {"mode": "chained", "workers": 1, "rate": 1234.5, "rate_spread": 0.1},
        {"mode": "chained", "workers": 2, "rate": None, "rate_spread": 0.256},
        {"mode": "a|b", "workers": 1, "rate": 1.5, "rate_spread": 0.0},
    ]
    head = ("", "| workers | a second | spread |", "| ---: | ---: | ---: |")
    expected = lines(
        "**Steps, chained**",
        *head,
        "| 1 | 1,234 | 10% |",
        "| 2 |  | 26% |",
        "",
        "**Steps, a|b**",
        *head,
        "| 1 | 1.50 | 0% |",
    )
    assert expected + LAST_LINE == markdown.render({**AROUND, "workers": rows})


def test_figures_by_size_stand_side_by_side() -> None:
    """A column for each size, a line for each figure."""
    found = {"1000": {"claim, server µs": 70.25}, "10000": {"claim, server µs": 71}}
    expected = lines(
        "| sleepers | 1,000 | 10,000 |",
        "| --- | ---: | ---: |",
        "| claim, server µs | 70.2 | 71 |",
    )
    assert expected + LAST_LINE == markdown.render({**AROUND, "sleepers": found})


def test_pages_of_a_console_are_shown_beside_few_and_many() -> None:
    """What is not of one queue stands side by side; each kind of figure has a table."""
    page = {
        "page": "work",
        "1,000, ms": 9.5,
        "10,000, ms": 10.0,
        "ratio": 1.05,
        "KB": [133.4, 134.0],
    }
    streams = {"streams": "50 open", "page of work, ms": 10.25, "memory, MB": 84.26}
    expected = lines(
        "| page | 1,000, ms | 10,000, ms | ratio | KB |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| work | 9.50 | 10.0 | 1.05 | 133 / 134 |",
        "",
        "| streams | page of work, ms | memory, MB |",
        "| --- | ---: | ---: |",
        "| 50 open | 10.2 | 84.3 |",
    )
    expected += "\n"
    assert expected + LAST_LINE.lstrip() == markdown.render(
        {**AROUND, "pages": [page], "streams": [streams]}
    )
