"""Why work does not run: facts in, one sentence, the facts and the commands out."""

from __future__ import annotations

import attrs
import pytest

from roost_core.backend import Facts, Halt, Obstacle, Pace, StoredWork
from roost_core.codec.records import encode_model
from roost_core.codec.times import from_milliseconds
from roost_core.models import (
    Act,
    Actor,
    ErrorRecord,
    Event,
    Heartbeat,
    State,
    Stuck,
    Verb,
    WorkerInfo,
)
from roost_core.shown.why import explain

NOW_MS = 1_800_000_000_000
NOW = from_milliseconds(NOW_MS)
ALICE = Actor("alice", "roost pause", "the site is down")
START = "roost worker --plugin PATH --engines crawl"


def at(seconds):
    """Return a time, in seconds from now."""
    return NOW_MS + round(seconds * 1000)


def worker(worker_id="host-1", **fields):
    """Make a worker's own words, seen a second ago."""
    info = WorkerInfo(worker_id, "box", 77, ("crawl",), 10, 15.0, "1", NOW)
    return encode_model(attrs.evolve(info, **fields)), at(-1)


def facts(state=State.QUEUED, *, work=None, **fields):
    """Make facts: by default of work that waits for a worker that is there."""
    known = {"version": 3, "max_attempts": 5, "updated_ms": at(-5), "created_ms": at(-500)}
    known.update(work or {})
    stored = StoredWork("w1", "crawl", state, **known)
    fields.setdefault("offering", 1)
    fields.setdefault("workers", (worker(),))
    return Facts(stored, NOW_MS, **fields)


def running(*, work=None, **fields):
    """Make facts of work that runs since five seconds ago."""
    known = {
        "worker_id": "host-1",
        "expires_ms": at(10),
        "leased_ms": at(-20),
        "committed_ms": at(-5),
        "step": "read",
    }
    known.update(work or {})
    fields.setdefault("holder", worker())
    return facts(State.RUNNING, work=known, **fields)


def act(verb, *, confirmed=True):
    """Make what alice did a minute ago."""
    when = from_milliseconds(at(-60))
    return Act(verb, ALICE, when, when if confirmed else None)


def error(kind="exception", message="upstream said 500", error_type="RuntimeError"):
    """Make an encoded error."""
    return encode_model(ErrorRecord(kind, message, error_type))


def event(kind, version=3, state=State.SLEEPING, **data):
    """Make an event of the work item's trail."""
    return Event(f"{NOW_MS - 1000}-0", NOW, kind, "w1", "crawl", version, state, data)


HALT = Halt("crawl", ALICE, at(-600))
HELD = Obstacle("domain:a", True, "w9", "crawl", "host-2", at(7), 0)

CASES = [
    (
        facts(offering=0, workers=(), others=2),
        "No live worker offers engine crawl.",
        [START],
    ),
    (
        facts(halt=HALT, offering=0, workers=()),
        "No worker takes it: engine crawl has been held by alice for 10 m: the site is down.",
        ["roost resume --engine crawl"],
    ),
    (
        facts(ahead=0),
        "It is next in line of engine crawl, and waits for a free lane.",
        [],
    ),
    (
        facts(ahead=214, pace=Pace(60_000, 900, 43)),
        "214 ahead of it in line of engine crawl; at the present rate its turn comes in about 5 m.",
        [START],
    ),
    (
        facts(ahead=214, pace=Pace(60_000, 0, 0)),
        "214 ahead of it in line of engine crawl; how fast the line moves is not known yet.",
        [START],
    ),
    (
        facts(ahead=3, workers=(worker(stuck=Stuck(from_milliseconds(at(-40)), "a.py:8")),)),
        "Every live worker that offers engine crawl hangs.",
        ["kill 77    # on box", START],
    ),
    (
        facts(),
        "It is ready: a worker for engine crawl takes it soon.",
        [],
    ),
    (
        facts(ahead=0, obstacle=HELD),
        "It waits for the resource domain:a, held by w9, whose lease ends in 7 s unless it is "
        "renewed.",
        ["roost why w9"],
    ),
    (
        facts(State.BLOCKED, obstacle=attrs.evolve(HELD, ahead=2)),
        "It waits for the resource domain:a, held by w9, whose lease ends in 7 s unless it is "
        "renewed; 2 others before it.",
        ["roost why w9"],
    ),
    (
        facts(State.BLOCKED, obstacle=Obstacle("domain:a", False, "w9", "crawl", ahead=1)),
        "It waits for the resource domain:a, which is reserved for w9, earlier in its line.",
        ["roost why w9"],
    ),
    (
        facts(State.BLOCKED),
        "What it waited for is free: it is made ready with the next renewal.",
        [],
    ),
    (
        facts(ahead=0, work={"suspicions": 2}),
        "2 workers died or fell silent while they ran it: it waits for a worker that runs nothing "
        "else.",
        [f"{START} --concurrency 1"],
    ),
    (
        facts(ahead=0, work={"deadline_ms": at(-3)}),
        "Its deadline passed 3 s ago: the next claim buries it.",
        ["roost bury w1", "roost retry w1 --deadline 2h"],
    ),
    (
        facts(set_aside=4),
        "A newer Roost wrote it (layout 4): it waits for a worker that knows it; upgrade the "
        "workers.",
        ["roost doctor", "roost why w1"],
    ),
    (
        facts(State.WAITING, work={"newer_layout": 4}),
        "A newer Roost wrote it (layout 4): it waits for a worker that knows it; upgrade the "
        "workers.",
        ["roost doctor", "roost why w1"],
    ),
    (
        facts(State.SLEEPING, work={"due_ms": at(300)}),
        "It sleeps, because its step asked for a delay; due in 5 m.",
        [],
    ),
    (
        facts(State.SLEEPING, work={"due_ms": at(300), "version": 0}),
        "It sleeps, because it was enqueued with a delay; due in 5 m.",
        [],
    ),
    (
        facts(State.SLEEPING, work={"due_ms": at(-2)}),
        "It was due 2 s ago: the next claim makes it ready.",
        [],
    ),
    (
        facts(State.SLEEPING, work={"due_ms": at(-2)}, offering=0, workers=()),
        "It was due 2 s ago, but no live worker offers engine crawl.",
        [START],
    ),
    (
        facts(State.RETRY_WAIT, work={"due_ms": at(8), "attempts": 2, "error": error()}),
        "It waits for attempt 3 of 5, after RuntimeError: upstream said 500; due in 8 s.",
        [],
    ),
    (
        facts(State.RETRY_WAIT, work={"due_ms": at(8)}),
        "It waits for certainty: its worker fell silent, and may yet come back; due in 8 s.",
        [],
    ),
    (
        facts(State.WAITING),
        "It waits for something that this Roost does not know.",
        ["roost doctor"],
    ),
    (
        facts(State.PAUSED, work={"act": act(Verb.PAUSE)}),
        "It was paused by alice (roost pause): the site is down (60 s ago).",
        ["roost resume w1"],
    ),
    (
        facts(State.PAUSED, work={"act": act(Verb.PAUSE), "due_ms": at(300)}),
        "It was paused by alice (roost pause): the site is down (60 s ago). "
        "Resumed, it is due in 5 m.",
        ["roost resume w1"],
    ),
    (
        running(),
        'It runs on host-1: version 3, after "read"; the step has run for 5 s.',
        [],
    ),
    (
        running(work={"wish": Verb.CANCEL, "act": act(Verb.CANCEL, confirmed=False)}),
        "It is running (cancelling). alice asked 60 s ago. Its step has been told to stop; it ends "
        "when that lets go, or with its lease: the lease ends in 10 s unless it is renewed.",
        [],
    ),
    (
        running(work={"wish": Verb.PAUSE, "act": act(Verb.PAUSE, confirmed=False)}),
        "It is running (pausing, after this step). alice asked 60 s ago.",
        ["roost resume w1"],
    ),
    (
        running(holder=worker(stuck=Stuck(from_milliseconds(at(-40)), "a.py:8 in step", "w1"))),
        "Its worker has hung for 40 s, in its step, at a.py:8 in step.",
        ["kill 77    # on box"],
    ),
    (
        running(holder=worker(stuck=Stuck(from_milliseconds(at(-40)), "a.py:8 in step", "w2"))),
        "Its worker has hung for 40 s, in a step of w2, at a.py:8 in step.",
        ["kill 77    # on box"],
    ),
    (
        running(work={"expires_ms": at(-4)}),
        "The lease of host-1 ran out 4 s ago: the next claim takes it back.",
        [],
    ),
    (
        running(work={"expires_ms": at(-4)}, offering=0, workers=()),
        "The lease of host-1 ran out 4 s ago, and no live worker offers engine crawl.",
        [START],
    ),
    (
        running(holder=(b"", 0)),
        "Its worker host-1 is not in the register; the lease ends in 10 s unless it is renewed, "
        "and then it is taken back.",
        [],
    ),
    (
        facts(State.DONE, work={"finished_ms": at(-7200), "version": 22}),
        "It was done 2 h ago, at version 22.",
        [],
    ),
    (
        facts(State.FAILED, work={"finished_ms": at(-60), "attempts": 5, "error": error()}),
        "It is a dead letter, because RuntimeError: upstream said 500, after 5 attempts "
        "(60 s ago).",
        ["roost retry w1"],
    ),
    (
        facts(
            State.FAILED,
            work={"finished_ms": at(-60), "error": error("deadline", "its deadline passed", None)},
        ),
        "It is a dead letter, because deadline: its deadline passed (60 s ago).",
        ["roost retry w1 --deadline 2h"],
    ),
    (
        facts(
            State.FAILED,
            work={"finished_ms": at(-60), "error": error("buried", "buried by alice: no", None)},
        ),
        "It is a dead letter: buried by alice: no (60 s ago).",
        ["roost retry w1"],
    ),
    (
        facts(State.CANCELLED, work={"finished_ms": at(-60), "act": act(Verb.CANCEL)}),
        "It was cancelled by alice (roost pause): the site is down (60 s ago).",
        ["roost retry w1"],
    ),
    (
        Facts(StoredWork("w1", "?", State.FAILED), NOW_MS),
        "Its stored record does not decode, so no worker can take it.",
        ["roost drop w1", "roost doctor --repair --dry-run"],
    ),
]


@pytest.mark.parametrize(("known", "sentence", "commands"), CASES)
def test_one_sentence_and_what_mends_it(known, sentence, commands):
    """Each reason has its sentence, and the commands that would change it."""
    found = explain(known, NOW)
    assert (sentence, commands) == (found.sentence, [*found.commands])
    assert ("w1", known.work.state) == (found.work_id, found.state)
    assert all(0 < len(line) <= 300 and "\n" not in line for line in (found.sentence, *found.facts))


def test_every_state_is_explained():
    """With nothing but its state known, each one has a sentence."""
    for state in State:
        assert explain(Facts(StoredWork("w1", "crawl", state)), NOW).sentence


def test_the_reason_of_a_retry_later():
    """It comes from the work item's own history, with its secrets hidden."""
    trail = [event("interrupted", reason="quota used up at https://me:secret@example.com")]
    found = explain(facts(State.SLEEPING, work={"due_ms": at(30)}), NOW, trail)
    assert "It sleeps, because it was given back: quota used up at" in found.sentence
    assert "secret" not in found.sentence


def test_facts_are_short_lines():
    """What the answer rests on, and what else counts."""
    known = running(
        work={
            "attempts": 1,
            "error": error(),
            "deadline_ms": at(3600),
            "heartbeat": encode_model(Heartbeat(0.4, "page 4 of 10", from_milliseconds(at(-3)))),
            "leased_version": 2,
        },
        others=2,
        halt=HALT,
        pace=Pace(120_000, 240, 20),
    )
    expected = [
        "state running, version 3",
        "engine crawl: 1 live worker with 10 lanes; 2 of other engines only",
        "engine crawl: 120 steps a minute",
        "1 of 5 attempts of this step failed",
        "newest error: RuntimeError: upstream said 500",
        "deadline in 60 m",
        "worker host-1, process 77 on box",
        "leased 20 s ago, at version 2",
        "engine crawl is held: this step is the last of its lease",
        "heartbeat: 40% page 4 of 10 (3 s ago)",
    ]
    assert expected == [*explain(known, NOW).facts]
