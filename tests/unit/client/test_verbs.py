"""The verbs of the client: what they do, what they return, and how they fail."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket

import attrs
import pytest

from roost_core.backend import Control, OrderAnswer, OrderOutcome
from roost_core.errors import (
    BackendError,
    CorruptRecord,
    InvalidInput,
    RoostError,
    VerbUnfit,
    WorkNotFound,
    WrittenByNewer,
)
from roost_core.models import Actor, State, Verb
from roost_core.models.checks import MAX_ACTOR
from roost_core.testing import MemoryLedger
from tests.unit.cli.cli_harness import Bench
from tests.unit.client.verbs_bench import run, status, unanswered, use

VERBS = [verb.value for verb in Verb]


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


@pytest.mark.parametrize(
    ("verbs", "state", "said"),
    [
        (["cancel"], "cancelled", "cancelled"),
        (["cancel", "cancel"], "cancelled", "already cancelled"),
        (["pause"], "paused", "paused"),
        (["pause", "pause"], "paused", "already paused"),
        (["pause", "resume"], "queued", "resumed: it is queued"),
        (["resume"], "queued", "nothing to resume: it is queued"),
        (["retry"], "queued", "nothing to retry: it is queued"),
        (["bury"], "failed", "buried"),
        (["bury", "bury"], "failed", "already a dead letter"),
        (["bury", "retry"], "queued", "retried: it is queued"),
        (["cancel", "drop"], None, "dropped"),
    ],
)
def test_what_a_verb_comes_to(bench, verbs, state, said):
    """Done or already so; the result says where the work stands, and can say it to people."""
    for verb in verbs:
        found = use(bench, verb)
    already = verbs in (["resume"], ["retry"]) or len(set(verbs)) < len(verbs)
    outcome = OrderOutcome.ALREADY if already else OrderOutcome.DONE
    assert ("w1", verbs[-1], outcome, state) == (
        found.work_id,
        found.verb,
        found.outcome,
        found.state,
    )
    assert said == str(found)


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("cancel", "cancelling: its step is told to stop"),
        ("pause", "pausing, after this step"),
        ("bury", "burying: its step is told to stop"),
    ],
)
def test_running_work_has_a_step_to_end_first(bench, verb, said):
    """That is requested, and the standing says so until it is done."""
    bench.claim()
    found = use(bench, verb, reason="no use", actor="alice")
    assert (OrderOutcome.REQUESTED, State.RUNNING, Verb(verb), said) == (
        found.outcome,
        found.state,
        found.wish,
        str(found),
    )
    meta = status(bench)
    assert (State.RUNNING, Verb(verb)) == (meta.state, meta.wish)
    assert (Verb(verb), Actor("alice", "python", "no use"), None) == (
        meta.act.verb,
        meta.act.actor,
        meta.act.confirmed_at,
    )
    assert f"already {said.partition(':')[0]}" == str(use(bench, verb))


def test_a_pause_can_be_taken_back(bench):
    """While the step runs that it waits for."""
    bench.claim()
    use(bench, "pause")
    found = use(bench, "resume")
    assert "resumed: it does not pause after this step" == str(found)
    assert None is status(bench).wish


# -- who ---------------------------------------------------------------------------------------


def test_who_it_was(bench):
    """As given, else as set, else this process's user and host."""
    assert f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}" == run(
        bench, lambda roost: _who(roost)
    )
    assert "ci" == run(bench, lambda roost: _who(roost), actor="ci")
    assert "bob" == run(bench, lambda roost: _who(roost, actor="bob"), actor="ci")
    tool = Actor("carol", "the console", "hers")
    assert tool == run(bench, lambda roost: _actor(roost, actor=tool))
    other = run(bench, lambda roost: _actor(roost, actor=tool, reason="mine"))
    assert Actor("carol", "the console", "mine") == other


async def _actor(roost, **fields):
    await roost.work("w1").resume()
    await roost.work("w1").pause(**fields)
    return (await roost.work("w1").status()).meta.act.actor


async def _who(roost, **fields):
    return (await _actor(roost, **fields)).who


def test_a_user_without_a_name(bench, monkeypatch):
    """As in some containers: its number stands for it; what is odd in a host's name is not kept."""

    def none(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", none)
    monkeypatch.setattr(socket, "gethostname", lambda: "h\n" + "o" * 200)
    who = run(bench, lambda roost: _who(roost))
    assert MAX_ACTOR == len(who)
    assert who.rpartition("@")[0].isdigit()
    assert "@h?ooo" in who


@pytest.mark.parametrize("wrong", [{"actor": ""}, {"actor": "x" * 101}, {"reason": "a\nb"}])
def test_names_and_reasons_are_checked(bench, wrong):
    """Before anything is sent."""
    with pytest.raises(InvalidInput):
        use(bench, "cancel", **wrong)
    assert State.QUEUED is status(bench).state


# -- how they fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_work_that_is_not_there(bench, verb):
    """Each says so, and what to do."""
    with pytest.raises(WorkNotFound, match="'w-none' in the queue 'default': `roost list`"):
        use(bench, verb, "w-none")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_needs_an_open_connection(bench, verb):
    """Before it is entered."""
    with pytest.raises(RoostError, match="async with"):
        asyncio.run(getattr(bench.roost().work("w1"), verb)())


@pytest.mark.parametrize(
    ("before", "verb", "text"),
    [
        ([], "drop", "w1 is queued: only work that has ended can be dropped: `roost cancel w1`"),
        (["pause"], "retry", "w1 is paused: `roost resume w1` lets it continue"),
        (
            ["cancel"],
            "resume",
            "w1 is cancelled: only paused work can be resumed; `roost retry w1`",
        ),
        (["cancel"], "bury", "w1 is cancelled: only work that has not ended can be buried"),
        (["bury"], "cancel", "w1 is failed: only work that has not ended can be cancelled"),
        (["bury"], "pause", "w1 is failed: only work .* be paused; `roost retry w1` puts it back"),
        (
            ["run", "cancel"],
            "pause",
            r"w1 is running \(cancelling\): it is cancelled when its step",
        ),
        (["run", "bury"], "cancel", r"w1 is running \(burying\): it is buried when its step"),
        (["run", "cancel"], "drop", "when its step has ended; then `roost drop w1` can be used$"),
        (["run", "pause"], "drop", r"w1 is running \(pausing, after this step\): only work"),
        (["done"], "retry", "w1 is done: only a dead letter or cancelled work can be retried"),
    ],
)
def test_a_verb_that_does_not_fit(bench, before, verb, text):
    """One line names the state, and what to do."""
    for one in before:
        if one == "run":
            bench.claim()
        elif one == "done":
            bench.finish("w1")
        else:
            use(bench, one)
    with pytest.raises(VerbUnfit, match=text) as caught:
        use(bench, verb)
    assert 1 == caught.value.exit_code
    assert "\n" not in str(caught.value)


def test_work_of_a_newer_roost(bench, monkeypatch):
    """It is left to that."""

    async def order(_work_id, _order):
        return OrderAnswer(OrderOutcome.NEWER)

    async def newer(work_id):
        return attrs.evolve(await read(work_id), newer_layout=99)

    read = bench.ledger.read
    monkeypatch.setattr(bench.ledger, "order", order)
    monkeypatch.setattr(bench.ledger, "read", newer)
    with pytest.raises(WrittenByNewer, match="a newer Roost wrote w1"):
        use(bench, "cancel")


def test_a_record_that_does_not_decode(bench, monkeypatch):
    """It can be dropped, and that is all."""

    async def order(_work_id, _order):
        return OrderAnswer(OrderOutcome.CORRUPT)

    monkeypatch.setattr(bench.ledger, "order", order)
    with pytest.raises(CorruptRecord, match="w1: its record does not decode: it can only be drop"):
        use(bench, "cancel")


def test_a_backend_without_verbs(bench, monkeypatch):
    """It says that it does not offer them."""
    for name in ("order", "halt", "unhalt", "halts"):
        monkeypatch.delattr(MemoryLedger, name)
    assert Control.order is MemoryLedger.order
    with pytest.raises(BackendError, match="this backend does not offer it: cancel w1"):
        use(bench, "cancel")
    with pytest.raises(BackendError, match="does not offer it: holding the engine echo"):
        run(bench, lambda roost: roost.engine("echo").hold())
    assert [] == run(bench, lambda roost: roost.held_engines())


@pytest.mark.parametrize("verb", ["cancel", "pause", "bury"])
@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_reply(bench, monkeypatch, verb, applied):
    """The order is repeated under the same id, and so counts once."""
    asked = unanswered(monkeypatch, bench.ledger, "order", 2, applied)
    found = use(bench, verb)
    assert OrderOutcome.DONE is found.outcome
    assert 1 == len({order.request_id for _, order in asked})
    events = asyncio.run(bench.ledger.events(work_id="w1"))
    assert 2 == len(events)


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("verb", ["hold", "release"])
def test_a_lost_reply_about_an_engine(bench, monkeypatch, verb, applied):
    """The request is repeated under the same id: it is new to who asked, and one event."""
    if verb == "release":
        run(bench, lambda roost: roost.engine("echo").hold())
    name = "halt" if verb == "hold" else "unhalt"
    asked = unanswered(monkeypatch, bench.ledger, name, 2, applied)
    assert run(bench, lambda roost: getattr(roost.engine("echo"), verb)(actor="alice"))
    assert 1 == len({request for *_, request in asked})
    kind = "engine_held" if verb == "hold" else "engine_released"
    events = asyncio.run(bench.ledger.events())
    assert ["alice"] == [one.data["who"] for one in events if one.kind == kind][-1:]
    assert 1 == len([one for one in events if one.kind == kind])


@pytest.mark.parametrize("given", ["alice", Actor("alice", "console", "token=abc")])
def test_a_secret_in_a_reason_is_not_kept(bench, given):
    """Neither with the work, nor in its events, nor with an engine."""
    reason = "login failed with password=hunter2"
    use(bench, "pause", reason=reason if given == "alice" else None, actor=given)
    expected = "login failed with password=***" if given == "alice" else "token=***"
    assert expected == status(bench).act.actor.reason
    run(bench, lambda roost: roost.engine("echo").hold(reason=reason, actor=given))
    told = [one.data["reason"] for one in asyncio.run(bench.ledger.events()) if "who" in one.data]
    assert [expected, "login failed with password=***"] == told
