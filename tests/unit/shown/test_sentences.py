"""Events as sentences."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roost_core.models import Event, State
from roost_core.shown.sentences import sentence

TRACE = 'Traceback (most recent call last):\n  File "/src/flaky.py", line 8, in step\n    raise\n'
ERROR = {
    "kind": "exception",
    "error_type": "RuntimeError",
    "message": "upstream said 500",
    "traceback": TRACE,
}
BY = {"who": "alice@laptop", "tool": "roost cancel", "reason": "gone", "from": "queued"}
BY_ALICE = "by alice@laptop (roost cancel), was queued: gone"
SAID = [
    ("enqueued", "queued", {}, "enqueued for agent, queued"),
    ("claimed", "running", {"worker_id": "w1", "fence": 1}, "leased to w1"),
    ("blocked", "blocked", {"resource": "db"}, "waits for the resource db"),
    ("unblocked", "queued", {}, "its resources are free"),
    ("committed", "running", {"step": "read"}, '"read" accepted'),
    ("committed", "sleeping", {"step": "read"}, '"read" accepted; sleeps'),
    ("committed", "done", {"step": "end"}, '"end" accepted; done'),
    (
        "attempt_failed",
        "retry_wait",
        {"attempt": 2, "max_attempts": 5, "delay_ms": 2000, "error": ERROR},
        "attempt 2 of 5 failed: RuntimeError: upstream said 500 (flaky.py:8), again in 2 s",
    ),
    (
        "attempt_failed",
        "retry_wait",
        {"error": {"kind": "timeout", "message": "it took 3 s"}},
        "attempt failed: timeout: it took 3 s",
    ),
    ("attempt_failed", "retry_wait", {"cut": True}, "attempt failed: unknown error"),
    (
        "interrupted",
        "queued",
        {"reason": "the worker stopped"},
        "given back: the worker stopped",
    ),
    ("recovered", "queued", {"worker_id": "w1"}, "taken back: the lease of w1 ran out"),
    (
        "dead_lettered",
        "failed",
        {"error": ERROR},
        "dead letter: RuntimeError: upstream said 500 (flaky.py:8)",
    ),
    ("dead_lettered", "failed", {**BY, "error": ERROR}, f"buried {BY_ALICE}"),
    (
        "engine_held",
        "paused",
        {"who": "alice@laptop", "tool": "roost pause", "reason": "the site is down"},
        "engine agent held by alice@laptop (roost pause): the site is down",
    ),
    (
        "engine_released",
        "queued",
        {"who": "alice@laptop", "tool": "python"},
        "engine agent released by alice@laptop (python)",
    ),
    ("engine_held", "paused", {"cut": True}, "engine agent held by ? (?)"),
    ("cancel_requested", "running", BY, f"asked to cancel {BY_ALICE}"),
    ("cancelled", "cancelled", BY, f"cancelled {BY_ALICE}"),
    (
        "paused",
        "paused",
        {"who": "bob", "tool": "python"},
        "paused by bob (python)",
    ),
    (
        "enqueued",
        "queued",
        {"forked_from": "w0", "from_version": 2, "who": "alice@laptop", "tool": "roost replay"},
        "enqueued for agent, queued: forked from w0 v2 by alice@laptop (roost replay)",
    ),
    (
        "forked",
        "done",
        {"work_id": "w2", "from_version": 2, "who": "bob", "tool": "python", "reason": "try"},
        "w2 forked from v2 by bob (python): try",
    ),
    ("forked", "done", {"cut": True}, "? forked from v? by ? (?)"),
    ("rewound", "queued", {"to_version": 3, **BY}, f"put back to v3 {BY_ALICE}"),
    ("rewound", "queued", {"cut": True}, "put back to v? by ? (?)"),
    ("purged", "done", {}, "removed: its retention was over"),
    ("emitted", "running", {"found": 3, "note": "a b"}, 'says found=3 note="a b"'),
    (
        "leased",
        "queued",
        {"worker_id": "w1", "first_version": 1, "ended": "attempt_failed"},
        "leased to w1, v1 to v3, until attempt failed",
    ),
    (
        "leased",
        "running",
        {"worker_id": "w1", "first_version": 3},
        "leased to w1, v3, until now",
    ),
    ("new_kind", "queued", {"a": 1}, "new kind a=1"),
    ("emitted", "running", {"api_key": "s3cret"}, "says api_key=***"),
]


@pytest.mark.parametrize(("kind", "state", "data", "expected"), SAID)
def test_what_an_event_says(kind, state, data, expected):
    """Each kind has its words; what is not there, or not known, does no harm."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = Event("1-0", at, kind, "w1", "agent", 3, State(state), data)
    assert expected == sentence(event)


def test_every_documented_kind_has_its_words():
    """What is not in the table of kinds is shown as it is stored."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    table = text.partition("| kind | meaning |")[2].partition("\n\n")[0]
    kinds = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert {"enqueued", "forked", "rewound"} <= {*kinds}
    at, data = datetime(2026, 1, 2, tzinfo=UTC), {"who": "bob", "tool": "python"}
    for kind in kinds:
        said = sentence(Event("1-0", at, kind, "w1", "agent", 3, State.QUEUED, data))
        assert f"{kind.replace('_', ' ')} who=bob tool=python" != said
