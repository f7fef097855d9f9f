"""``roost replay`` over a queue in memory."""

from __future__ import annotations

import json
import re

import pytest

from roost_core.cli import output
from roost_core.cli.work import replay
from roost_core.models import Snapshot, State
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a command line, and the work item w1 with ten versions."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    data = {"plan": None, "api_key": "k-old", "todo": ["a", "b"]}
    bench.steps(
        "w1", *(Snapshot("", "", step=f"look {n}", data={**data, "n": n}) for n in range(1, 11))
    )

    def give_back(state, now):
        state._place(state.works["w1"], now, State.QUEUED)

    bench.ledger.run(give_back)
    return bench


def data_of(bench, work_id):
    """Return the data of a work item's snapshot."""
    return bench.json("status", work_id)["snapshot"]["data"]


def test_a_fork_prints_its_id_alone(bench):
    """So that a shell can keep it; what ran since goes to standard error."""
    result = bench.invoke("replay", "w1", "--from-version", "8", "--work-id", "w2")
    assert (0, "w2\n") == (result.exit_code, result.stdout)
    assert "these steps ran since version 8" in result.stderr
    assert "9 look 9, 10 look 10" in result.stderr
    assert 8 == data_of(bench, "w2")["n"]


def test_a_version_as_screens_have_it(bench):
    """As for `roost diff` and `roost status --version`."""
    result = bench.invoke("replay", "w1", "--from-version", "v8", "--work-id", "w2")
    assert (0, "w2\n") == (result.exit_code, result.stdout)
    assert 8 == data_of(bench, "w2")["n"]


def test_an_edit_is_shown_first(bench):
    """Secrets stay hidden, and it is done."""
    patch = json.dumps([{"op": "add", "path": "/todo/-", "value": "c"}])
    args = ("--edit", patch, "-e", "plan=better", "-e", "/api_key=k-new")
    result = bench.invoke("replay", "w1", "--from-version", "10", "--work-id", "w2", *args)
    assert 0 == result.exit_code
    lines = result.stderr.splitlines()
    assert 'roost: ~ /plan  null → "better"' in lines
    assert 'roost: + /todo/2  "c"' in lines
    assert "roost: ~ /api_key  *** (changed)" in lines
    assert "k-new" not in result.stderr
    found = data_of(bench, "w2")
    assert ("better", ["a", "b", "c"]) == (found["plan"], found["todo"])


def test_dry_run(bench):
    """Nothing is begun."""
    result = bench.invoke("replay", "w1", "--from-version", "3", "-e", "plan=1", "--dry-run")
    assert (0, "") == (result.exit_code, result.stdout)
    assert "~ /plan  null → 1" in result.stderr
    assert "and 0 more" not in result.stderr
    assert result.stderr.endswith("roost: would begin new work with version 3 of w1\n")
    shown = bench.json("replay", "w1", "--from-version", "3", "-e", "plan=1", "--dry-run", "--json")
    assert ("w1", 3, 10, False) == (
        shown["work_id"],
        shown["from_version"],
        shown["newest_version"],
        shown["in_place"],
    )
    assert [{"kind": "changed", "path": "/plan", "old": None, "new": 1}] == shown["differences"]
    assert list(range(4, 11)) == [one["version"] for one in shown["ran_before"]]
    assert shown["refused"] is None
    assert 1 == len(bench.json("list", "--json"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "would begin new work with version 10 of w1"),
        (("--in-place",), "would put w1 back to version 10, as version 11"),
    ],
)
def test_a_dry_run_from_the_newest(bench, more, said):
    """It says that no step ran since, and what would begin."""
    result = bench.invoke("replay", "w1", "--from-version", "10", "--dry-run", *more)
    assert (0, "") == (result.exit_code, result.stdout)
    assert (
        f"roost: no step ran since version 10: it is the newest\nroost: {said}\n" == result.stderr
    )


def test_what_is_not_remembered(bench):
    """It is said that more may happen again, and of which versions nothing is known."""

    def forget(state, _now):
        commits = state.works["w1"].commits
        commits[:] = [one for one in commits if one.version not in (5, 6, 8)]

    bench.ledger.run(forget)
    args = ("replay", "w1", "--from-version", "8", "--dry-run")
    assert "not remembered" not in bench.invoke(*args).stderr
    bench.ledger.run(lambda state, _now: state.works["w1"].commits.pop())
    said = bench.invoke(*args).stderr
    assert "may happen again: 9 look 9\n" in said
    assert (
        "roost: version 10 is not remembered: what its step did outside may happen again, too\n"
        in said
    )
    assert [{"first": 10, "last": 10}] == bench.json(*args, "--json")["not_remembered"]


def test_secrets_in_json(bench):
    """Hidden unless somebody asks."""
    args = ("replay", "w1", "--from-version", "3", "-e", "api_key=k-new", "--dry-run", "--json")
    (hidden,) = bench.json(*args)["differences"]
    assert ("***", "***") == (hidden["old"], hidden["new"])
    (shown,) = bench.json(*args, "--reveal")["differences"]
    assert ("k-old", "k-new") == (shown["old"], shown["new"])


def test_a_patch_that_is_not_whole(bench):
    """It would write the stars into the data."""
    bench.enqueue(work_id="w5", priority=1)
    before, after = ({"api_key": f"k-{n}", "by_token": {f"tok-{n}": n}} for n in (1, 2))
    bench.steps("w5", Snapshot("", "", data=before), Snapshot("", "", data=after))
    patch = json.dumps(bench.json("diff", "w5", "--json")["patch"])
    args = ("replay", "w5", "--from-version", "1", "--work-id", "w6", "--edit")
    for given in (patch, '[{"op": "add", "path": "/api_key", "value": "***"}]'):
        result = bench.invoke(*args, given)
        assert (2, "") == (result.exit_code, result.stdout)
        assert "make the patch with --reveal" in result.stderr
        assert 1 == result.stderr.count("\n")
    patch = json.dumps(bench.json("diff", "w5", "--json", "--reveal")["patch"])
    shown = bench.json(*args, patch, "--dry-run", "--json")["differences"]
    assert ["/api_key", "/by_token"] == [one["path"] for one in shown]
    assert "tok-" not in json.dumps(shown)
    assert 0 == bench.invoke(*args, patch).exit_code
    assert after == data_of(bench, "w6")


def test_in_place(bench):
    """It says which version it has become."""
    result = bench.invoke("replay", "w1", "--from-version", "3", "--in-place")
    said = "w1: put back to version 3, as version 11: it is queued\n"
    assert (0, said) == (result.exit_code, result.stdout)
    assert 3 == data_of(bench, "w1")["n"]


def test_json(bench):
    """What was begun, and from where."""
    found = bench.json("replay", "w1", "--from-version", "3", "--work-id", "w2", "--json")
    expected = {
        "work_id": "w2",
        "version": 4,
        "state": "queued",
        "from": {"work_id": "w1", "version": 3},
    }
    assert expected == found


@pytest.mark.parametrize("is_wanted", [True, False])
def test_it_asks_on_a_terminal(bench, monkeypatch, is_wanted):
    """Only yes begins it, and --yes is an answer."""
    monkeypatch.setattr(replay, "can_be_asked", lambda: True)
    args = ("replay", "w1", "--from-version", "3", "--work-id", "w2")
    result = bench.invoke(*args, stdin="y\n" if is_wanted else "\n")
    assert (0 if is_wanted else 1) == result.exit_code
    assert "Begin new work with version 3 of w1? [y/N]" in result.stderr
    assert is_wanted == ("roost: nothing was begun\n" not in result.stderr)
    assert is_wanted == (len(bench.json("list", "--json")) == 2)
    if not is_wanted:
        assert "w2\n" == bench.invoke(*args, "--yes").stdout


def test_no_is_an_answer_in_place_too(bench, monkeypatch):
    """It says that nothing has happened, as a drop does, and the exit code is 1."""
    monkeypatch.setattr(replay, "can_be_asked", lambda: True)
    args = ("replay", "w1", "--from-version", "3", "--in-place")
    code, printed, told = bench.answered(*args, said="n")
    assert (1, "") == (code, printed)
    assert "Put w1 back to version 3? [y/N]" in told
    assert told.endswith("roost: nothing was put back\n")


RUNNING = "w1 is running, and only work that is not running can be put back: "


@pytest.mark.parametrize(
    ("verb", "then"),
    [
        (None, "`roost pause w1` first"),
        ("pause", "it is pausing, after this step: try again then"),
        ("cancel", "it is cancelling: try again then"),
    ],
)
def test_running_work_is_refused_before_anybody_is_asked(bench, monkeypatch, verb, then):
    """In a dry run, too, whose exit code tells a script the same."""
    bench.claim()
    if verb is not None:
        bench.ok(verb, "w1")
    said = f"roost: {RUNNING}{then}, or leave out --in-place to begin new work"
    args = ("replay", "w1", "--from-version", "10", "--in-place")
    monkeypatch.setattr(replay, "can_be_asked", lambda: True)
    result = bench.invoke(*args, stdin="y\n")
    assert (1, "", f"{said}\n") == (result.exit_code, result.stdout, result.stderr)
    for more in ((), ("-e", "n=7")):
        dry = bench.invoke(*args, *more, "--dry-run")
        assert (1, "") == (dry.exit_code, dry.stdout)
        assert said == dry.stderr.splitlines()[-1]
        assert "would put" not in dry.stderr
    shown = json.loads(bench.invoke(*args, "--dry-run", "--json").stdout)
    assert said == f"roost: {shown['refused']}"
    assert 0 == bench.invoke("replay", "w1", "--from-version", "10", "--dry-run").exit_code


def test_what_else_is_refused_before_anybody_is_asked(bench, monkeypatch):
    """An id that is taken, and a deadline that has passed, unless there is a new one."""
    monkeypatch.setattr(replay, "can_be_asked", lambda: True)
    bench.enqueue(work_id="w2", deadline_seconds=1)
    bench.ok("pause", "w1")
    bench.finish("w2")
    bench.provider.clock.advance(20_000)
    late = ("replay", "w2", "--from-version", "1", "--in-place")
    for args, said in (
        (("replay", "w1", "--from-version", "3", "--work-id", "w2"), "work id w2 is taken"),
        (late, "w2: its deadline has passed: give a new one with --deadline"),
    ):
        for more in ((), ("--dry-run",)):
            result = bench.invoke(*args, *more, stdin="y\n")
            assert (1, "") == (result.exit_code, result.stdout)
            assert said in result.stderr
            assert "[y/N]" not in result.stderr
    dry = bench.invoke(*late, "--deadline", "1h", "--dry-run")
    assert 0 == dry.exit_code
    assert "roost: would put w2 back to version 1, as version 2" in dry.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--from-version", "99"), 1, "w1 has no version 99: the newest is 10"),
        (("--from-version", "0"), 2, "the first version is 1"),
        (("--from-version", "3.0"), 2, "'3.0' is not a version"),
        ((), 2, "Missing option '--from-version'"),
        (("--from-version", "2", "--edit", "{"), 2, "the patch is not JSON"),
        (("--from-version", "2", "--edit", "{}"), 2, "a patch is a list of operations"),
        (("--from-version", "2", "--edit", "@none.json"), 2, "cannot read none.json"),
        (("--from-version", "2", "-e", "nope"), 2, "'nope' is no assignment"),
        (("--from-version", "2", "-e", "todo.9=1"), 2, "/todo has 2 elements, and no 9"),
        (("--from-version", "2", "-e", "api_key=***"), 2, "give the value itself"),
        (("--from-version", "2", "--in-place", "--work-id", "x"), 2, "--in-place keeps the id"),
        (("--from-version", "2", "--deadline", "1h"), 2, "--deadline goes with --in-place"),
        (("--from-version", "2", "--work-id", "w1"), 1, "work id w1 is taken"),
        (("--from-version", "2", "--reason", ""), 2, "a reason"),
    ],
)
def test_what_cannot_be_done(bench, args, code, said):
    """One line says why, and nothing has begun."""
    result = bench.invoke("replay", "w1", *args)
    assert code == result.exit_code
    assert said in result.stderr
    assert "" == result.stdout
    assert 1 == len(bench.json("list", "--json"))


@pytest.mark.parametrize("options", [(), ("--version", "9")])
def test_status_tells_where_work_comes_from_and_led(bench, options):
    """Of a fork its origin, of the origin its forks, the newest first."""
    assert [] == bench.json("status", "w1", *options)["forks"]
    for version in (8, 9):
        bench.invoke("replay", "w1", "--from-version", str(version), "--work-id", f"f{version}")
    origin, fork = (bench.json("status", one, *options) for one in ("w1", "f9"))
    assert [("f9", 9), ("f8", 8)] == [(one["work_id"], one["version"]) for one in origin["forks"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", origin["forks"][0]["at"])
    assert origin["item"]["forked_from"] is None
    assert {"work_id": "w1", "version": 9} == fork["item"]["forked_from"]
    assert [] == fork["forks"]


def test_events_tell_of_forks_and_of_what_was_put_back(bench, monkeypatch):
    """Who did it, from which version, and what came of it: on a terminal, a sentence each."""
    by = ("--as", "bob", "--reason", "wrong plan")
    bench.invoke("replay", "w1", "--from-version", "9", "--work-id", "f9", *by)
    done = bench.invoke("replay", "w1", "--from-version", "3", "--in-place", "--yes", *by)
    assert 0 == done.exit_code, done.stderr
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    origin, fork = (bench.ok("events", "--work", one) for one in ("w1", "f9"))
    who = "by bob (roost replay)"
    assert f"f9 forked from v9 {who}: wrong plan" in origin
    assert f"put back to v3 {who}, was queued: wrong plan" in origin
    assert f"enqueued for echo, queued: forked from w1 v9 {who}: wrong plan" in fork
