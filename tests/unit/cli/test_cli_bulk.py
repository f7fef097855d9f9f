"""Verbs on all that a query is true of, and on ids that are typed in part."""

from __future__ import annotations

import pytest

from roost_core.cli.work import carrying_out
from tests.unit.cli.cli_harness import Bench

VERBS = ("cancel", "pause", "resume", "retry", "bury", "drop")


@pytest.fixture
def bench():
    """Give a queue with two dead letters and three work items that wait."""
    found = Bench()
    for number, message in enumerate(("item 1 said 429", "no route")):
        found.enqueue(work_id=f"dead-{number}")
        found.fail(message)
    for number in range(3):
        found.enqueue(work_id=f"w-{number}", labels={"team": "a" if number else "b"})
    return found


def states(bench):
    """Return the state of each work item."""
    return {row["work_id"]: row["state"] for row in bench.json("list", "--json")}


def test_a_query(bench):
    """What it is true of and the verb fits; the rest is counted, and left alone."""
    result = bench.invoke("retry", "error:429", "--yes")
    assert (0, "dead-0: retried: it is queued\n", "roost: 1 done\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    result = bench.invoke("cancel", "engine:echo", "-label:team=b", "--yes", "--reason", "enough")
    assert 0 == result.exit_code
    assert {"w-1: cancelled", "w-2: cancelled", "dead-0: cancelled"} == {
        *result.stdout.splitlines()
    }
    said = "roost: left alone, because cancel does not fit: 1 failed\nroost: 3 done\n"
    assert said == result.stderr
    assert {"queued"} == {state for work_id, state in states(bench).items() if work_id == "w-0"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_dry_run_changes_nothing(bench, verb):
    """It shows what the verb would be used on."""
    before = states(bench)
    result = bench.invoke(verb, "engine:echo", "--dry-run")
    expected = {"retry": 2, "drop": 2, "resume": 0}.get(verb, 3)
    assert (0, expected) == (result.exit_code, len(result.stdout.splitlines()))
    assert f"{expected} work items would be" in result.stderr
    assert before == states(bench)


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_is_there_to_ask(bench, verb):
    """Without a terminal and without --yes a query changes nothing, and that is wrong usage."""
    bench.ok("pause", "w-0")
    before = states(bench)
    result = bench.invoke(verb, "engine:echo")
    assert 2 == result.exit_code
    assert "Nobody can be asked here: add --yes to go ahead." in result.stderr
    assert before == states(bench)


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 2)])
def test_somebody_is_asked(bench, monkeypatch, answer, code, left):
    """With the number of work items; no leaves all as it is."""
    monkeypatch.setattr(carrying_out, "can_be_asked", lambda: True)
    result = bench.invoke("drop", "state:failed", stdin=answer)
    assert code == result.exit_code
    assert "Drop 2 work items for good, with all artifacts? [y/N]" in result.stderr
    assert left == list(states(bench).values()).count("failed")


def test_nothing_to_do(bench):
    """It says so without a question, and is no failure."""
    result = bench.invoke("resume", "state:failed")
    assert 0 == result.exit_code
    assert "roost: nothing to resume\n" in result.stderr


def test_what_fails_is_counted(bench, monkeypatch):
    """One that fails makes the exit code 1, and does not stop the rest."""
    order = bench.ledger.order

    async def odd(work_id, asked):
        if work_id == "w-1":
            bench.ledger.run(lambda state, now: state.works.pop("w-1"))
        return await order(work_id, asked)

    monkeypatch.setattr(bench.ledger, "order", odd)
    result = bench.invoke("pause", "id:w-*", "--yes")
    assert 1 == result.exit_code
    assert "roost: 2 done, 1 failed\n" in result.stderr
    assert {"w-0: paused", "w-2: paused"} == {*result.stdout.splitlines()}


def test_what_has_changed_meanwhile_is_left_alone(bench, monkeypatch):
    """Between the look and the verb somebody else has acted; that is no failure."""
    monkeypatch.setattr(carrying_out, "can_be_asked", lambda: True)

    def confirm(*_args, **_more):
        bench.ok("pause", "w-1")
        return True

    monkeypatch.setattr(carrying_out.click, "confirm", confirm)
    result = bench.invoke("cancel", "label:team=a")
    assert 0 == result.exit_code
    assert "roost: 1 left alone: changed meanwhile, 1 done\n" in result.stderr or (
        "roost: 1 done, 1 left alone: changed meanwhile\n" in result.stderr
    )
    assert ("paused", "cancelled") == (states(bench)["w-1"], states(bench)["w-2"])


def test_a_short_id(bench):
    """One id may be typed in part, if only one begins so; several are typed in full."""
    assert "dead-1: retried: it is queued\n" == bench.ok("retry", "dead-1")
    assert "dead-0: retried: it is queued\n" == bench.invoke("retry", "dead-0").stdout
    result = bench.invoke("cancel", "w-")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "several work items begin with 'w-': w-0, w-1, w-2" in result.stderr
    bench.enqueue(work_id="only-one")
    assert "only-one: cancelled\n" == bench.ok("cancel", "only")
    assert 1 == bench.invoke("cancel", "only", "w-1").exit_code
    assert "only-one: dropped\n" == bench.ok("drop", "on", "--yes")


def test_what_cannot_be(bench):
    """A query is read before anything is done; --dry-run is for one."""
    result = bench.invoke("cancel", "stat:failed")
    assert (2, True) == (result.exit_code, "query, at character 1" in result.stderr)
    assert 2 == bench.invoke("cancel", "w-0", "--dry-run").exit_code
    assert 2 == bench.invoke("cancel", "a/b").exit_code
    assert 2 == bench.invoke("pause", "--engine", "echo", "state:queued").exit_code


def test_retries_are_spread(bench):
    """Over the time that is given."""
    bench.invoke("retry", "state:failed", "--yes", "--over", "10m")
    waits = [row["due_at"] for row in bench.json("list", "id:dead-*", "--json")]
    assert 1 == waits.count(None)
