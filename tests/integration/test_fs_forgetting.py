"""The filesystem artifact store: what it forgets, its locks, and what doctor says about it."""

from __future__ import annotations

import errno
import fcntl
import os
import time

import pytest

from roost_core.errors import (
    ArtifactError,
)
from roost_plugins.fs_artifacts import files
from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.artifact_bench import AID, DATA, failing, left, record

DAY = 86400


# -- forgetting ------------------------------------------------------------------------------


def test_forget_drops_what_nobody_else_has(store, root):
    """A shared blob stays until its last owner goes; then nothing is left."""
    store.put(DATA, work_id="w1")
    kept = store.put(DATA, work_id="w2")
    own = store.put(b"own", work_id="w1")
    store.forget("w1")

    assert [] == list(store.of_work("w1"))
    assert not store.exists(own.artifact_id)
    assert [("w2", kept)] == store.describe(AID)
    assert DATA == store.get(AID)
    store.forget("w2")
    assert not store.exists(AID)
    assert [] == left(root)
    assert [] == list((root / "works").iterdir())


def test_a_damaged_record_still_counts_as_a_reference(store, root):
    """What cannot be read is not taken as permission to delete."""
    store.put(DATA, work_id="w1")
    store.put(DATA, work_id="w2")
    record(root, "w2").write_bytes(b"{")
    store.forget("w1")

    assert DATA == store.get(AID)


def test_a_late_forget_leaves_the_next_life_alone(store, root):
    """What a successor with the same id has put, even the same bytes, is not the former life's."""
    store.put(DATA, work_id="w1", life=1)
    old = store.put(b"old", work_id="w1", life=1)
    store.put(DATA, work_id="w1", life=2)
    new = store.put(b"new", work_id="w1", life=2)
    for _ in range(2):
        store.forget("w1", 1)
        assert [AID, new.artifact_id] == sorted(
            (one.artifact_id for one in store.of_work("w1")), key=[AID, new.artifact_id].index
        )
        assert not store.exists(old.artifact_id)
        assert DATA == store.get(AID)
    store.forget("w1", 2)
    assert [] == left(root)


def test_work_of_two_queues_may_have_one_id(store, root):
    """What both have put, at whatever time, stays until both are gone."""
    others = [store.of_queue("default", "mail"), store.of_queue("tenant", "default")]
    for lives in ((1, 2, 3), (3, 2, 1), (1, 1, 1)):
        stores = [*others, store]
        for one, life in zip(stores, lives, strict=True):
            one.put(DATA, work_id="w1", life=life)
        assert ["w1"] * 3 == [work_id for work_id, _ in store.describe(AID)]
        for one, life in zip(stores, lives, strict=True):
            assert DATA == store.get(AID)
            assert [AID] == [artifact.artifact_id for artifact in one.of_work("w1")]
            one.forget("w1", life)
            assert [] == list(one.of_work("w1"))
        assert [] == left(root)
    assert store.of_queue("default", "default") is store


def test_what_an_earlier_version_put_for_another_queue_goes(store, root):
    """Its records have the plain names; only one that says that it is of this life goes."""
    old = store.put(b"old", work_id="w1", life=7)
    store.put(DATA, work_id="w1", life=8)
    unknown = store.put(b"unknown", work_id="w1")
    other = store.of_queue("default", "mail")
    other.put(DATA, work_id="w1", life=7)
    other.forget("w1", 7)
    assert not store.exists(old.artifact_id)
    assert sorted([AID, unknown.artifact_id]) == [one.artifact_id for one in store.of_work("w1")]


def test_records_without_a_life_belong_to_each(store, root):
    """Those of an older Roost still read, and go with the next clean-up."""
    artifact = store.put(DATA, work_id="w1")
    assert "life" not in record(root, "w1").read_text()
    assert [artifact] == list(store.of_work("w1"))
    store.forget("w1", 7)
    assert [] == left(root)


def test_a_life_is_no_part_of_the_metadata(store):
    """What is read is what was put."""
    artifact = store.put(DATA, work_id="w1", life=7, name="a name")
    assert [artifact] == list(store.of_work("w1"))
    assert [("w1", artifact)] == list(store.describe(AID))


def test_forget_goes_on_past_an_error_and_can_be_repeated(store, root, monkeypatch):
    """One artifact that cannot be dropped does not save the others; the next call drops it."""
    for number in range(3):
        store.put(b"%d" % number, work_id="w1")
    with monkeypatch.context() as patch:
        failing(patch, "unlink", 1, OSError(errno.EROFS, "Read-only file system"))
        with pytest.raises(ArtifactError, match="cannot drop all artifacts of w1"):
            store.forget("w1")
    assert 1 == len(store.of_work("w1"))
    store.forget("w1")
    assert [] == left(root)


def test_stale_temporary_files_go_and_live_ones_stay(store, root):
    """Litter older than a day goes at the first put and at forget; locked or younger stays."""
    store.put(DATA, work_id="w1")
    names = {name: root / "tmp" / name for name in ("old", "live", "young")}
    old = time.time() - 2 * DAY

    def litter() -> None:
        for path in names.values():
            path.write_bytes(b"half")
        for name in ("old", "live"):
            os.utime(names[name], (old, old))

    litter()
    with names["live"].open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        store.forget("w9")
        assert {"live", "young"} == {path.name for path in (root / "tmp").iterdir()}
    litter()
    FilesystemStore(root).put(DATA, work_id="w2")
    assert {"young"} == {path.name for path in (root / "tmp").iterdir()}


# -- locks -----------------------------------------------------------------------------------


def test_shared_and_exclusive_locks(tmp_path):
    """Shared locks coexist, an exclusive one excludes all others, and waiting ends."""
    with files.Tree(tmp_path).folder() as folder:
        with files.lock(folder, "l", exclusive=False, timeout=0):
            with files.lock(folder, "l", exclusive=False, timeout=0):
                pass
            with (
                pytest.raises(TimeoutError, match="another process"),
                files.lock(folder, "l", exclusive=True, timeout=0),
            ):
                pass
        with (
            files.lock(folder, "l", exclusive=True, timeout=0),
            pytest.raises(TimeoutError),
            files.lock(folder, "l", exclusive=False, timeout=0.01),
        ):
            pass


# -- diagnosis -------------------------------------------------------------------------------


def levels(store: FilesystemStore) -> list[str]:
    """Return the levels of a store's findings, without those about the disk's free space."""
    return [one.level for one in store.diagnose() if "MiB free" not in one.message]


def test_a_healthy_or_missing_folder(store, root):
    """A store that works is ok, one that is not there yet is information; looking makes nothing."""
    assert ["info"] == levels(store)
    assert not root.exists()
    store.put(DATA, work_id="w1")
    before = sorted(root.rglob("*"))
    assert "problem" not in levels(store)
    assert "warning" not in levels(store)
    assert before == sorted(root.rglob("*"))


def test_findings(store, root, tmp_path, monkeypatch):
    """Loose modes warn; links, files in the way and failing writes are problems."""
    store.put(DATA, work_id="w1")
    (root / "blobs").chmod(0o755)
    assert ["warning"] == levels(store)
    (root / "blobs").chmod(0o700)
    (root / "tmp").rmdir()
    (root / "tmp").symlink_to(tmp_path)
    assert ["problem"] == levels(store)
    (root / "tmp").unlink()
    with monkeypatch.context() as patch:
        failing(patch, "fsync", 1, OSError(errno.EIO, "Input/output error"))
        assert ["problem"] == levels(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        assert "problem" in levels(store)


def test_findings_about_the_root(tmp_path):
    """A root that is a file, or below one, is a problem with a way out."""
    (tmp_path / "file").write_text("x")

    assert ["problem"] == levels(FilesystemStore(tmp_path / "file"))
    assert ["problem"] == levels(FilesystemStore(tmp_path / "file" / "below"))
