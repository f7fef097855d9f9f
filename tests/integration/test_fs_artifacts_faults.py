"""The filesystem artifact store under faults: failing calls, kills, many processes."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
import sys
import time

import pytest

from roost_core.errors import (
    ArtifactCorrupt,
    ArtifactDiskFull,
    ArtifactError,
    ArtifactNotFound,
)
from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.artifact_bench import AID, DATA, blob, failing, left


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that has a store at its first argument."""
    head = (
        "import sys\nfrom pathlib import Path\n"
        "from roost_plugins.fs_artifacts.store import FilesystemStore\n"
        "store = FilesystemStore(Path(sys.argv[1]))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- faults ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: no handler of expected errors runs."""


FAULTS = [
    ("write", errno.ENOSPC),
    ("fsync", errno.EIO),
    ("rename", errno.EROFS),
    ("mkdir", errno.EROFS),
    ("open", errno.EROFS),
]


@pytest.mark.fault(12, "no space, a failed sync or a read-only folder, at each call")
@pytest.mark.parametrize(("function", "code"), FAULTS)
@pytest.mark.parametrize("is_fresh", [True, False])
def test_every_failing_call_is_one_clear_error(tmp_path, monkeypatch, function, code, is_fresh):
    """A full disk, a failed sync or a read-only folder, at every call in turn: all or nothing."""
    for call in range(1, 100):
        root = tmp_path / str(call)
        store = FilesystemStore(root)
        other = b"other" if is_fresh else DATA
        if not is_fresh:
            store.put(other, work_id="w0")
        with monkeypatch.context() as patch:
            calls = failing(patch, function, call, OSError(code, os.strerror(code)))
            try:
                store.put(DATA, work_id="w1")
                text = ""
            except ArtifactError as error:
                text, raised = str(error), error
        if not text:
            # Cleaning old litter and looking for an older blob may fail without harm.
            assert DATA == store.get(AID)
            if len(calls) < call:
                break
            continue
        assert os.strerror(code) in text
        assert "\n" not in text
        assert (code == errno.ENOSPC) == isinstance(raised, ArtifactDiskFull)
        assert [] == list((root / "tmp").glob("*"))
        if store.of_work("w1"):
            # The last sync failed: everything is in place.
            assert ("fsync", DATA) == (function, store.get(AID))
        elif is_fresh:
            assert not store.exists(AID)
            with pytest.raises(ArtifactNotFound):
                store.get(AID)
        else:
            assert DATA == store.get(AID)
        store.put(DATA, work_id="w1")
        assert DATA == store.get(AID)
    else:
        pytest.fail("put never came to its end")


def test_short_writes_are_continued(store, monkeypatch):
    """A system that writes a few bytes at a time still stores them all."""
    genuine = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: genuine(fd, data[:3]))

    assert DATA == store.get(store.put(DATA, work_id="w1").artifact_id)


@pytest.mark.fault(12, "a death at each call")
@pytest.mark.parametrize("function", ["write", "fsync", "rename", "open", "mkdir", "unlink"])
def test_dying_at_any_call_leaves_all_or_nothing(tmp_path, monkeypatch, function):
    """Whatever a dying put or forget leaves is whole, and forget removes all of it."""
    for call in range(1, 100):
        root = tmp_path / str(call)
        store = FilesystemStore(root)
        shared = store.put(b"shared", work_id="w0")
        with monkeypatch.context() as patch:
            failing(patch, function, call, Killed())
            try:
                store.put(DATA, work_id="w1")
                store.put(b"shared", work_id="w1")
                store.forget("w1")
            except Killed:
                is_over = False
            else:
                is_over = True
        reader = FilesystemStore(root)
        for artifact in reader.of_work("w1"):
            assert artifact.size_bytes == len(reader.get(artifact.artifact_id))
        if reader.exists(AID):
            assert DATA == reader.get(AID)
        reader.forget("w1")
        assert b"shared" == reader.get(shared.artifact_id)
        assert [("w0", shared)] == reader.describe(shared.artifact_id)
        assert not reader.exists(AID)
        reader.forget("w0")
        assert [] == left(root)
        if is_over:
            break
    else:
        pytest.fail("it never came to its end")


@pytest.mark.fault(12, "a folder that cannot be made")
@pytest.mark.parametrize("blocked", ["", "blobs", f"blobs/{AID[:2]}", "records", "works", "tmp"])
def test_a_file_where_a_folder_belongs(store, root, blocked):
    """A folder that cannot be made (here: a file has its name) is one clear error."""
    # Stands for a read-only folder too, which root could write to anyway.
    (root / blocked).parent.mkdir(parents=True)
    (root / blocked).write_text("in the way")

    with pytest.raises(ArtifactError, match="cannot store") as caught:
        store.put(DATA, work_id="w1")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders too")
def test_a_read_only_folder(store, root):
    """A root without write permission is one clear error and a finding."""
    root.mkdir(parents=True)
    root.chmod(0o500)
    try:
        with pytest.raises(ArtifactError, match="Permission denied"):
            store.put(DATA, work_id="w1")
        assert ["problem"] == [finding.level for finding in store.diagnose()]
    finally:
        root.chmod(0o700)


def test_a_folder_in_place_of_a_blob(store, root):
    """What cannot be replaced is an error, and the temporary file is gone."""
    blob(root).mkdir(parents=True)

    with pytest.raises(ArtifactError):
        store.put(DATA, work_id="w1")
    with pytest.raises(ArtifactCorrupt):
        store.get(AID)
    assert [] == left(root)[1:]


# -- many processes --------------------------------------------------------------------------


@pytest.mark.fault(12, "writers of the same bytes at once", n=8)
def test_eight_writers_of_the_same_bytes(root):
    """Eight processes that store the same bytes many times make one blob and lose no reference."""
    script = "for n in range(25): store.put(b'same' * 9999, work_id=f'{sys.argv[2]}.{n}')"
    writers = [run(script, root, f"w{number}") for number in range(8)]
    errors = [process.communicate(timeout=120)[1] for process in writers]

    assert [""] * 8 == errors
    artifact_id = hashlib.sha256(b"same" * 9999).hexdigest()
    assert [blob(root, artifact_id)] == [
        path for path in (root / "blobs").rglob("*") if path.is_file()
    ]
    assert b"same" * 9999 == FilesystemStore(root).get(artifact_id)
    assert 200 == len(FilesystemStore(root).describe(artifact_id))
    assert [] == list((root / "tmp").iterdir())


def test_forget_never_takes_a_blob_from_a_concurrent_put(root):
    """While some put and forget the same bytes, whoever has put them can read them."""
    script = (
        "work = sys.argv[2]\n"
        "for n in range(150):\n"
        "    a = store.put(b'contended', work_id=work)\n"
        "    assert store.get(a.artifact_id) == b'contended'\n"
        "    assert work in [w for w, _ in store.describe(a.artifact_id)]\n"
        "    assert store.of_work(work) == [a]\n"
        "    store.forget(work)\n"
    )
    processes = [run(script, root, f"w{number}") for number in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in processes]

    assert [""] * 4 == errors
    assert [] == left(root)
    assert [] == list((root / "works").iterdir())


def test_one_work_put_and_forgotten_at_once(root):
    """Even one work item's own puts and forgets may cross: nothing is half there at the end."""
    put = "for n in range(200): store.put(b'%d' % (n % 7), work_id='w1')"
    forget = "for n in range(200): store.forget('w1')"
    processes = [run(script, root) for script in (put, put, forget, forget)]
    errors = [process.communicate(timeout=120)[1] for process in processes]

    assert [""] * 4 == errors
    store = FilesystemStore(root)
    for artifact in store.of_work("w1"):
        assert artifact.size_bytes == len(store.get(artifact.artifact_id))
    store.forget("w1")
    assert [] == left(root)


@pytest.mark.fault(3, "kill -9 in the write of an artifact", n=50)
@pytest.mark.fault(12, "kill -9 of a writer", n=50)
def test_killed_writers_leave_all_or_nothing(root):
    """50 writers killed -9 at random: what was acknowledged is there, the rest whole or absent."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    script = (
        "import os, random\n"
        "for n in range(10**6):\n"
        "    data = random.randbytes(random.randrange(300_000))\n"
        "    a = store.put(data, work_id=f'w{n % 3}')\n"
        "    os.write(1, f'{a.artifact_id} {a.size_bytes}\\n'.encode())\n"
        "    if n % 10 == 9: store.forget('w0')\n"
    )
    acknowledged = 0
    for turn in range(50):
        note = f"seed {seed}, turn {turn}"
        process = run(script, root)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(dice.uniform(0, 0.04))
        process.kill()
        lines = [first, *process.communicate(timeout=60)[0].splitlines(keepends=True)]
        whole = [line.split() for line in lines if line.endswith("\n")]
        acknowledged += len(whole)
        store = FilesystemStore(root)
        for number, (artifact_id, size) in enumerate(whole):
            # Those of w0 may have been forgotten since.
            if number % 3 or len(whole) < 9:
                assert int(size) == len(store.get(artifact_id)), note
        for work in ("w0", "w1", "w2"):
            for artifact in store.of_work(work):
                assert artifact.size_bytes == len(store.get(artifact.artifact_id)), note
        for path in (root / "blobs").rglob("*"):
            assert path.is_dir() or store.get(path.name) is not None, note
        if turn % 10 == 9:
            for work in ("w0", "w1", "w2"):
                store.forget(work)
            rest = [path for path in left(root) if path.parent.name != "tmp"]
            assert [] == rest, note
    assert acknowledged >= 50
