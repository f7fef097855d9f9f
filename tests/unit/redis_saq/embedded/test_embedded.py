"""The parts of the embedded server's upkeep that need no server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from roost_core.errors import BackendUnavailable, SettingsError
from roost_plugins.redis_saq.embedded import finding, starting
from roost_plugins.redis_saq.embedded import folder as server_folder
from roost_plugins.redis_saq.embedded import server as embedded
from roost_plugins.redis_saq.embedded.append_log import Syncer

RECORD: dict[str, Any] = {
    "schema": 1,
    "socket": "/somewhere/server/roost.sock",
    "supervisor_pid": 10,
    "server_pid": 11,
    "server_version": "9.1.2",
    "fsync": "everysec",
    "idle_seconds": 20.0,
}


def test_a_whole_record_is_read() -> None:
    """What the supervisor writes is read back as it is."""
    assert finding.parse_record(json.dumps(RECORD).encode()) == RECORD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        json.dumps({**RECORD, "schema": 2}).encode(),
        json.dumps({**RECORD, "server_pid": "11"}).encode(),
        json.dumps({name: RECORD[name] for name in RECORD if name != "fsync"}).encode(),
        b"[" * 100_000,
    ],
)
def test_anything_else_is_no_record(text: bytes) -> None:
    """Garbage, half a record, or one of a later version counts as no record."""
    assert finding.parse_record(text) is None


def test_the_program_of_this_machine_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several programs the one in this machine's folder is taken."""
    monkeypatch.setattr(starting.platform, "machine", lambda: "x86_64")
    for name in ("linux-aarch64", "linux-x86_64"):
        program = tmp_path / "bin" / name / "valkey-server"
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    assert str(program) == starting.server_binary(tmp_path)


def test_no_program_is_one_clear_line(tmp_path: Path) -> None:
    """Where the package has nothing for the platform, the error says what to set."""
    with pytest.raises(BackendUnavailable, match=r"^there is no embedded server .*ROOST_REDIS_URL"):
        starting.server_binary(tmp_path)


def test_a_program_without_its_mode_is_one_clear_line(tmp_path: Path) -> None:
    """An installation that lost the executable bit is told apart from none."""
    (tmp_path / "valkey-server").touch(mode=0o644)
    with pytest.raises(BackendUnavailable, match="make it executable"):
        starting.server_binary(tmp_path)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A file where the home should be is one clear line, and is left alone."""
    home = tmp_path / "home"
    home.write_text("mine")
    with pytest.raises(SettingsError, match="is not a folder: choose another"):
        embedded.ensure(home, fsync="everysec", idle_seconds=1.0)
    assert home.read_text() == "mine"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder nobody can write")
def test_a_home_that_cannot_be_made_is_refused() -> None:
    """A place where nothing can be written is one clear line."""
    with pytest.raises(SettingsError, match=r"cannot (make|use) /proc/home/server"):
        embedded.ensure(Path("/proc/home"), fsync="everysec", idle_seconds=1.0)


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """A server folder in which others could have put something is not used."""
    folder = tmp_path / "server"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(SettingsError, match=r"cannot be trusted: others can reach it \(mode 777\)"):
        embedded.ensure(tmp_path, fsync="everysec", idle_seconds=1.0)
    assert [] == list(folder.iterdir())


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """The server folder itself may not lead elsewhere."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "server").symlink_to("elsewhere")
    with pytest.raises(SettingsError, match="cannot be trusted: it is not a folder"):
        embedded.ensure(tmp_path, fsync="everysec", idle_seconds=1.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Root does not use a user's server folder either."""
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to user 12345, not to user 0"):
        embedded.ensure(tmp_path, fsync="everysec", idle_seconds=1.0)


def test_a_record_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """Nobody else decides which socket is connected to."""
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    record = folder / server_folder.RECORD
    record.write_text(json.dumps(RECORD))
    record.chmod(0o666)
    with pytest.raises(SettingsError, match="others can write it: remove it"):
        embedded.ensure(tmp_path, fsync="everysec", idle_seconds=1.0)


def test_describe_and_stop_leave_no_trace(tmp_path: Path) -> None:
    """Asking about a server that never existed makes nothing."""
    home = tmp_path / "home"
    assert embedded.describe(home) is None
    embedded.stop(home)
    assert not home.exists()


def test_the_lock_has_one_holder(tmp_path: Path) -> None:
    """A second process is refused, a test of the lock sees it, and closing releases it."""
    path = tmp_path / server_folder.LOCK
    assert server_folder.is_free(str(tmp_path))
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert server_folder.try_lock(first)
        assert not server_folder.try_lock(second)
        assert not server_folder.is_free(str(tmp_path))
    finally:
        os.close(first)
    assert server_folder.is_free(str(tmp_path))
    assert server_folder.try_lock(second)
    os.close(second)


def test_only_what_has_grown_is_synced(tmp_path: Path) -> None:
    """Each file once, again when it has grown, and nothing but append-only files."""
    syncer = Syncer(str(tmp_path))
    older, newer = tmp_path / "a.1.incr.aof", tmp_path / "a.2.incr.aof"
    older.write_bytes(b"1")
    newer.write_bytes(b"2")
    (tmp_path / "a.1.base.rdb").write_bytes(b"3")
    assert 2 == syncer.sync()
    assert 0 == syncer.sync()
    newer.write_bytes(b"22")
    assert 1 == syncer.sync()
    older.unlink()
    assert 0 == syncer.sync()


def test_a_missing_folder_has_nothing_to_sync(tmp_path: Path) -> None:
    """The folder may be gone with the home; the supervisor finds that out elsewhere."""
    assert 0 == Syncer(str(tmp_path / "gone")).sync()
