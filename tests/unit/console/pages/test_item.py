"""What the page of one work item shows, from what was read."""

from __future__ import annotations

import attrs
import pytest

from roost_core import Snapshot
from roost_core.client.inspecting import Inspection
from roost_core.models import ErrorRecord, State, Verb, WorkItem
from roost_core.models.worker import Lease
from roost_core.shown.why import Why
from roost_plugins.console.pages.item.artifacts import look_at
from roost_plugins.console.pages.item.safely import picture_kind
from roost_plugins.console.pages.item.snapshots import ReadState, Snapshots
from roost_plugins.console.pages.item.view import view_of
from tests.unit.console.drawing.lives import at, happened, usual
from tests.unit.console.pages.test_verbs import meta


def inspection(story=(), state="queued", **fields):
    """Make what was read of a work item."""
    known = meta(state, **fields)
    why = Why("w-1", known.state, "It waits.")
    item = WorkItem("w-1", "crawl", step_timeout_seconds=60)
    return Inspection(known, item, None, False, why, at(4000), 0, None, tuple(story))


def failed(seconds, message, **data):
    """Make a failed attempt."""
    error = {"kind": "exception", "error_type": "IOError", "message": message, **data}
    return happened("attempt_failed", seconds, 3, "queued", attempt=1, max_attempts=5, error=error)


def test_the_same_error_several_times_is_one():
    """With how often it came; the newest has its traceback."""
    story = [failed(1, "other"), *(failed(2 + n, "429 Too many") for n in range(4))]
    one = inspection(story)
    error = ErrorRecord("exception", "429 Too many", "IOError", "Traceback …")
    view = view_of(attrs.evolve(one, meta=attrs.evolve(one.meta, error=error)))
    assert [("429 Too many", 4), ("other", 1)] == [
        (found.error.message, found.count) for found in view.errors
    ]
    assert ("Traceback …", at(5), 3, "attempt 1 of 5") == (
        view.errors[0].error.traceback,
        view.errors[0].at,
        view.errors[0].version,
        view.errors[0].attempt,
    )


def test_damaged_errors_are_left_out():
    """An event's data may be anything."""
    story = [happened("attempt_failed", 1, 0, "queued", error=bad) for bad in (None, 3, "x", [])]
    story.append(happened("attempt_failed", 2, 0, "queued", error={"kind": 7}))
    assert ["exception"] == [found.error.kind for found in view_of(inspection(story)).errors]


def test_when_the_running_step_times_out():
    """From its own beginning: the lease's, or the step before it."""
    one = inspection(usual(), "running")
    lease = Lease("w-1", "host-a", "", 4, at(4010))
    known = attrs.evolve(one.meta, lease=lease, leased_at=at(3600))
    assert at(3660) == view_of(attrs.evolve(one, meta=known)).timeout_at
    later = (*usual(), happened("committed", 3700, 4, "running", step="x"))
    assert at(3760) == view_of(attrs.evolve(one, meta=known, story=later)).timeout_at
    assert view_of(one).timeout_at is None


@pytest.mark.parametrize(
    ("state", "wish", "verb"),
    [
        ("failed", None, "retry"),
        ("cancelled", None, "retry"),
        ("paused", None, "resume"),
        ("running", Verb.PAUSE, "resume"),
        ("running", Verb.CANCEL, None),
        ("running", None, "pause"),
        ("done", None, None),
    ],
)
def test_what_a_reader_most_likely_wants(state, wish, verb):
    """One button stands beside the menu, if one is likely and fits."""
    first = view_of(inspection((), state, wish=wish)).first
    assert verb == (None if first is None else first.verb)


def test_long_events_are_cut():
    """Their data likewise."""
    event = happened("emitted", 1, 1, "running", text="x" * 100_000, password="hunter2")
    (found,) = view_of(inspection([event])).events
    assert len(found.text) < 450
    assert len(found.data) < 4_100
    assert "hunter2" not in found.text + found.data


def test_snapshots_are_kept_within_bounds():
    """The last one always, however large; the others by number and size."""
    kept = Snapshots()

    def put(version, size):
        return kept.put(ReadState("w-1", 5, Snapshot("w-1", "crawl", version), size))

    for version in range(1, 12):
        put(version, 10)
    assert [None] * 3 == [kept.get("w-1", 5, version) for version in (1, 2, 3)]
    assert kept.get("w-1", 5, 11) is not None
    put(12, 100 << 20)
    assert kept.get("w-1", 5, 11) is None
    assert kept.get("w-1", 5, 12) is not None
    assert (None, None) == (kept.get("w-1", 6, 12), kept.get("w-2", 5, 12))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<svg onload=alert(1)>", None),
        (b"BM", None),
        (b"", None),
    ],
)
def test_what_is_a_picture(data, kind):
    """Formats without scripts only, by their bytes."""
    assert kind == picture_kind(data)
    assert (kind is not None) == (look_at(data, "/url").picture is not None)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": 1}', "node"),
        (b"[" * 100_000, "text"),
        (b"[NaN]", "text"),
        (b"{broken", "text"),
        (b"", "text"),
        (b"a\0b", "why"),
        (b"\xff\xfe", "why"),
    ],
)
def test_what_is_shown_of_an_artifact(data, kind):
    """A tree, a text, or why neither."""
    look = look_at(data, "/url")
    shown = [name for name in ("node", "picture") if getattr(look, name)]
    shown += ["text"] * (look.text is not None) + ["why"] * bool(look.why)
    assert [kind] == shown


def test_states_have_an_icon_of_the_tab():
    """A dead letter, and what is damaged, is seen among many tabs."""
    moods = {state: view_of(inspection((), state)).mood for state in State}
    assert ("alert", "busy", "done") == tuple(moods[one] for one in ("failed", "running", "done"))
    assert "alert" == view_of(attrs.evolve(inspection(), problem="broken")).mood
