"""Damage in the embedded server's append-only file: reported with its size, repaired on request."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_core.errors import BackendUnavailable
from roost_plugins.redis_saq.embedded import server as embedded
from roost_plugins.redis_saq.embedded.wire import Wire
from tests.integration.test_embedded_prepared import resp
from tests.integration.test_embedded_server import PATIENCE, ensure, processes, until

SET = resp("SET", "second", "hello")
#: What is at the end of the file, and how many commands are recognisable in it.
TAILS = {
    "zeros": (b"\0" * 5000, 0),
    "garbage": (b"\xff\xfe*x\r\n hello" * 40, 0),
    "zeros in a command": (SET[:-5] + b"\0" * 30, 1),
    "half a transaction": (resp("MULTI") + SET + b"\0\0", 2),
    "damage before others": (b"\0" * 100 + SET * 3, 3),
    "a megabyte": (b"\0" + SET * 40_000, 40_000),
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a home with some data and no server; one that comes is stopped afterwards."""
    found = tmp_path / "home"
    with Wire(ensure(found), PATIENCE) as wire:
        wire.call("SET", "first", "1")
    embedded.stop(found)
    yield found
    embedded.stop(found, timeout=PATIENCE)
    until(lambda: not processes(found), "the end of all processes")


def log_of(home: Path) -> Path:
    """Return the file that the server writes to."""
    (log,) = (home / "server" / "appendonlydir").glob("*.incr.aof")
    return log


def roost(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-m", "roost_core.cli", *words],
        env={**kept, "ROOST_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("what", TAILS)
def test_a_damaged_end_is_told_and_repaired(home: Path, what: str) -> None:
    """One line with what is intact and what to type; the repair keeps a copy, and the data."""
    log = log_of(home)
    whole = log.read_bytes()
    tail, commands = TAILS[what]
    log.write_bytes(whole + tail)

    refused = roost(home, "list")
    assert (1, "", 1) == (refused.returncode, refused.stdout, refused.stderr.count("\n"))
    said = f"{log.name} is intact up to byte {len(whole)}; {len(tail)} bytes are not"
    said += f", with {commands} recognisable commands" if commands else ""
    assert f"{said}: roost doctor --repair-log cuts them off" in refused.stderr
    looked = roost(home, "doctor")
    assert (1, True) == (looked.returncode, said in looked.stdout)
    assert whole + tail == log.read_bytes()
    until(lambda: not processes(home), "the end of what was started")

    mended = roost(home, "doctor", "--repair-log")
    assert 0 == mended.returncode, mended.stdout + mended.stderr
    assert f"warning\tlog\tcut off {len(tail)} bytes: {said}" in mended.stdout
    (copy,) = (home / "server").glob("damaged-*")
    assert str(copy) in mended.stdout
    assert whole + tail == copy.read_bytes()
    assert 0o600 == copy.stat().st_mode & 0o777
    with Wire(ensure(home), PATIENCE) as wire:
        assert ("1", "0") == (wire.call("GET", "first"), wire.call("EXISTS", "second"))


def test_what_is_whole_is_left_alone(home: Path, tmp_path: Path) -> None:
    """Also while a server runs, and where there is no home at all."""
    before = log_of(home).read_bytes()
    done = roost(home, "doctor", "--repair-log")
    assert "ok\tlog\tthe append-only file is intact" in done.stdout
    running = roost(home, "doctor", "--repair-log")
    assert "is running, so its data is intact; nothing was changed" in running.stdout
    embedded.stop(home)
    assert before == log_of(home).read_bytes()
    assert embedded.repair_log(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "what", ["the manifest", "a path in the manifest", "a file that is gone", "a link"]
)
def test_other_damage_is_beyond_repair(home: Path, tmp_path: Path, what: str) -> None:
    """Where cutting off the end does not help, nothing is changed, and one line says so."""
    folder = home / "server" / "appendonlydir"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    log = log_of(home)
    if what == "the manifest":
        (folder / "appendonly.aof.manifest").write_text("junk\n")
    elif what == "a path in the manifest":
        text = f"file ../../../{elsewhere.name} seq 1 type i\n"
        (folder / "appendonly.aof.manifest").write_text(text)
    else:
        log.unlink()
        if what == "a link":
            log.symlink_to(elsewhere)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused = roost(home, "list")
    assert (1, "", 1) == (refused.returncode, refused.stdout, refused.stderr.count("\n"))
    until(lambda: not processes(home), "the end of what was started")
    with pytest.raises(BackendUnavailable, match=r"cannot be repaired: .* restore a backup"):
        embedded.repair_log(home)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"mine" == elsewhere.read_bytes()
    assert [] == list((home / "server").glob("damaged-*"))


def test_a_damaged_image_is_one_line(home: Path) -> None:
    """Damage in the file before the one that grows is not at the end, and is left as it is."""
    (image,) = (home / "server" / "appendonlydir").glob("*.base.rdb")
    spoilt = image.read_bytes()[:20] + b"\x07" * 40
    image.write_bytes(spoilt)
    refused = roost(home, "doctor", "--repair-log")
    assert 1 == refused.returncode
    assert "ok\tlog\tthe append-only file is intact" in refused.stdout
    assert "problem\tserver\tthe embedded server did not start: " in refused.stdout
    assert spoilt == image.read_bytes()


def test_no_room_for_the_copy_cuts_nothing_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy comes first: without it the file stays as it is."""
    log = log_of(home)
    spoilt = log.read_bytes() + b"\0" * 10
    log.write_bytes(spoilt)

    def full(source: str, target: str) -> None:
        Path(target).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(BackendUnavailable, match=r"cannot repair .*: No space left on device"):
        embedded.repair_log(home)
    assert spoilt == log.read_bytes()
    assert [] == list((home / "server").glob("damaged-*"))
