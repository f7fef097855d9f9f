"""The filesystem artifact store: real files, real processes, injected faults."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactNotFound,
    InvalidInput,
)
from roost_core.settings import Settings
from roost_plugins import fs_artifacts
from roost_plugins.fs_artifacts import files
from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.artifact_bench import AID, DATA, blob, left

DAY = 86400


@pytest.fixture
def root(tmp_path):
    """Return the store's root, not made yet."""
    return tmp_path / "outer" / "artifacts"


@pytest.fixture
def store(root):
    """Return a store at that root."""
    return FilesystemStore(root)


def record(root: Path, work: str, artifact_id: str = AID) -> Path:
    """Return where a work's record of an artifact is."""
    return root / "records" / artifact_id[:2] / artifact_id / f"{work}.json"


def failing(monkeypatch, function: str, call: int, error: BaseException) -> list[int]:
    """Let the ``call``-th call of an ``os`` function raise; return a list that counts calls."""
    genuine = getattr(os, function)
    calls: list[int] = []

    def wrapper(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise error
        return genuine(*args, **kwargs)

    monkeypatch.setattr(os, function, wrapper)
    return calls


# -- the plain way ---------------------------------------------------------------------------


def test_the_hook_gives_a_store_at_the_setting(tmp_path):
    """The plugin answers last, with the artifact root of the settings, and makes nothing yet."""
    store = fs_artifacts.artifact_store(Settings(home=tmp_path / "home"))

    assert str(tmp_path / "home" / "artifacts") == store.description
    assert fs_artifacts.artifact_store.roost_impl["trylast"]
    assert not store.exists(AID)
    assert [] == list(tmp_path.iterdir())


def test_importing_the_plugin_is_cheap():
    """A process that only loads the plugin imports neither the store nor the codec."""
    script = (
        "import sys, roost_plugins.fs_artifacts\n"
        "print([n for n in ('roost_plugins.fs_artifacts.store', 'cattrs') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True)

    assert b"[]" == done.stdout.strip()


def test_bytes_come_back_under_their_hash(store):
    """What put returns describes the bytes, and get, describe and of_work agree with it."""
    artifact = store.put(DATA, work_id="w1", ext="txt", name="a note")

    assert (AID, len(DATA), "txt", "a note") == (
        artifact.artifact_id,
        artifact.size_bytes,
        artifact.ext,
        artifact.name,
    )
    assert DATA == store.get(AID)
    assert store.exists(AID)
    assert [("w1", artifact)] == store.describe(AID)
    assert [artifact] == store.of_work("w1")


def test_folders_and_files_are_the_owners_alone(store, root):
    """Folders are 0700 and files 0600, whatever the umask allows."""
    mask = os.umask(0)
    try:
        store.put(DATA, work_id="w1")
    finally:
        os.umask(mask)

    for path in (root.parent, root, *root.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert expected == stat.S_IMODE(path.stat().st_mode), path


def test_equal_bytes_are_one_blob_with_metadata_per_work(store, root):
    """Two works that store the same bytes share the blob and keep their own names for it."""
    one = store.put(DATA, work_id="w1", ext="txt", name="one")
    two = store.put(DATA, work_id="W1", ext="json", name="two")

    assert [("W1", two), ("w1", one)] == store.describe(AID)
    assert 1 == len(list((root / "blobs").rglob(AID)))


def test_a_json_artifact_does_not_collide_with_metadata(store):
    """An artifact that looks like a record of another comes back byte for byte."""
    first = store.put(DATA, work_id="w1", ext="json")
    fake = b'{"schema":1,"artifact_id":"%s","size_bytes":0}' % AID.encode()
    second = store.put(fake, work_id="w1", ext="json")

    assert DATA == store.get(first.artifact_id)
    assert fake == store.get(second.artifact_id)
    assert sorted([AID, second.artifact_id]) == [one.artifact_id for one in store.of_work("w1")]


def test_empty_and_large_blobs(store):
    """No bytes, and more bytes than one write takes, are artifacts like others."""
    for data in (b"", bytes(range(256)) * 40_000):
        assert data == store.get(store.put(data, work_id="w1").artifact_id)


def test_what_nobody_stored(store):
    """Reading without anything there says so, and makes nothing."""
    with pytest.raises(ArtifactNotFound, match=AID):
        store.get(AID)
    assert not store.exists(AID)
    assert [] == list(store.describe(AID))
    assert [] == list(store.of_work("w1"))
    store.forget("w1")


@pytest.mark.parametrize("bad", ["", "a" * 63, "A" * 64, "a" * 64 + "\n", "../" + "a" * 61, None])
def test_malformed_artifact_ids(store, bad):
    """Whatever is not 64 lower-case hexadecimal digits is refused."""
    for method in (store.get, store.exists, store.describe):
        with pytest.raises(InvalidInput):
            method(bad)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ext": "a/b"},
        {"ext": "TXT"},
        {"ext": "txt\n"},
        {"ext": ""},
        {"name": "two\nlines"},
        {"work_id": "../w"},
        {"work_id": "w\n"},
        {"data": "text"},
        {"data": bytearray(b"x")},
    ],
)
def test_malformed_puts_store_nothing(store, root, wrong):
    """A bad extension, name, work id or kind of data is refused before anything is made."""
    given = {"data": DATA, "work_id": "w1", **wrong}
    with pytest.raises(InvalidInput):
        store.put(given.pop("data"), **given)
    assert not root.exists()


# -- damage ----------------------------------------------------------------------------------


@pytest.mark.fault(12, "a blob cut short or changed")
@pytest.mark.parametrize("damage", [b"", b"some byte", b"somE bytes", b"some bytes and more"])
def test_damaged_blobs_are_reported_and_repaired(store, root, damage):
    """Get names the file and what to do; storing the same bytes again puts it right."""
    store.put(DATA, work_id="w1")
    blob(root).write_bytes(damage)

    with pytest.raises(ArtifactCorrupt, match=str(blob(root))) as caught:
        store.get(AID)
    assert "\n" not in str(caught.value)
    assert "store the same bytes again" in str(caught.value)
    store.put(DATA, work_id="w2")
    assert DATA == store.get(AID)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"schema":1}', b'{"schema":9}', b"\xff", b"x" * (2 << 20)],
)
def test_damaged_records_are_skipped_with_a_warning(store, root, caplog, damage):
    """One bad record hides neither the others nor the blob, and is logged with its path."""
    store.put(DATA, work_id="w1")
    good = store.put(DATA, work_id="w2")
    record(root, "w1").write_bytes(damage)

    with caplog.at_level(logging.WARNING):
        assert [("w2", good)] == store.describe(AID)
        assert [] == list(store.of_work("w1"))
    assert str(record(root, "w1")) in caplog.text
    assert DATA == store.get(AID)


def test_a_record_about_another_artifact_is_damage(store, root, caplog):
    """A record that was copied to another place is not believed."""
    store.put(DATA, work_id="w1")
    other = store.put(b"other", work_id="w1")
    source = record(root, "w1", other.artifact_id)
    record(root, "w1").write_bytes(source.read_bytes())

    assert [other] == store.of_work("w1")
    assert "skipped" in caplog.text


# -- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "planted",
    [
        "blobs",
        f"blobs/{AID[:2]}",
        "records",
        f"records/{AID[:2]}",
        f"records/{AID[:2]}/{AID}",
        "works",
        "works/w1",
        "tmp",
        "locks",
        f"locks/{AID[:2]}",
    ],
)
def test_links_inside_the_root_lead_nowhere(store, root, tmp_path, planted):
    """A symbolic link in place of any folder or lock is refused, and what it points to is safe."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / AID).write_bytes(DATA)
    link = root / planted
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    with pytest.raises(ArtifactError) as caught:
        store.put(DATA, work_id="w1")
    assert "\n" not in str(caught.value)
    for action, argument in (
        (store.exists, AID),
        (store.describe, AID),
        (store.of_work, "w1"),
        (store.forget, "w1"),
    ):
        with contextlib.suppress(ArtifactError):
            answer = action(argument)
            # A blob that was stored in its right place before the error may stay.
            assert not answer or (action == store.exists and not planted.startswith("blobs"))
    if planted.startswith("blobs"):
        with pytest.raises(ArtifactError):
            store.get(AID)
    assert [outside / AID] == list(outside.iterdir())
    assert DATA == (outside / AID).read_bytes()


def test_a_link_in_place_of_a_file_is_replaced(store, root, tmp_path):
    """A link where a blob or record should be is not followed; put replaces it, not its target."""
    store.put(DATA, work_id="w1")
    for path in (blob(root), record(root, "w1")):
        target = tmp_path / "target"
        target.write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(target)

    with pytest.raises(ArtifactCorrupt, match="not a regular file"):
        store.get(AID)
    assert not store.exists(AID)
    assert [] == list(store.describe(AID))
    before = target.read_bytes()
    artifact = store.put(DATA, work_id="w1")
    assert DATA == store.get(AID)
    assert [("w1", artifact)] == store.describe(AID)
    assert before == target.read_bytes()
    assert not blob(root).is_symlink()


def test_a_pipe_in_place_of_a_blob_does_not_hang_readers(store, root):
    """A named pipe planted as a blob is damage, not an endless wait."""
    store.put(DATA, work_id="w1")
    blob(root).unlink()
    os.mkfifo(blob(root))

    with pytest.raises(ArtifactCorrupt):
        store.get(AID)


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
    """What cannot be read is not taken for permission to delete."""
    store.put(DATA, work_id="w1")
    store.put(DATA, work_id="w2")
    record(root, "w2").write_bytes(b"{")
    store.forget("w1")

    assert DATA == store.get(AID)


def test_a_late_forget_leaves_the_next_life_alone(store, root):
    """What a successor with the same id has put, also the same bytes, is not of the former life."""
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
    """One artifact that cannot be dropped does not keep the others; the next call takes it."""
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
    """Shared locks go together, an exclusive one goes with none, and waiting ends."""
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
