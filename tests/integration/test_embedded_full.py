"""The embedded server on a full disk: reads work, writes are refused at once, and it recovers."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from roost_plugins.redis_saq.embedded import server as embedded
from roost_plugins.redis_saq.embedded.wire import Refused, Wire
from tests.integration.test_embedded_server import PATIENCE, ensure, processes, standing, until

#: Far longer than commands take that wait for nothing. Seconds.
AT_ONCE = 15.0
#: What is said about the disk.
FULL = "is full: make room there"


@attrs.frozen
class Disk:
    """A home on a disk that can be filled, and how to fill it and make room again."""

    home: Path
    fill: Callable[[], None]
    make_room: Callable[[], None]

    def run(
        self, *words: str, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line in a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
        return subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            env={**kept, "ROOST_HOME": str(self.home), **variables},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def enqueue(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Enqueue one work item that takes more than a page."""
        words = ("enqueue", "--engine", "e", "--any-engine", "--payload", json.dumps("x" * 9000))
        return self.run(*words, **variables)

    def listed(self) -> set[str]:
        """Return the ids of all work items."""
        found = self.run("list", "--json", "--limit", "10000")
        assert 0 == found.returncode, found.stderr
        return {row["work_id"] for row in json.loads(found.stdout)}


def limited(home: Path) -> Disk:
    """Return a home whose server may not let its files grow, which takes no privileges."""

    def limit(size: int) -> None:
        pid = standing(home)["server_pid"]
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    return Disk(home, lambda: limit(1), lambda: limit(resource.RLIM_INFINITY))


def small(folder: Path) -> Disk:
    """Return a home on a disk of a few megabytes, all of which is taken on demand."""
    filler = folder / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return

    return Disk(folder / "home", fill, filler.unlink)


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system; skip where this user may not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux":
        pytest.skip("needs tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "roost-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this user may not mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        for pid, _ in processes(folder / "home"):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not processes(folder / "home"), "the end of all processes")
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["a limit", "a small disk"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Return a disk with a server on it."""
    if request.param == "a small disk":
        found = small(request.getfixturevalue("small_folder"))
    elif hasattr(resource, "prlimit"):
        found = limited(tmp_path / "home")
    else:
        pytest.skip("needs prlimit")
    ensure(found.home)
    yield found
    embedded.stop(found.home, timeout=PATIENCE)
    until(lambda: not processes(found.home), "the end of all processes")


def fill(disk: Disk) -> set[str]:
    """Fill the disk and enqueue until the server notices; return the ids that it has accepted."""
    disk.fill()
    taken = set()
    while (done := disk.enqueue()).returncode == 0:
        taken.add(done.stdout.strip())
        assert len(taken) < 50, "the disk is never full"
    assert FULL in done.stderr
    return taken


def test_a_full_disk_is_named_and_can_be_read(disk: Disk) -> None:
    """Writing fails at once with the cause; reading works; with room, all continues by itself."""
    taken = fill(disk)
    before = time.monotonic()
    refused = disk.enqueue()
    assert (1, "", 1) == (refused.returncode, refused.stdout, refused.stderr.count("\n"))
    assert f"the disk of {disk.home} {FULL}" in refused.stderr
    assert "may be stored" not in refused.stderr
    assert taken == disk.listed()
    for item in taken:
        assert 0 == disk.run("status", item).returncode
    assert "the last write to the append-only file failed" in disk.run("doctor").stdout
    assert time.monotonic() - before < AT_ONCE + 3 * len(taken)
    disk.make_room()
    # The server tries again by itself, once a second.
    until(lambda: _takes_writes(disk.home), "writes")
    done = disk.enqueue()
    assert (0, "") == (done.returncode, done.stderr)
    embedded.stop(disk.home)
    assert taken | {done.stdout.strip()} == disk.listed()


def _takes_writes(home: Path) -> bool:
    with Wire(ensure(home), PATIENCE) as wire:
        try:
            wire.call("DEL", "nothing")
        except Refused:
            return False
    return True


def test_a_batch_prints_what_is_stored(disk: Disk) -> None:
    """All ids that are stored and no others, and the line to continue at; that line works."""
    disk.fill()
    lines = [
        json.dumps({"engine": "e", "payload": "x" * 9000, "title": str(n)}) for n in range(1200)
    ]
    words = ("enqueue", "--any-engine", "--batch", "-")
    first = disk.run(*words, stdin="\n".join(lines))
    assert 1 == first.returncode
    assert f"the disk of {disk.home} {FULL}" in first.stderr
    stored = first.stdout.split()
    assert set(stored) == disk.listed()
    assert f"stopped at line {len(stored) + 1}\n" in first.stderr
    disk.make_room()
    until(lambda: _takes_writes(disk.home), "writes")
    few = lines[len(stored) : len(stored) + 100]
    second = disk.run(*words, stdin="\n".join(few))
    assert (0, 100) == (second.returncode, len(second.stdout.split()))
    assert set(stored) | set(second.stdout.split()) == disk.listed()


def test_an_idle_server_stays_until_all_is_written(disk: Disk) -> None:
    """What the disk did not take is only in memory; once it is written the server leaves."""
    embedded.stop(disk.home)
    ensure(disk.home, idle_seconds=1.0)
    pid = standing(disk.home)["server_pid"]
    taken = fill(disk)
    time.sleep(3)
    assert pid == standing(disk.home)["server_pid"]
    disk.make_room()
    until(lambda: not processes(disk.home), "the end of an idle server")
    assert taken == disk.listed()


def test_a_server_starts_on_a_full_disk(small_folder: Path) -> None:
    """What is stored can be read although there is no room for the smallest file."""
    disk = small(small_folder)
    done = disk.enqueue()
    assert 0 == done.returncode, done.stderr
    embedded.stop(disk.home)
    disk.fill()
    assert {done.stdout.strip()} == disk.listed()
    embedded.stop(disk.home)


def test_a_server_that_syncs_each_write_names_the_disk(small_folder: Path) -> None:
    """It ends when it cannot write; the error says why, and what was acknowledged is there."""
    disk = small(small_folder)
    always = {"ROOST_EMBEDDED_FSYNC": "always"}
    taken = {disk.enqueue(**always).stdout.strip()}
    disk.fill()
    while (done := disk.enqueue(**always)).returncode == 0:
        taken.add(done.stdout.strip())
        assert len(taken) < 50, "the disk is never full"
    assert f"the disk of {disk.home} {FULL}" in done.stderr
    assert taken <= disk.listed()
    embedded.stop(disk.home)


def test_no_room_for_a_new_home_is_one_line(small_folder: Path) -> None:
    """Nothing can be stored, and that is what is said."""
    disk = small(small_folder)
    disk.fill()
    done = disk.enqueue()
    assert 1 == done.stderr.count("\n")
    assert "No space left" in done.stderr or "is full" in done.stderr, done.stderr
