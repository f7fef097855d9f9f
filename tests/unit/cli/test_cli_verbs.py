"""The commands for verbs over a queue in memory: what they print where, and how they exit."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
from datetime import datetime, timedelta

import pytest

from roost_core.backend import Failure
from roost_core.cli import output
from roost_core.cli.work import carrying_out, verbs
from roost_core.client import control
from roost_core.codec.records import encode_model
from roost_core.codec.times import from_milliseconds
from roost_core.errors import BackendUnavailable
from roost_core.models import ErrorRecord
from tests.unit.cli.cli_harness import Bench

VERBS = ["cancel", "pause", "resume", "retry", "bury", "drop"]


@pytest.fixture
def bench():
    """Give a queue in memory with a command line, and the work items w1 and w2."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    bench.enqueue(work_id="w2")
    return bench


def act(bench):
    """Return what was last done to w1."""
    return bench.json("status", "w1")["meta"]["act"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["cancel w1"], "w1: cancelled"),
        (["cancel w1", "cancel w1"], "w1: already cancelled"),
        (["pause w1"], "w1: paused"),
        (["pause w1", "pause w1"], "w1: already paused"),
        (["pause w1", "resume w1"], "w1: resumed: it is queued"),
        (["resume w1"], "w1: nothing to resume: it is queued"),
        (["bury w1"], "w1: buried"),
        (["bury w1", "bury w1"], "w1: already a dead letter"),
        (["bury w1", "retry w1"], "w1: retried: it is queued"),
        (["cancel w1", "retry w1 --delay-seconds 10m"], "w1: retried: it is sleeping"),
        (["cancel w1", "drop w1 --yes"], "w1: dropped"),
        (["cancel w1 w2"], "w1: cancelled\nw2: cancelled"),
        (["cancel w1 w2 w1"], "w1: cancelled\nw2: cancelled"),
    ],
)
def test_what_a_verb_says(bench, lines, said):
    """One line for each work item; what is so already is said, and no error."""
    for line in lines:
        found = bench.ok(*line.split())
    assert f"{said}\n" == found


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("cancel", "cancelling: its step is told to stop"),
        ("pause", "pausing, after this step"),
        ("bury", "burying: its step is told to stop"),
    ],
)
def test_running_work(bench, monkeypatch, verb, said):
    """What is requested is not called done: neither by the verb nor by what shows the work."""
    bench.claim()
    assert f"w1: {said}\n" == bench.ok(verb, "w1")
    meta = bench.json("status", "w1")["meta"]
    assert ("running", verb, None) == (meta["state"], meta["wish"], meta["act"]["confirmed_at"])
    assert verb == bench.json("list", "--json")[1]["wish"]
    assert "\trunning\t" in bench.ok("list")
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    shown = " ".join(bench.invoke("list").stdout.split())
    assert f"running ({re.split('[,:]', said)[0]})" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_who_and_why(bench, verb):
    """They are kept with the work; without a name, the setting or the user stands for it."""
    for before in {"retry": ["bury"], "resume": ["pause"], "drop": ["cancel"]}.get(verb, []):
        bench.ok(before, "w1")
    yes = ["--yes"] if verb == "drop" else []
    bench.ok(verb, "w1", "--reason", "no use", "--as", "alice", *yes)
    if verb == "drop":
        (event,) = asyncio.run(bench.ledger.events(work_id="w1", limit=1))
        assert ("alice", "roost drop", "no use") == tuple(
            event.data[name] for name in ("who", "tool", "reason")
        )
        return
    actor = {"who": "alice", "tool": f"roost {verb}", "reason": "no use"}
    assert (verb, actor) == (act(bench)["verb"], act(bench)["actor"])


def test_the_setting_names_who(bench, monkeypatch):
    """ROOST_ACTOR does, unless --as does; a reason with a secret is hidden where it is shown."""
    monkeypatch.setenv("ROOST_ACTOR", "ci")
    bench.ok("pause", "w1", "--reason", "see redis://:hunter2@db")
    assert "ci" == act(bench)["actor"]["who"]
    assert "hunter2" not in json.dumps(act(bench))
    bench.ok("resume", "w1", "--as", "bob")
    assert "bob" == act(bench)["actor"]["who"]


def test_what_does_not_fit_is_one_line(bench):
    """On standard error, with the state and what to do; the exit code is 1."""
    bench.finish("w1")
    result = bench.invoke("retry", "w1")
    assert (1, "") == (result.exit_code, result.stdout)
    text = "roost: w1 is done: only a dead letter or cancelled work can be retried\n"
    assert text == result.stderr


def test_one_that_fails_does_not_stop_the_rest(bench):
    """All are tried, each says what became of it, and the exit code is 1."""
    bench.finish("w1")
    result = bench.invoke("cancel", "w1", "w-none", "w2")
    assert (1, "w2: cancelled\n") == (result.exit_code, result.stdout)
    first, second = result.stderr.splitlines()
    assert first.startswith("roost: w1 is done: only work that has not ended")
    assert second.startswith("roost: no work item 'w-none' in the queue 'default'")


def test_json(bench):
    """An array with one object for each, those that failed included."""
    bench.finish("w1")
    bench.claim()
    result = bench.invoke("cancel", "w1", "w-none", "w2", "--json")
    assert 1 == result.exit_code
    done, none, running = json.loads(result.stdout)
    assert {
        "work_id": "w2",
        "verb": "cancel",
        "outcome": "requested",
        "state": "running",
        "wish": "cancel",
        "error": None,
    } == running
    assert ("unfit", "missing") == (done["outcome"], none["outcome"])
    assert "w1 is done" in done["error"]
    assert set(running) == set(done) == set(none)


def test_a_server_that_goes_away(bench, monkeypatch):
    """The line names the work item: nobody knows whether it was done."""

    async def order(*_):
        raise BackendUnavailable("the server does not answer")

    monkeypatch.setattr(bench.ledger, "order", order)
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.0)
    result = bench.invoke("cancel", "w1")
    assert (1, "roost: w1: the server does not answer\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_server_that_goes_away_from_many(bench, monkeypatch, as_json):
    """One line for all; no more are tried, and what was done until then is told."""
    names = [f"n{number}" for number in range(100)]
    for name in names:
        bench.enqueue(work_id=name)
    ordered, asked = bench.ledger.order, []

    async def order(work_id, what):
        asked.append(work_id)
        if work_id not in ("n0", "n1", "n4"):
            raise BackendUnavailable("the server does not answer")
        return await ordered(work_id, what)

    monkeypatch.setattr(bench.ledger, "order", order)
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.0)
    result = bench.invoke("cancel", *names, *(["--json"] if as_json else []))
    tried = len(asked)
    assert tried < 40
    text = f"the server does not answer; stopped: no answer about {tried - 3} work items, "
    text += f"{100 - tried} not tried; the same command again continues with the rest"
    assert (1, f"roost: {text}\n") == (result.exit_code, result.stderr)
    if as_json:
        outcomes = {one["work_id"]: one["outcome"] for one in json.loads(result.stdout)}
        assert names == [*outcomes]
        assert ["done", "done", "error", "error", "done"] == [outcomes[one] for one in names[:5]]
        assert ["untried"] * (100 - tried) == [*outcomes.values()][tried:]
    else:
        done = [f"{name}: cancelled" for name in ("n0", "n1", "n4")]
        assert done == result.stdout.splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_without_an_id(bench, verb):
    """That is a usage error."""
    result = bench.invoke(verb)
    assert 2 == result.exit_code
    assert "Missing argument 'WORK_ID...|QUERY'" in result.stderr


@pytest.mark.parametrize("wrong", [["a b"], ["w1", "--as", ""], ["w1", "--reason", "a\nb"]])
def test_what_cannot_be_accepted(bench, wrong):
    """It is refused before anything is sent."""
    assert 2 == bench.invoke("cancel", *wrong).exit_code
    assert "queued" == bench.json("status", "w1")["meta"]["state"]


# -- retry -------------------------------------------------------------------------------------


def test_retry_with_new_limits(bench):
    """They are the work's from then on."""
    bench.ok("bury", "w1")
    bench.ok("retry", "w1", "--attempts", "9", "--max-steps", "7", "--deadline", "2h")
    meta = bench.json("status", "w1")["meta"]
    assert (9, 7) == (meta["max_attempts"], meta["max_steps"])
    assert None is not meta["deadline_at"]


def test_retry_of_many_is_spread(bench):
    """Evenly, in the order in which they are named; the first begins at once."""
    ids = ["w1", "w2", *(bench.enqueue(work_id=f"w{number}") for number in range(3, 6))]
    bench.ok("bury", *ids)
    said = bench.ok("retry", *ids, "--over", "100").splitlines()
    assert ["w1: retried: it is queued", "w2: retried: it is sleeping"] == said[:2]
    rows = {row["work_id"]: row["due_at"] for row in bench.json("list", "--json")}
    now = from_milliseconds(bench.provider.clock.now_ms())
    due = [None if rows[one] is None else datetime.fromisoformat(rows[one]) for one in ids]
    assert [None, *(now + timedelta(seconds=at) for at in (20, 40, 60, 80))] == due


def test_retry_of_what_is_late(bench):
    """The option that mends it is named."""
    bench.enqueue(work_id="w3", deadline_seconds=10)
    bench.ok("cancel", "w3")
    bench.provider.clock.advance(20_000)
    result = bench.invoke("retry", "w3")
    assert 1 == result.exit_code
    assert "w3: its deadline has passed: give a new one with --deadline" in result.stderr


# -- drop --------------------------------------------------------------------------------------


def test_drop_asks_nobody_without_a_terminal(bench):
    """It needs --yes there, and does nothing without."""
    bench.ok("cancel", "w1")
    result = bench.invoke("drop", "w1")
    assert 2 == result.exit_code
    assert "add --yes" in result.stderr
    assert "cancelled" == bench.json("status", "w1")["meta"]["state"]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_drop_asks_on_a_terminal(bench, monkeypatch, answer, code):
    """Only a yes is one."""
    bench.ok("cancel", "w1", "w2")
    monkeypatch.setattr(carrying_out, "can_be_asked", lambda: True)
    result = bench.invoke("drop", "w1", "w2", stdin=answer)
    assert code == result.exit_code
    assert "Remove 2 work items for good, with all artifacts? [y/N]" in result.stderr
    assert ("nothing was dropped" in result.stderr) == bool(code)
    left = len(bench.json("list", "--json"))
    assert (2 if code else 0) == left


def test_drop_does_not_ask_for_what_cannot_be(bench, monkeypatch):
    """The refusal comes before the question, unless some of the work can be dropped."""
    for module in (verbs, carrying_out):
        monkeypatch.setattr(module, "can_be_asked", lambda: True)
    text = "roost: w1 is queued: only work that has ended can be dropped: `roost cancel w1` first\n"
    for words, said in (
        (["w1"], text),
        (["w1", "w2"], f"{text}{text.replace('w1', 'w2')}"),
        (["none"], "roost: no work item 'none' in the queue"),
        (["w"], "roost: no work item 'w': what changes work takes a whole id, and w1, w2 begin so"),
    ):
        result = bench.invoke("drop", *words, stdin="y\n")
        assert (1, "") == (result.exit_code, result.stdout)
        assert result.stderr.startswith(said)
        assert "[y/N]" not in result.stderr
    bench.ok("cancel", "w1")
    code, printed, told = bench.answered("drop", "w1", "w2", said="y")
    assert (1, "w1: dropped\n") == (code, printed)
    assert "Remove 2 work items for good, with all artifacts? [y/N]" in told


def test_drop_says_what_is_left(bench, monkeypatch):
    """The work is gone; what a worker still has to remove is named."""

    def refuse(*_):
        raise OSError("the disk is away")

    bench.ok("cancel", "w1")
    monkeypatch.setattr(bench.provider.store, "forget", refuse)
    result = bench.invoke("drop", "w1", "--yes")
    assert (0, "w1: dropped\n") == (result.exit_code, result.stdout)
    text = "roost: w1: something of it is left for a worker to remove: the disk is away\n"
    assert text == result.stderr


# -- engines -----------------------------------------------------------------------------------


def test_engines_are_held(bench):
    """A line says how to release it; that nobody offers it is said, too."""
    result = bench.invoke("pause", "--engine", "echo")
    text = "echo: held: no worker takes its work until `roost resume --engine echo`\n"
    assert (0, text) == (result.exit_code, result.stdout)
    assert "no live worker offers the engine 'echo'; it is held anyway" in result.stderr
    assert bench.invoke("pause", "--engine", "echo").stdout.startswith("echo: already held: ")
    with pytest.raises(IndexError):
        bench.claim()
    assert "echo: released: workers take its work again\n" == bench.ok("resume", "--engine", "echo")
    assert "echo: nothing to resume: not held\n" == bench.ok("resume", "--engine", "echo")
    assert [{"engine": "echo", "verb": "resume", "outcome": "already"}] == bench.json(
        "resume", "--engine", "echo", "--json"
    )


def test_that_an_engine_was_held_is_an_event(bench):
    """Who held and released it, with what, and why; of no work item."""
    bench.invoke("pause", "--engine", "echo", "--as", "alice", "--reason", "down")
    bench.ok("resume", "--engine", "echo", "--as", "bob")
    who = {"who": "alice", "tool": "roost pause", "reason": "down"}
    held, released = [json.loads(line) for line in bench.ok("events", "--json").splitlines()][-2:]
    assert ("engine_held", "-", "echo", "paused", who) == (
        held["kind"],
        held["work_id"],
        held["engine"],
        held["state"],
        held["data"],
    )
    assert {"who": "bob", "tool": "roost resume"} == released["data"]
    cells = [line.split("\t")[1:6] for line in bench.ok("events").splitlines()][-2:]
    assert [
        ["engine_held", "-", "echo", "0", "paused"],
        ["engine_released", "-", "echo", "0", "queued"],
    ] == cells
    of_work = bench.ok("events", "--work", "w1")
    assert "engine_held" not in of_work


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_engine_or_ids(bench, verb):
    """Not both: it would not be clear what is meant."""
    result = bench.invoke(verb, "w1", "--engine", "echo")
    assert 2 == result.exit_code
    assert "no ids go with it" in result.stderr


# -- looking -----------------------------------------------------------------------------------


def test_watch_says_who_cancelled(bench):
    """Its last line names them, and why."""
    bench.ok("cancel", "w1", "--as", "alice", "--reason", "no use")
    result = bench.invoke("watch", "w1")
    assert 1 == result.exit_code
    assert "roost: w1 is cancelled by alice (roost cancel): no use\n" == result.stderr


def test_watch_does_not_blame_an_earlier_error(bench):
    """Work that was cancelled while it waited for another attempt was ended by a person."""
    error = encode_model(ErrorRecord(kind="exception", message="it broke"))
    lease = bench.claim().lease
    asyncio.run(bench.ledger.fail(lease, Failure("f0", error, permanent=False, delay_ms=1000)))
    bench.ok("cancel", "w1", "--as", "alice")
    result = bench.invoke("watch", "w1")
    assert "roost: w1 is cancelled by alice (roost cancel)\n" == result.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE])
def test_all_is_done_though_it_cannot_be_printed(bench, monkeypatch, number):
    """What was asked for is not to break off where a disk is full, or a reader has left."""
    ids = [bench.enqueue(work_id=f"many-{at:03}") for at in range(100)]

    def full(text):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(output, "data", full)
    monkeypatch.setattr(output, "give_up_printing", lambda error: error.errno == number)
    assert 1 == bench.invoke("cancel", *ids).exit_code
    assert {"cancelled"} == {bench.read(one).meta.state for one in ids}
