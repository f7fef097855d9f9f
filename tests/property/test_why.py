"""Whatever is known about a work item, there is an answer to why it does not run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roost_core.backend import Facts, Halt, Obstacle, Pace, StepTally, StoredWork
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
from roost_core.shown.plain import to_plain
from roost_core.shown.why import explain

NOW_MS = 1_800_000_000_000
TIMES = st.none() | st.integers(0, 2 * NOW_MS)
KNOWN = st.integers(0, 2 * NOW_MS)
MOMENTS = KNOWN.map(from_milliseconds)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300)
LABELS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=("L", "P")),
    min_size=1,
    max_size=90,
)
COUNTS = st.integers(0, 10**9)
ACTORS = st.builds(Actor, LABELS, LABELS, st.none() | LABELS)
ACTS = st.builds(Act, st.sampled_from(Verb), ACTORS, MOMENTS, st.none() | MOMENTS)
ERRORS = st.builds(ErrorRecord, st.sampled_from(["exception", "deadline", "buried", "?"]), TEXTS)
WORKERS = st.builds(
    WorkerInfo,
    worker_id=st.just("w-1"),
    host=LABELS,
    pid=COUNTS,
    engines=st.just(("crawl",)),
    concurrency=st.integers(1, 100),
    lease_ttl_seconds=st.just(15.0),
    roost_version=st.just("1"),
    started_at=MOMENTS,
    stuck=st.none() | st.builds(Stuck, MOMENTS, TEXTS, st.none() | st.just("w1")),
).map(encode_model)
SIGHTINGS = st.tuples(WORKERS | st.binary(max_size=5), KNOWN)
WORKS = st.builds(
    StoredWork,
    work_id=st.just("w1"),
    engine=st.sampled_from(["crawl", "?"]),
    state=st.sampled_from(State),
    version=COUNTS,
    step=st.none() | LABELS,
    attempts=COUNTS,
    max_attempts=COUNTS,
    recoveries=st.integers(0, 3),
    suspicions=st.integers(0, 3),
    steps_in_row=COUNTS,
    leased_ms=TIMES,
    worker_id=st.none() | st.just("w-1"),
    expires_ms=TIMES,
    due_ms=TIMES,
    deadline_ms=TIMES,
    created_ms=KNOWN,
    updated_ms=KNOWN,
    finished_ms=TIMES,
    committed_ms=TIMES,
    wish=st.none() | st.sampled_from([Verb.CANCEL, Verb.PAUSE, Verb.BURY]),
    act=st.none() | ACTS,
    newer_layout=st.none() | st.just(9),
    error=st.none() | st.binary(max_size=5) | ERRORS.map(encode_model),
    heartbeat=st.none()
    | st.binary(max_size=5)
    | st.builds(Heartbeat, st.none() | st.floats(0, 1), TEXTS, st.none() | MOMENTS).map(
        encode_model
    ),
)
FACTS = st.builds(
    Facts,
    WORKS,
    now_ms=st.just(NOW_MS),
    ahead=st.none() | COUNTS,
    obstacle=st.none()
    | st.builds(
        Obstacle,
        LABELS,
        st.booleans(),
        st.just("w2"),
        st.none() | st.just("crawl"),
        st.none() | st.just("w-2"),
        TIMES,
        COUNTS,
    ),
    offering=st.integers(0, 100),
    others=st.integers(0, 100),
    workers=st.lists(SIGHTINGS, max_size=3).map(tuple),
    holder=st.none() | SIGHTINGS | st.just((b"", 0)),
    halt=st.none() | st.builds(Halt, st.just("crawl"), ACTORS, KNOWN),
    set_aside=st.none() | st.just(9),
    pace=st.none() | st.builds(Pace, st.integers(10_000, 600_000), COUNTS, COUNTS),
    usual=st.none() | st.builds(StepTally, st.just("crawl"), LABELS, COUNTS, COUNTS, COUNTS),
)
EVENTS = st.builds(
    Event,
    event_id=KNOWN.map(lambda at: f"{at}-0"),
    at=MOMENTS,
    kind=st.sampled_from(["emitted", "interrupted", "leased"]),
    work_id=st.just("w1"),
    engine=st.just("crawl"),
    version=COUNTS,
    state=st.sampled_from(State),
    data=st.dictionaries(st.sampled_from(["warning", "steps", "reason"]), TEXTS | COUNTS),
)


@given(FACTS, st.lists(EVENTS, max_size=4))
def test_there_is_always_an_answer(facts, trail):
    """A sentence, short lines, and commands of Roost or of a shell; nothing a terminal obeys."""
    found = explain(facts, from_milliseconds(NOW_MS), trail)
    lines = (found.sentence, *found.facts, *found.commands, *found.odd)
    assert found.sentence[0].isupper()
    assert found.sentence[-1] in ".?"
    assert all(line and len(line) < 1500 for line in lines)
    assert not {"\n", "\r", "\x1b"} & set("".join(lines))
    assert all(line.split()[0] in ("roost", "kill") for line in found.commands)
    assert to_plain(found)
