"""A life as leases, steps, waits and acts."""

from __future__ import annotations

from roost_core.models import State
from roost_plugins.console.drawing.spans import life_of
from tests.unit.console.drawing.lives import at, happened, leased, usual


def test_a_usual_life():
    """Leases with their deaths, steps with their tries, what lies between, and people."""
    life = life_of(usual(), at(3605))
    assert (at(0), at(3605), None, 0) == (life.begin, life.end, life.last, life.missing)
    assert [
        ("host-a", at(1), at(20), True),
        ("host-b", at(21), at(25), False),
        ("host-b", at(27), at(30), False),
        ("host-a", at(3600), None, False),
    ] == [(one.worker, one.start, one.end, one.is_death) for one in life.leases]
    assert [
        (1, at(1), at(3), ""),
        (2, at(3), at(5), ""),
        (3, at(5), at(20), "lost"),
        (3, at(21), at(25), "failed"),
        (3, at(27), at(30), ""),
        (4, at(3600), None, ""),
    ] == [(one.version, one.start, one.end, one.fate) for one in life.steps]
    assert [
        (State.QUEUED, at(0), at(1)),
        (State.QUEUED, at(20), at(21)),
        (State.RETRY_WAIT, at(25), at(27)),
        (State.SLEEPING, at(30), at(3600)),
    ] == [(one.state, one.start, one.end) for one in life.waits]
    assert ["pause_requested"] == [one.kind for one in life.acts]
    assert ["emitted"] == [one.kind for one in life.said]


def test_steps_that_only_their_lease_tells_of():
    """They are one, up to the first that is known by itself."""
    story = [
        happened("enqueued", 0, 0, "queued"),
        leased(1, 10, 0, 40, "committed"),
        leased(12, None, 40, 43, None),
        happened("committed", 20, 43, "running", step="x"),
    ]
    life = life_of(story, at(30))
    assert [(40, 40, True), (42, 2, True), (43, 1, False), (44, 1, False)] == [
        (one.version, one.count, one.is_rough) for one in life.steps
    ]
    assert [(at(1), at(10)), (at(12), at(20)), (at(20), at(20)), (at(20), None)] == [
        (one.start, one.end) for one in life.steps
    ]
    assert 0 == life.missing


def test_what_is_not_kept_is_not_made_up():
    """Of a long life the trail has lost the beginning: nothing is said of that time."""
    story = [happened("enqueued", 0, 0, "queued"), leased(500, 510, 900, 950, "committed")]
    life = life_of(story, at(512))
    assert 900 == life.missing
    assert [(None, at(0), at(500)), (State.QUEUED, at(510), at(512))] == [
        (one.state, one.start, one.end) for one in life.waits
    ]


def test_a_death_that_ended_it():
    """A dead letter for deaths loses its step; another one is a step that failed."""
    story = [
        happened("enqueued", 0, 0, "queued"),
        happened("claimed", 1, 0, "running", worker_id="host-a"),
        happened("dead_lettered", 9, 0, "failed", error={"kind": "recoveries", "message": ""}),
    ]
    life = life_of(story, at(100))
    assert (at(9), True, ["lost"]) == (
        life.end,
        life.leases[0].is_death,
        [one.fate for one in life.steps],
    )
    story[2] = happened("dead_lettered", 9, 0, "failed", error={"kind": "permanent"})
    life = life_of(story, at(100))
    assert (False, ["failed"]) == (life.leases[0].is_death, [one.fate for one in life.steps])
    story[2] = happened("interrupted", 9, 0, "queued", reason="the worker stops")
    (step,) = life_of(story, at(100)).steps
    assert ("given back", "the worker stops") == (step.fate, step.label)


def test_nothing_is_known():
    """Damaged work may have no events at all."""
    life = life_of([], at(5))
    assert (at(5), at(5), [], []) == (life.begin, life.end, life.leases, life.steps)


def test_a_lease_that_begins_where_another_is_taken_back():
    """In the same millisecond: the lost step belongs to the first."""
    story = [
        happened("enqueued", 0, 0, "queued"),
        happened("claimed", 1, 0, "running", worker_id="host-a"),
        happened("recovered", 50, 0, "queued", worker_id="host-a"),
        happened("claimed", 50, 0, "running", worker_id="host-b"),
        happened("committed", 50.5, 1, "done", step="x"),
    ]
    steps = life_of(story, at(60)).steps
    assert [("lost", at(1), at(50)), ("", at(50), at(50.5))] == [
        (one.fate, one.start, one.end) for one in steps
    ]


def test_what_was_put_back_waited_meanwhile():
    """Days as a dead letter do not push all else aside in the picture; the end is no wait."""
    story = [
        *usual()[:7],
        happened("dead_lettered", 26, 2, "failed", error={"kind": "permanent"}),
        happened("retried", 90_000, 2, "queued", who="ada", tool="roost retry"),
        happened("cancelled", 90_001, 2, "cancelled", who="ada", tool="roost cancel"),
    ]
    life = life_of(story, at(200_000))
    assert [(State.FAILED, at(26), at(90_000)), (State.QUEUED, at(90_000), at(90_001))] == [
        (one.state, one.start, one.end) for one in life.waits[-2:]
    ]
    assert at(90_001) == life.end


def test_a_try_after_steps_that_only_the_lease_tells_of():
    """It began nobody knows when, but not before them."""
    story = [
        happened("enqueued", 0, 0, "queued"),
        happened("attempt_failed", 9, 0, "queued", attempt=1, max_attempts=5),
        leased(1, 9, 0, 0, "attempt_failed"),
        happened("attempt_failed", 30, 3, "queued", attempt=1, max_attempts=5),
        leased(10, 30, 0, 3, "attempt_failed"),
    ]
    assert [
        ("failed", 1, at(1), at(9)),
        ("", 3, at(10), at(30)),
        ("failed", 4, at(30), at(30)),
    ] == [(one.fate, one.version, one.start, one.end) for one in life_of(story, at(31)).steps]


def test_forks_after_its_end():
    """They make its life no longer, and are not what has ended it; a fork before that is an act."""
    by = {"who": "ada", "tool": "roost replay", "from_version": 1}
    story = [
        *usual()[:7],
        happened("forked", 26, 2, "retry_wait", work_id="w-2", **by),
        happened("dead_lettered", 27, 2, "failed", error={"kind": "permanent"}),
    ]
    later = [happened("forked", 90_000, 2, "failed", work_id="w-3", **by)]
    alone, life = (life_of(one, at(200_000)) for one in (story, story + later))
    assert (at(27), "dead_lettered") == (life.end, life.last.kind)
    assert (["forked"], alone.waits) == ([one.kind for one in life.acts], life.waits)
    back = [happened("rewound", 90_010, 3, "queued", who="ada", tool="roost replay", to_version=1)]
    life = life_of(story + later + back, at(90_020))
    assert [(State.FAILED, at(27), at(90_010)), (State.QUEUED, at(90_010), at(90_020))] == [
        (one.state, one.start, one.end) for one in life.waits[-2:]
    ]
    assert (["forked", "forked", "rewound"], None) == ([one.kind for one in life.acts], life.last)


def test_a_life_that_began_as_a_fork():
    """The versions before are its origin's: nothing of its own is missing."""
    data = {"forked_from": "w-0", "from_version": 2, "who": "ada", "tool": "roost replay"}
    story = [
        happened("enqueued", 0, 3, "queued", **data),
        happened("claimed", 10, 3, "running", worker_id="host-a"),
        happened("committed", 12, 4, "done", step="x"),
    ]
    for known in (story[:1], story[:2], story):
        assert 0 == life_of(known, at(20)).missing
    life = life_of(story, at(20))
    assert [(State.QUEUED, at(0), at(10))] == [
        (one.state, one.start, one.end) for one in life.waits
    ]
    assert [(4, at(10), at(12), "")] == [
        (one.version, one.start, one.end, one.fate) for one in life.steps
    ]
    assert 900 == life_of([story[0], leased(500, 510, 900, 950, "committed")], at(512)).missing
