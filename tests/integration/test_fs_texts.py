"""The store in a folder, and the one in it for large texts of snapshots; and the one in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from roost_core.errors import ArtifactError, ArtifactNotFound, InvalidInput
from roost_core.testing import MemoryArtifactStore
from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.artifact_bench import AID, DATA, failing, left, record


@pytest.fixture(params=["files", "memory"])
def texts(request, store):
    """Give a store for texts."""
    return store.values if request.param == "files" else MemoryArtifactStore().values


def test_texts_are_nobody_s_artifacts(store, root):
    """They have a store of their own, in the same folder, and each queue its own in it."""
    one = store.values.put(DATA, work_id="w1", name="lease-1")
    assert not store.exists(AID)
    assert [] == [*store.of_work("w1"), *store.describe(AID)]
    assert (root / "values" / "blobs" / AID[:2] / AID).read_bytes() == DATA
    other = store.of_queue("default", "other")
    assert [] == list(other.values.of_work("w1"))
    other.values.put(DATA, work_id="w1", name="lease-9")
    assert [one] == list(store.values.of_work("w1"))
    assert store.values is store.values
    assert store.values.of_queue("default", "default") is store.values


def test_dropping_one(texts):
    """Just this one; its bytes go with the last that refers to them."""
    one = texts.put(DATA, work_id="w1", life=1, name="lease-1")
    texts.put(DATA, work_id="w2", life=1, name="lease-1")
    kept = texts.put(b"kept", work_id="w1", life=1, name="lease-1")
    texts.drop(one, work_id="w1", life=1)
    assert [kept] == list(texts.of_work("w1"))
    assert DATA == texts.get(AID)
    texts.drop(one, work_id="w2", life=1)
    with pytest.raises(ArtifactNotFound):
        texts.get(AID)
    texts.drop(one, work_id="w2", life=1)
    assert b"kept" == texts.get(kept.artifact_id)


@pytest.mark.parametrize("names", [("lease-1", "lease-2"), ("lease-2", "lease-1")])
def test_what_was_put_under_another_name_is_not_dropped(texts, names):
    """Whichever came first; nor what belongs to another life."""
    both = {name: texts.put(DATA, work_id="w1", life=1, name=name) for name in names}
    assert [AID, AID] == [one.artifact_id for one in texts.of_work("w1")]
    again = both["lease-2"]
    texts.drop(both["lease-1"], work_id="w1", life=1)
    assert [again] == list(texts.of_work("w1"))
    assert DATA == texts.get(AID)
    later = texts.put(DATA, work_id="w1", life=2, name="lease-2")
    texts.drop(later, work_id="w1", life=1)
    assert DATA == texts.get(AID)
    texts.drop(later, work_id="w1", life=2)
    assert not texts.exists(AID)


def test_forgetting_all(texts):
    """Of one life, under whatever names."""
    for number in (1, 2, 3):
        texts.put(DATA, work_id="w1", life=min(number, 2), name=f"lease-{number}")
    texts.forget("w1", 1)
    assert ["lease-2", "lease-3"] == sorted(one.name for one in texts.of_work("w1"))
    assert {"w1"} == {who for who, _ in texts.describe(AID)}
    texts.forget("w1", 2)
    assert not texts.exists(AID)


def test_what_was_shared_before_a_life_began(texts):
    """A clean-up of the life before it, that comes late, leaves it; its own takes it."""
    one = texts.put(DATA, work_id="w1", life=1, name="lease-1")
    texts.share(one, work_id="w2", life=500)
    texts.forget("w1", 1)
    texts.forget("w2", 400)
    assert DATA == texts.get(AID)
    texts.forget("w2", 501)
    assert not texts.exists(AID)


def test_names(store):
    """They become parts of file names."""
    for name in (None, "", "../x", "A", "x" * 61):
        with pytest.raises(InvalidInput):
            store.values.put(DATA, work_id="w1", name=name)


def test_nothing_is_left(store, root):
    """Of the note, the record, and the bytes."""
    texts = store.values
    for number in range(3):
        one = texts.put(b"%d" % number, work_id="w1", name="lease-1")
        texts.drop(one, work_id="w1")
    assert [] == left(root)
    with pytest.raises(InvalidInput, match="not a valid work id"):
        texts.drop(one, work_id="../w1")


def test_a_damaged_record_stays(store, root):
    """It may be another lease's."""
    texts = store.values
    one = texts.put(DATA, work_id="w1", name="lease-1")
    damaged = record(root / "values", "w1=lease-1")
    assert damaged.exists()
    damaged.write_bytes(b"{")
    texts.drop(one, work_id="w1")
    assert DATA == texts.get(AID)


def test_it_cannot_be_dropped(store, monkeypatch):
    """The error says which and why; trying again is harmless."""
    texts = store.values
    one = texts.put(DATA, work_id="w1", name="lease-1")
    with monkeypatch.context() as patch:
        failing(patch, "unlink", 1, OSError(5, "Input/output error"))
        with pytest.raises(ArtifactError, match=f"cannot drop {AID}"):
            texts.drop(one, work_id="w1")
    texts.drop(one, work_id="w1")
    assert not texts.exists(AID)


def test_a_folder_that_is_not_there(store, root):
    """It is not said that a text is lost, while its volume is not mounted."""
    texts = store.values
    texts.put(DATA, work_id="w1", name="lease-1")
    (root / "values").rename(root / "elsewhere")
    for ask in (texts.get, texts.exists):
        with pytest.raises(ArtifactError, match="is its volume mounted") as caught:
            ask(AID)
        assert not isinstance(caught.value, ArtifactNotFound)
    (root / "elsewhere").rename(root / "values")
    assert DATA == texts.get(AID)
    assert not store.exists(AID)


def test_a_shared_folder_is_not_made(root):
    """It may be there, and not be mounted: what is stored beside it would be another one."""
    store = FilesystemStore(root, is_shared=True)
    for use in (
        lambda: store.put(DATA, work_id="w1"),
        lambda: store.values.put(DATA, work_id="w1", name="lease-1"),
        lambda: store.get(AID),
        lambda: store.values.get(AID),
        lambda: store.values.exists(AID),
        lambda: store.forget("w1", 1),
        lambda: store.values.forget("w1", 1),
    ):
        with pytest.raises(ArtifactError, match=f"there is no folder {root}: is its volume"):
            use()
    assert not root.exists()
    (finding,) = store.diagnose()
    assert ("problem", True) == (finding.level, "mount its volume" in finding.message)
    root.mkdir(parents=True)
    assert store.values.put(DATA, work_id="w1", name="lease-1").artifact_id == AID
    assert DATA == store.values.get(AID)
    with pytest.raises(ArtifactNotFound):
        store.get(AID)


def test_the_doctor_looks_into_it(store, root):
    """At what is wrong with the folder of the texts, too."""
    store.put(DATA, work_id="w1")
    store.values.put(DATA, work_id="w1", name="lease-1")
    assert ["ok"] == [one.level for one in store.diagnose()]
    (root / "values" / "blobs").chmod(0o755)
    (warning,) = (one for one in store.diagnose() if one.level == "warning")
    assert str(root / "values" / "blobs") in warning.message


def test_a_record_folder_that_cannot_be_read(store, root):
    """It is an error of the store, like all others."""
    store.values.put(DATA, work_id="w1", name="lease-1")
    folder = root / "values" / "records" / AID[:2] / AID
    folder.rename(folder.with_name("elsewhere"))
    folder.write_bytes(b"no folder")
    with pytest.raises(ArtifactError, match="cannot read"):
        store.values.of_work("w1")


#: Puts and drops the same bytes for one work item, as leases that follow each other do.
_TURNS = """
import sys
from pathlib import Path
from roost_core.errors import ArtifactError
from roost_plugins.fs_artifacts.store import FilesystemStore

texts = FilesystemStore(Path(sys.argv[1])).values
for turn in range(60):
    mine = texts.put(b"the same", work_id="w1", name=f"lease-{sys.argv[2]}{turn}")
    there = texts.exists(mine.artifact_id)
    for one in texts.of_work("w1"):
        if one != mine and one.name[6] == sys.argv[2]:
            raise SystemExit(f"{one.name} is still there")
    noted = [one.name for one in texts.of_work("w1")]
    if mine.name in noted and not texts.exists(mine.artifact_id):
        # Only who put it again may have dropped it since.
        again = [one.name for one in texts.of_work("w1")]
        if mine.name in again:
            raise SystemExit(f"{mine.name} has no bytes")
    for _ in range(1000):
        try:
            texts.drop(mine, work_id="w1")
            break
        except ArtifactError as error:
            assert "another process keeps it locked" in str(error)
"""


def test_many_processes(root):
    """While others put and drop the same bytes, a record always has its bytes."""
    commands = [[sys.executable, "-c", _TURNS, str(root), number] for number in "123"]
    running = [subprocess.Popen(one, stderr=subprocess.PIPE, text=True) for one in commands]
    assert ["", "", ""] == [one.communicate(timeout=120)[1] for one in running]
    assert [0, 0, 0] == [one.returncode for one in running]
