"""What is kept of a work item's versions, and what is told of what is not."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import attrs
import pytest

from roost_core.backend.history import CHANGE, WHOLE, StoredHistory, StoredVersion
from roost_core.backend.reports import StoredWork
from roost_core.codec import changes
from roost_core.codec.snapshots import encode_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord, VersionGone, WrittenByNewer
from roost_core.models import Artifact, Snapshot, State
from roost_core.shown.versions import forgotten, not_remembered, remarks, snapshot, versions

_START_MS = 1_700_000_000_000
#: Not to be told apart by its step.
_STEP = "look"


def text(version, **data):
    """Return a snapshot's bytes."""
    return encode_snapshot(Snapshot("w", "echo", version=version, step=_STEP, data=data))


def change(old, new):
    """Return what turns these bytes into those, parted as a worker does."""
    head = old.index(b'"data":')
    cut = new.index(b'"data":')
    found = [changes.between(old[:head], new[:cut]), changes.between(old[head:], new[cut:], head)]
    return CHANGE + changes.written(one for one in found if one.old or one.new)


def commit(version, back=b"", worker="worker-1"):
    """Return a commit, each a second after the one before."""
    return StoredVersion(version, _START_MS + version * 1000, 1500, worker, _STEP, back)


def history(base, base_version, *commits, version=None):
    """Return what is kept; commits newest first."""
    version = max(base_version, *(one.version for one in commits)) if version is None else version
    work = StoredWork(
        "w",
        "echo",
        State.QUEUED,
        version=version,
        step=_STEP,
        created_ms=_START_MS,
        committed_ms=_START_MS + version * 1000,
    )
    return StoredHistory(work, base, base_version, commits)


#: Five versions, each a character longer than the one before.
TEXTS = [b"", *(text(number, t="x" * number) for number in range(1, 6))]
WHOLES = [commit(number, WHOLE + TEXTS[number - 1]) for number in (5, 4, 3, 2)]
CHANGES = [commit(number, change(TEXTS[number - 1], TEXTS[number])) for number in (5, 4, 3, 2)]
FIRST = commit(1)


@pytest.mark.parametrize(
    "kept",
    [
        history(TEXTS[5], 5, *WHOLES, FIRST),
        history(TEXTS[5], 5, *CHANGES, FIRST),
        history(TEXTS[3], 3, *CHANGES, FIRST),
        history(TEXTS[1], 1, *CHANGES, FIRST),
        history(TEXTS[4], 4, CHANGES[0], *WHOLES[1:], FIRST),
    ],
    ids=["wholes", "back", "from the middle", "forward", "mixed"],
)
def test_all_are_there(kept):
    """However they are stored: the same bytes, sizes, times and changes."""
    found = versions(kept)
    assert [5, 4, 3, 2, 1] == [one.version for one in found]
    assert [len(TEXTS[one.version]) for one in found] == [one.size_bytes for one in found]
    assert all(one.is_readable for one in found)
    assert {_STEP} == {one.step for one in found}
    assert ("worker-1", 1.5) == (found[0].worker_id, found[0].took_seconds)
    assert from_milliseconds(_START_MS + 5000) == found[0].committed_at
    assert found[-1].changed_bytes is None
    for version in range(1, 6):
        assert {"t": "x" * version} == snapshot(kept, version).data
    assert [] == [*remarks(found)]


def test_how_much_has_changed():
    """In a change what is new; of wholes the places that differ; never the number or the label."""
    assert [1, 1, 1, 1, None] == [
        one.changed_bytes for one in versions(history(TEXTS[5], 5, *CHANGES, FIRST))
    ]
    old, same = text(1, a=1, b=[1, 2], c="x" * 500), text(2, a=1, b=[1, 2], c="x" * 500)
    new = text(3, a=25, b=[1, 2, "new"], c="x" * 500)
    kept = history(new, 3, commit(3, WHOLE + same), commit(2, WHOLE + old), FIRST)
    assert [len('25"new"'), 0, None] == [one.changed_bytes for one in versions(kept)]


def test_artifacts_count_as_changed():
    """A step that only names one more has changed something."""
    one = Artifact("0" * 64, 3)
    new = encode_snapshot(Snapshot("w", "echo", version=2, step=_STEP, artifacts=(one,)))
    (found, _) = versions(history(new, 2, commit(2, WHOLE + text(1)), FIRST))
    assert found.changed_bytes > 64


def test_what_a_person_made():
    """It took no time, and has a name in place of the worker."""
    by_hand = commit(2, WHOLE + TEXTS[1], worker="@alice")
    (found, _) = versions(history(TEXTS[2], 2, by_hand, FIRST))
    assert ("@alice", None) == (found.worker_id, found.took_seconds)


def test_the_oldest_is_known_by_what_followed():
    """Its commit is forgotten, but the one after has its bytes: its label is read from them."""
    found = versions(history(TEXTS[5], 5, *WHOLES[:2]))
    assert [5, 4, 3] == [one.version for one in found]
    assert (_STEP, None, None) == (found[-1].step, found[-1].committed_at, found[-1].worker_id)
    assert found[-1].is_readable
    (said,) = remarks(found)
    assert said.startswith("versions before 3 are not kept any more")


def test_only_the_newest():
    """An older Roost, or one that keeps none, has left nothing but it."""
    kept = history(TEXTS[5], 5, version=5)
    (found,) = versions(kept)
    assert (5, _STEP, None) == (found.version, found.step, found.worker_id)
    assert from_milliseconds(_START_MS + 5000) == found.committed_at
    (said,) = remarks([found])
    assert all(one in said for one in ("an older Roost", "_VERSIONS", "_BYTES", "is damaged"))
    (said,) = remarks([found], is_off=True)
    assert "while ROOST_HISTORY_VERSIONS is 0" in said
    with pytest.raises(VersionGone, match="the oldest is 5"):
        snapshot(kept, 4)


def test_there_is_none():
    """No step was accepted."""
    kept = history(None, 0, version=0)
    assert () == versions(kept)
    assert [] == [*remarks(())]
    with pytest.raises(VersionGone, match="no version yet"):
        snapshot(kept, 1)


def test_those_of_an_older_roost_are_missing():
    """Between others, they are named; of the one before nothing is known but when it was."""
    kept = history(TEXTS[5], 5, WHOLES[0], attrs.evolve(WHOLES[1], back=b""), FIRST)
    found = versions(kept)
    assert [(5, True), (4, True), (1, False)] == [(one.version, one.is_readable) for one in found]
    (said,) = remarks(found)
    assert said == (
        "versions 2 to 3 are missing: ROOST_HISTORY_VERSIONS was 0 when these steps ran, an older "
        "Roost ran them, or their record is damaged"
    )
    (said,) = remarks(versions(history(TEXTS[5], 5, *WHOLES[:2], FIRST))[::1])
    assert said.startswith("version 2 is missing")
    with pytest.raises(VersionGone, match="version 2 of w is not kept"):
        snapshot(kept, 2)


DAMAGED = attrs.evolve(CHANGES[2], back=CHANGES[2].back[:-1] + b"y")


def test_a_damaged_change_before_the_base():
    """What is before it cannot be read until a version is stored as a whole."""
    found = versions(history(TEXTS[5], 5, *CHANGES[:2], DAMAGED, WHOLES[3], FIRST))
    assert [(5, True), (4, True), (3, True), (2, False), (1, True)] == [
        (one.version, one.is_readable) for one in found
    ]
    assert "checksum" in found[3].problem
    assert None is found[2].changed_bytes is found[3].size_bytes
    assert "look" == found[3].step


def test_a_damaged_change_after_the_base():
    """The newest cannot be read; those before the damage can, and say how much they have."""
    kept = history(TEXTS[1], 1, *CHANGES[:2], DAMAGED, CHANGES[3], FIRST)
    found = versions(kept)
    assert [False, False, False, True, True] == [one.is_readable for one in found]
    assert {"a stored change is damaged: its checksum does not fit"} == {
        one.problem for one in found[:3]
    }
    assert [len(TEXTS[2]), len(TEXTS[1])] == [one.size_bytes for one in found[3:]]
    assert {"t": "xx"} == snapshot(kept, 2).data
    with pytest.raises(CorruptRecord, match=r"version 5 of w: .* damaged"):
        snapshot(kept, 5)


def test_a_change_after_the_base_is_lost():
    """It is told which."""
    found = versions(history(TEXTS[1], 1, *CHANGES[:2], CHANGES[3], FIRST))
    assert [5, 4, 3, 2, 1] == [one.version for one in found]
    assert "the change that led to version 3 is lost" == found[0].problem


def test_the_base_is_lost():
    """What is stored as a whole before it can be read."""
    found = versions(history(None, 4, CHANGES[0], *WHOLES[1:], FIRST))
    assert [(5, False), (4, False), (3, True), (2, True), (1, True)] == [
        (one.version, one.is_readable) for one in found
    ]


def test_bytes_that_do_not_decode():
    """They are told of, and those before them are there."""
    kept = history(b"\xff", 5, *WHOLES, FIRST)
    found = versions(kept)
    assert [False, True, True, True, True] == [one.is_readable for one in found]
    assert found[0].changed_bytes is None
    with pytest.raises(CorruptRecord, match="version 5 of w: "):
        snapshot(kept, 5)


def test_written_by_a_newer_roost():
    """It is sound, and left to that one."""
    newer = TEXTS[5].replace(b'"schema":1', b'"schema":99')
    kept = history(newer, 5, *WHOLES, FIRST)
    assert "a newer one wrote it" in versions(kept)[0].problem
    with pytest.raises(WrittenByNewer, match="version 5 of w"):
        snapshot(kept, 5)


def test_times():
    """A version was updated when it was accepted; one that had finished ended then."""
    done = encode_snapshot(Snapshot("w", "echo", version=1, is_finished=True, step="done"))
    kept = history(TEXTS[2], 2, commit(2, WHOLE + done), FIRST)
    earlier, newest = snapshot(kept, 1), snapshot(kept, 2)
    assert from_milliseconds(_START_MS) == earlier.created_at == newest.created_at
    assert from_milliseconds(_START_MS + 1000) == earlier.updated_at == earlier.finished_at
    assert from_milliseconds(_START_MS + 2000) == newest.updated_at
    assert newest.finished_at is None


@pytest.mark.parametrize("at_base", [0, -1], ids=["forward", "back"])
def test_one_at_a_time_is_in_memory(at_base):
    """Fifty large versions take the memory of a few."""
    texts = [text(number, t="x" * 200_000 + "y" * number) for number in range(1, 51)]
    ways = [change(old, new) for old, new in pairwise(texts)]
    commits = [commit(number, way) for number, way in enumerate(ways, 2)]
    kept = history(texts[at_base], (1, 50)[at_base], *reversed(commits), FIRST)
    del texts
    tracemalloc.start()
    try:
        found = versions(kept)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 50 == len(found)
    assert most < 6 * 200_000


def test_what_is_beyond_the_limit_is_not_read():
    """The newest of many large versions takes no time for the others."""
    spoilt = attrs.evolve(commit(2, WHOLE + TEXTS[1]), back=None)
    kept = history(TEXTS[3], 3, commit(3, change(TEXTS[2], TEXTS[3])), spoilt, FIRST)
    assert [(3, 1)] == [(one.version, one.changed_bytes) for one in versions(kept, 1)]
    with pytest.raises(AttributeError):
        versions(kept)


@pytest.mark.parametrize(
    ("known", "gaps", "said"),
    [
        (range(1, 10), [], ""),
        ((1, 2, 3, 4, 5, 6, 7, 9), [(8, 8)], "version 8 is not remembered: what its step did"),
        ((1, 4, 9), [(3, 3), (5, 8)], "versions 3 and 5 to 8 are not remembered: what their steps"),
        ((), [(3, 9)], "versions 3 to 9 are not remembered"),
        ((3, 4), [(5, 9)], "versions 5 to 9 are not remembered"),
    ],
)
def test_what_may_have_run(known, gaps, said):
    """The versions after one whose commits are not remembered: also the newest."""
    found = not_remembered(history(text(9), 9, *map(commit, known), version=9), 2)
    assert gaps == [(one.first, one.last) for one in found]
    assert forgotten(found).startswith(said)
    assert bool(said) == bool(forgotten(found))


def test_many_gaps():
    """The first are named, the others counted."""
    found = not_remembered(history(text(99), 99, *map(commit, range(2, 100, 2))), 2)
    assert "versions 3, 5, 7, 9, 11 and 44 more are not remembered" in forgotten(found)
