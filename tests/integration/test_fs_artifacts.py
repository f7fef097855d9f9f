"""The filesystem artifact store: real files and processes, damage and links."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import subprocess
import sys

import pytest

from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactNotFound,
    InvalidInput,
)
from roost_core.settings import Settings
from roost_plugins import fs_artifacts
from tests.integration.artifact_bench import AID, DATA, blob, record

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
    """Two work items that store the same bytes share the blob and keep their own names for it."""
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
    """Reading what does not exist says so, and makes nothing."""
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
    """Get names the file and what to do; storing the same bytes again repairs it."""
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
