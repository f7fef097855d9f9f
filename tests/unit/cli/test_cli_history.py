"""``roost history``, ``roost diff`` and ``roost status --version`` over a queue in memory."""

from __future__ import annotations

import re

import pytest

from roost_core.cli import output
from roost_core.differences import parse_patch, patched
from roost_core.models import Artifact, Snapshot
from roost_core.shown.cells import width_of
from tests.unit.cli.cli_harness import Bench
from tests.unit.cli.test_cli_completing import completed

SECRET = "k-very-secret"
REPORT = Artifact("0" * 64, 5000, "json", "report")


def versions(count=4):
    """Return snapshots that differ in a number, a secret, a list, and the artifacts."""
    return [
        Snapshot(
            "",
            "",
            step=f"look {n}",
            data={"n": n, "api_key": f"{SECRET}-{n}", "messages": [f"said {i}" for i in range(n)]},
            artifacts=(REPORT,) if n > 2 else (),
            next_step_delay_seconds=5.0 if n == 4 else None,
        )
        for n in range(1, count + 1)
    ]


@pytest.fixture
def bench():
    """Give a queue in memory with a command line, and the work item work-1 with four versions."""
    bench = Bench()
    bench.enqueue(work_id="work-1", payload={"password": SECRET})
    bench.steps("work-1", *versions(), took_ms=1234)
    return bench


@pytest.fixture
def terminal(monkeypatch):
    """Have commands print for a terminal of 80 columns."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")


def forget(bench, many):
    """Drop the oldest versions, as the bounds do."""
    bench.ledger.run(lambda state, _now: state.works["work-1"].commits.__delitem__(slice(many)))


# -- history -----------------------------------------------------------------------------------


def test_history_in_a_pipe(bench):
    """Newest first, in columns with tabs; what is not known is a dash."""
    rows = [line.split("\t") for line in bench.ok("history", "work-1").splitlines()]
    assert [["4", "look 4"], ["3", "look 3"], ["2", "look 2"], ["1", "look 1"]] == [
        row[:2] for row in rows
    ]
    when, worker, took, changed, size, problem = rows[0][2:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when)
    assert ("worker-1", "1.234", "-") == (worker, took, problem)
    assert 0 < int(changed) < int(size)
    assert "-" == rows[-1][5]


def test_history_as_json(bench):
    """An array of objects that have every field."""
    found = bench.json("history", "work-1", "--json", "--limit", "2")
    assert [4, 3] == [one["version"] for one in found]
    assert {
        "work_id": "work-1",
        "version": 4,
        "step": "look 4",
        "committed_at": found[0]["committed_at"],
        "worker_id": "worker-1",
        "took_seconds": 1.234,
        "size_bytes": found[0]["size_bytes"],
        "changed_bytes": found[0]["changed_bytes"],
        "problem": None,
    } == found[0]


def test_history_on_a_terminal(bench, terminal):
    """A table, and two commands that follow from it."""
    heading, *rows = bench.ok("history", "work-1").splitlines()
    assert ["v", "step", "when", "worker", "took", "changed", "size"] == heading.split()
    assert rows[0].startswith("4  look 4  now   worker-1  1.2 s ")
    assert ["", "what the newest changed: roost diff work-1 3 4"] == rows[4:6]


def test_a_table_of_long_things_fits(bench, terminal):
    """Eighty columns are enough for long labels and problems; the version is always there."""

    def widen(state, _now):
        work = state.works["work-1"]
        step, worker = "a very long label " * 8, "worker-" + "x" * 90
        work.commits[:] = [
            type(one)(one.version, one.at_ms, 7_200_000, worker, step, one.back)
            for one in work.commits
        ]
        work.snapshot = b"\xff"

    bench.ledger.run(widen)
    heading, *rows = bench.ok("history", "work-1").partition("\n\n")[0].splitlines()
    assert "problem" in heading
    assert ["4", "3", "2", "1"] == [row.split()[0] for row in rows]
    assert all(width_of(line) <= 80 for line in (heading, *rows))


def test_history_before_the_first_step():
    """There is none, and why; JSON is an empty array."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    result = bench.invoke("history", "w1")
    assert (0, "") == (result.exit_code, result.stdout)
    assert "roost: w1 has no version yet: no step was accepted\n" == result.stderr
    assert [] == bench.json("history", "w1", "--json")


def test_what_is_missing_is_said(bench):
    """Those beyond the bounds on standard error; those beyond the limit, instead, by number."""
    forget(bench, 2)
    result = bench.invoke("history", "work-1")
    assert ["4", "3", "2"] == [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert "roost: versions before 2 are not kept any more" in result.stderr
    result = bench.invoke("history", "work-1", "--limit", "1")
    assert "roost: 2 earlier ones: --limit shows more\n" == result.stderr
    result = bench.invoke("history", "work-1", "--limit", "2")
    assert "roost: 1 earlier one: --limit shows more\n" == result.stderr


def test_a_gap_is_said_also_within_a_limit():
    """Whoever lists a few of the newest is not to take them for all of these."""
    other = Bench()
    other.enqueue(work_id="w")
    other.steps("w", *versions(6))
    # Those of versions 3 and 4; the way back from 5 still has the latter.
    other.ledger.run(lambda state, _now: state.works["w"].commits.__delitem__(slice(2, 4)))
    gap = (
        "roost: version 3 is missing: ROOST_HISTORY_VERSIONS was 0 when this step ran, an older "
        "Roost ran it, or its record is damaged\n"
    )
    for limit, shown, said in (
        (9, "65421", gap),
        (4, "6542", f"{gap}roost: 1 earlier one: --limit shows more\n"),
        (3, "654", "roost: 2 earlier ones: --limit shows more\n"),
    ):
        found = other.invoke("history", "w", "--limit", str(limit))
        assert [*shown] == [line.split("\t")[0] for line in found.stdout.splitlines()]
        assert said == found.stderr


def test_a_history_that_is_off(bench, monkeypatch):
    """It says so, and shows the newest."""
    monkeypatch.setenv("ROOST_HISTORY_VERSIONS", "0")
    forget(bench, 4)
    result = bench.invoke("history", "work-1")
    assert 1 == len(result.stdout.splitlines())
    assert "earlier versions are not kept while ROOST_HISTORY_VERSIONS is 0" in result.stderr


def test_texts_of_others_are_harmless(bench):
    """A step's label and a worker's name are shown without secrets, and no terminal obeys them."""

    def spoil(state, _now):
        work = state.works["work-1"]
        one = work.commits[-1]
        step = "\x1b[2Jlook password=hunter22"
        work.commits[-1] = type(one)(4, one.at_ms, 1, one.worker_id, step, one.back)

    bench.ledger.run(spoil)
    for options in ((), ("--json",)):
        said = bench.ok("history", "work-1", *options)
        assert "hunter22" not in said
        assert "\x1b" not in said


# -- diff --------------------------------------------------------------------------------------


def test_what_the_newest_has_changed(bench):
    """Without versions; places in the data, then what else differs."""
    assert [
        "work-1 version 3 → 4",
        "~ /n  3 → 4",
        "~ /api_key  *** (changed)",
        '+ /messages/3  "said 3"',
        '~ step  "look 3" → "look 4"',
        "~ next step  at once → after 5 s",
    ] == bench.ok("diff", "work-1").splitlines()


def test_what_has_changed_since(bench):
    """With one version: up to the newest."""
    said = bench.ok("diff", "work-1", "v2").splitlines()
    assert "work-1 version 2 → 4" == said[0]
    assert "+ artifact  report.json, 4.9 KiB" == said[-1]


def test_backwards(bench):
    """What is new is gone, and it is said."""
    said = bench.ok("diff", "work-1", "3", "2").splitlines()
    assert "work-1 version 3 → 2 (backwards: 3 is the later one)" == said[0]
    assert {'- /messages/2  "said 2"', "- artifact  report.json, 4.9 KiB"} <= {*said}


def test_nothing_differs(bench):
    """It is said, with what does besides the data."""
    assert ["work-1 version 2 → 2", "it is the same version twice"] == bench.ok(
        "diff", "work-1", "2", "2"
    ).splitlines()
    other = Bench()
    other.enqueue(work_id="w")
    other.steps("w", Snapshot("", "", data={"a": 1}), Snapshot("", "", data={"a": 1}))
    assert ["w version 1 → 2", "the data is the same"] == other.ok("diff", "w").splitlines()


@pytest.mark.parametrize(
    "words", [("diff", "work-1", "3", "4"), ("status", "work-1", "--version=3")]
)
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("is_terminal", [False, True])
def test_secrets_are_hidden(bench, monkeypatch, words, options, is_terminal):
    """In a pipe, in JSON and on a terminal; they are shown to whoever asks for them."""
    monkeypatch.setattr(output, "on_terminal", lambda: is_terminal)
    assert SECRET not in bench.ok(*words, *options)
    assert SECRET in bench.ok(*words, *options, "--reveal")


def test_status_shows_them_on_a_terminal(bench, terminal):
    """JSON has always had them."""
    assert SECRET not in bench.ok("status", "work-1")
    assert SECRET in bench.ok("status", "work-1", "--reveal")
    assert SECRET in bench.ok("status", "work-1", "--json")


def test_diff_as_json(bench):
    """The snapshots without their data, and a patch that leads from the one to the other."""
    found = bench.json("diff", "work-1", "2", "4", "--json", "--reveal")
    assert ["work_id", "old", "new", "patch", "is_whole"] == [*found]
    assert ("work-1", 2, 4, True) == (
        found["work_id"],
        found["old"]["version"],
        found["new"]["version"],
        found["is_whole"],
    )
    assert "data" not in {*found["old"], *found["new"]}
    assert [[], ["report"]] == [
        [one["name"] for one in found[each]["artifacts"]] for each in ("old", "new")
    ]
    was = bench.json("status", "work-1", "--version", "2", "--reveal")["snapshot"]["data"]
    now = bench.json("status", "work-1")["snapshot"]["data"]
    assert now == patched(was, parse_patch(found["patch"]))


def test_a_patch_with_secrets_says_that_it_is_not_whole(bench):
    """It would write the stars into the data."""
    found = bench.json("diff", "work-1", "--json")
    hidden = {"op": "replace", "path": "/api_key", "value": "***", "is_hidden": True}
    assert hidden in found["patch"]
    assert [hidden] == [one for one in found["patch"] if "is_hidden" in one]
    assert found["is_whole"] is False


def test_diff_on_a_terminal(bench, terminal):
    """Long values are cut to its width, and many places summed up; a pipe has all."""
    data = {f"k{n}": "long " * 50 for n in range(300)}
    bench.enqueue(work_id="w2", priority=1)
    bench.steps("w2", Snapshot("", ""), Snapshot("", "", data=data))
    said = bench.ok("diff", "w2").splitlines()
    assert all(width_of(line) <= 80 for line in said)
    assert "and 100 more" == said[-1]


def test_diff_in_a_pipe_has_all(bench):
    """However long, and however many."""
    data = {f"k{n}": "long " * 50 for n in range(300)}
    bench.enqueue(work_id="w2", priority=1)
    bench.steps("w2", Snapshot("", ""), Snapshot("", "", data=data))
    said = bench.ok("diff", "w2").splitlines()
    assert 301 == len(said)
    assert said[-1].endswith('long long "')


# -- status --version --------------------------------------------------------------------------


def test_status_with_a_version(bench):
    """The shape is that of `roost status`; only the snapshot is another, and meta says so."""
    now, then = bench.json("status", "work-1"), bench.json("status", "work-1", "--version", "v2")
    assert [*now] == [*then]
    assert {**now["meta"], "shown_version": 2, "is_newest": False} == then["meta"]
    assert {*now["snapshot"]} == {*then["snapshot"]}
    assert (2, "look 2") == (then["snapshot"]["version"], then["snapshot"]["step"])
    assert bench.json("status", "work-1", "--version", "4")["meta"]["is_newest"] is True


def test_status_with_a_version_on_a_terminal(bench, terminal):
    """It cannot be taken for how the work stands."""
    heading, said, *facts = bench.ok("status", "work-1", "--version", "3").splitlines()
    assert "work-1  running" == heading
    assert "version 3, as it was: the newest is 4" == said
    assert 'step       "look 3"' == facts[0].rstrip()
    assert any(line.startswith('data       {"n": 3, ') for line in facts)
    assert "what has changed since: roost diff work-1 3" in facts
    assert all(width_of(line) <= 80 for line in facts)
    assert "version 4, the newest" in bench.ok("status", "work-1", "--version", "4")


def test_the_newest_is_damaged(bench):
    """Earlier ones are shown anyway."""
    bench.ledger.run(lambda state, _now: setattr(state.works["work-1"], "snapshot", b"\xff"))
    assert 1 == bench.invoke("status", "work-1").exit_code
    assert 3 == bench.json("status", "work-1", "--version", "3")["snapshot"]["version"]


# -- what is typed -----------------------------------------------------------------------------

TAKES_VERSION = [("diff", "work-1"), ("status", "work-1", "--version")]


@pytest.mark.parametrize("words", TAKES_VERSION)
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0", "the first version is 1"),
        ("x", "'x' is not a version"),
        ("1.5", "'1.5' is not a version"),
        ("", "'' is not a version"),
        ("٣", "'٣' is not a version"),
        ("9" * 30, "is not a version"),
    ],
)
def test_what_is_no_version(bench, words, typed, said):
    """It is refused before anything is asked for."""
    result = bench.invoke(*words, typed)
    assert (2, "") == (result.exit_code, result.stdout)
    assert said in result.stderr


@pytest.mark.parametrize("words", TAKES_VERSION)
def test_a_version_that_is_not_there(bench, words):
    """One line says what there is."""
    result = bench.invoke(*words, "9")
    assert (1, "", "roost: work-1 has no version 9: the newest is 4\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    forget(bench, 2)
    result = bench.invoke(*words, "1")
    assert 1 == result.exit_code
    assert "version 1 of work-1 is not kept any more; the oldest is 2" in result.stderr


@pytest.mark.parametrize("words", [("history",), ("diff",), ("status", "--version", "1")])
def test_an_id_that_nothing_has(bench, words):
    """One line, and the exit code of whatever is missing."""
    result = bench.invoke(*words, "nope")
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("roost: no work item 'nope'")


@pytest.mark.parametrize("words", [("history",), ("diff",), ("status", "--version", "1")])
def test_an_id_that_is_typed_in_part(bench, words):
    """It is enough if no other begins like that."""
    result = bench.invoke(*words, "wo")
    assert bench.ok(*words, "work-1") == result.stdout
    assert (0, "roost: wo stands for work-1\n") == (result.exit_code, result.stderr)


def test_a_version_and_a_traceback(bench):
    """The error is of no version."""
    result = bench.invoke("status", "work-1", "--version", "1", "--traceback")
    assert 2 == result.exit_code
    assert "--version and --traceback" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "work-1"),
        ("diff", "wo", "1"),
        ("status", "work-1", "--version"),
        ("replay", "work-1", "--from-version"),
    ],
)
def test_versions_are_completed(bench, words):
    """Those of the work item that is named, newest first."""
    assert ["4", "3", "2", "1"] == completed(bench, *words)
    assert ["3"] == completed(bench, *words, begin="3")
    assert ["v3"] == completed(bench, *words, begin="v3")
    assert [] == completed(bench, *words, begin="9")


@pytest.mark.parametrize("command", ["history", "diff"])
def test_ids_are_completed(bench, command):
    """As for other commands."""
    assert ["work-1"] == completed(bench, command)


def test_nothing_is_completed_without_a_work_item(bench):
    """An unknown id has no versions."""
    assert [] == completed(bench, "diff", "nope")
    assert [] == completed(bench, "status", "--version")


def test_a_fork_has_its_own_name(bench, terminal):
    """What it has from before its beginning is told of under its id, not under its origin's."""
    words = ("replay", "work-1", "--from-version", "2", "--yes", "--work-id", "fork")
    assert 0 == bench.invoke(*words).exit_code
    for words in (
        ("history", "fork"),
        ("diff", "fork", "1", "2"),
        ("status", "fork", "--version", "2"),
    ):
        said = bench.ok(*words)
        assert "fork" in said
        assert "work-1" not in said
