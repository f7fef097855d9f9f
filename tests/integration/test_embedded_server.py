"""The embedded server as processes: started, shared, killed, left alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roost_plugins.redis_saq.embedded import folder as server_folder
from roost_plugins.redis_saq.embedded import server as embedded
from roost_plugins.redis_saq.embedded.wire import Wire

#: Long enough for the slowest machine; nothing waits that long when all is well.
PATIENCE = 60.0
IDLE = 30.0
SEED = random.randrange(1 << 30)

ASK = """
import sys
from pathlib import Path
from roost_plugins.redis_saq.embedded import server as embedded
print(embedded.ensure(Path(sys.argv[1]), fsync="everysec", idle_seconds=30.0))
"""


def until(happened: Callable[[], Any], what: str) -> None:
    """Wait for something, and fail with its name if it does not happen."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def processes(home: Path) -> list[tuple[int, str]]:
    """Return live processes with this home on their command line."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    return [
        (int(row[0]), row[2])
        for row in rows
        if len(row) == 3 and f"{home}/server" in row[2] and not row[1].startswith("Z")
    ]


def ensure(home: Path, *, fsync: str = "everysec", idle_seconds: float = IDLE) -> str:
    """Return the socket of the home's server."""
    return str(
        embedded.ensure(home, fsync=fsync, idle_seconds=idle_seconds, start_timeout=PATIENCE)
    )


def standing(home: Path) -> dict[str, Any]:
    """Return what is known about the home's server, which must be running."""
    known = embedded.describe(home)
    assert known is not None
    return known


def config(home: Path, *names: str) -> dict[str, str]:
    """Return settings of the home's server, read by the command's private name."""
    with Wire(ensure(home), PATIENCE) as wire:
        words = wire.ask(embedded.config_command(home), "GET", *names)
    return dict(zip(words[::2], words[1::2], strict=True))


def kill(*pids: int, number: int = signal.SIGKILL) -> None:
    """Signal processes; some may be gone already."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def ask_from(home: Path, count: int) -> list[subprocess.Popen[str]]:
    """Start processes that all want the home's server at once."""
    command = [sys.executable, "-c", ASK, str(home)]
    return [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a maker of homes, whose servers are stopped afterwards without a trace."""
    homes = []

    def make(name: str) -> Path:
        homes.append(tmp_path / name)
        return homes[-1]

    yield make
    for home in homes:
        embedded.stop(home, timeout=PATIENCE)
        until(lambda home=home: not processes(home), f"the end of all processes of {home}")


@pytest.fixture
def home(make_home: Callable[[str], Path]) -> Path:
    """Return one home."""
    return make_home("home")


def test_it_is_private(home: Path) -> None:
    """Folder and socket are the user's alone, and there is no TCP port."""
    path = Path(ensure(home))
    modes = [p.stat().st_mode & 0o777 for p in (home, home / "server", path)]
    assert [0o700, 0o700, 0o700] == modes
    with Wire(str(path), PATIENCE) as wire:
        assert "0" == wire.info("server")["tcp_port"]
    for file in (home / "server").rglob("*"):
        assert 0 == file.lstat().st_mode & 0o077 or file.is_symlink(), file


def test_it_is_set_up_to_keep_what_it_is_given(home: Path) -> None:
    """Append-only file on, no eviction, no image on the side, nothing dangerous."""
    expected = {
        "appendonly": "yes",
        "appendfsync": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "enable-protected-configs": "no",
    }
    assert expected == config(home, *expected)


def test_many_processes_share_one(home: Path) -> None:
    """Twenty at once get the same socket, and one server and one supervisor run."""
    asking = ask_from(home, 20)
    answers = {process.communicate(timeout=PATIENCE) for process in asking}
    assert {(f"{home}/server/roost.sock\n", "")} == answers
    known = standing(home)
    assert {known["supervisor_pid"], known["server_pid"]} == {pid for pid, _ in processes(home)}


def test_every_path_to_a_home_leads_to_its_server(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths and links find the same server."""
    expected = ensure(home)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("home")
    assert [expected] * 3 == [ensure(Path(p)) for p in ("home", "link", "link/../home")]
    assert 2 == len(processes(home))


def test_two_homes_have_two_servers(make_home: Callable[[str], Path]) -> None:
    """What is written in one home is not in the other."""
    first, second = ensure(make_home("one")), ensure(make_home("two"))
    assert first != second
    with Wire(first, PATIENCE) as one, Wire(second, PATIENCE) as two:
        one.call("SET", "key", "value")
        assert "0" == two.call("EXISTS", "key")


def test_it_is_out_of_reach_of_the_terminal(home: Path) -> None:
    """Supervisor and server are in a session of their own: Ctrl-C does not get there."""
    ensure(home)
    known = standing(home)
    sessions = {os.getsid(known[name]) for name in ("supervisor_pid", "server_pid")}
    assert 1 == len(sessions)
    assert os.getsid(0) not in sessions


@pytest.mark.parametrize("victims", [("supervisor",), ("server",), ("supervisor", "server")])
@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_kill_9_loses_nothing_acknowledged(
    home: Path, victims: tuple[str, ...], fsync: str, record_property: Callable[[str, Any], None]
) -> None:
    """Whichever process is killed during writes, the next server has every answered write."""
    dice = random.Random(SEED)
    record_property("seed", SEED)
    acknowledged = 0
    for _ in range(6):
        path = ensure(home, fsync=fsync)
        known = standing(home)
        with Wire(path, PATIENCE) as wire:
            found = int(wire.call("INCRBY", "n", "0"))
            # The write in flight may have been applied without its answer arriving.
            assert acknowledged <= found <= acknowledged + 1, f"seed {SEED}"
            acknowledged, fatal = found, found + dice.randrange(1, 400)
            try:
                while True:
                    if acknowledged == fatal:
                        kill(*(known[f"{victim}_pid"] for victim in victims))
                    acknowledged = int(wire.call("INCR", "n"))
            except OSError:
                pass
    ensure(home, fsync=fsync)
    assert 2 == len(processes(home))


def test_kill_9_during_a_rewrite_loses_nothing(home: Path) -> None:
    """The files before, during and after a rewrite hold every answered write."""
    fill = "for i = 1, 100000 do redis.call('SET', 'k' .. i, i) end return 1"
    with Wire(ensure(home), PATIENCE) as wire:
        wire.call("EVAL", fill, "0")
    acknowledged = 0
    for _ in range(4):
        with Wire(ensure(home), PATIENCE) as wire:
            found = int(wire.call("INCRBY", "n", "0"))
            assert acknowledged <= found <= acknowledged + 1
            pid = standing(home)["server_pid"]
            wire.call("BGREWRITEAOF")
            for _ in range(300):
                acknowledged = int(wire.call("INCR", "n"))
            kill(pid)
    with Wire(ensure(home), PATIENCE) as wire:
        assert str(acknowledged) == wire.call("GET", "n")
        assert "100001" == wire.call("DBSIZE")


def test_kill_9_in_the_middle_of_starting(home: Path) -> None:
    """Whatever is killed while starting, the next caller gets a server with the data."""
    dice = random.Random(SEED)
    with Wire(ensure(home), PATIENCE) as wire:
        wire.call("SET", "key", "value")
    for _ in range(8):
        embedded.stop(home)
        (asking,) = ask_from(home, 1)
        until(lambda: processes(home), "a start")
        time.sleep(dice.random() * 0.1)
        victims = {pid for pid, _ in processes(home) if dice.random() < 0.7}
        kill(*victims)
        until(
            lambda victims=victims: victims.isdisjoint(pid for pid, _ in processes(home)),
            "their death",
        )
        _, err = asking.communicate(timeout=PATIENCE)
        assert (0, "") == (asking.returncode, err), f"seed {SEED}"
        with Wire(ensure(home), PATIENCE) as wire:
            assert "value" == wire.call("GET", "key"), f"seed {SEED}"
    until(lambda: 2 == len(processes(home)), "one supervisor and one server")


def test_kill_9_of_those_who_ask(home: Path) -> None:
    """Ten processes are killed at ten moments while asking for it; one server is the result."""
    dice = random.Random(SEED)
    asking = ask_from(home, 10)
    for process in asking:
        time.sleep(dice.random() * 0.05)
        process.kill()
        process.communicate()
    ensure(home)
    until(lambda: 2 == len(processes(home)), "one supervisor and one server")


def test_it_leaves_when_its_last_user_has_left(home: Path) -> None:
    """A connection keeps it; once there is none it ends by itself and the data stays."""
    with Wire(ensure(home, idle_seconds=0.5), PATIENCE) as wire:
        wire.call("SET", "key", "value")
        pids = {pid for pid, _ in processes(home)}
        time.sleep(2)
        assert pids == {pid for pid, _ in processes(home)}
    until(lambda: not processes(home), "the end of an idle server")
    left = {path.name for path in (home / "server").iterdir()}
    logs = {"valkey.log", "supervisor.log"}
    assert {"lock", "supervised", "made-by", "appendonlydir"} == left - logs
    with Wire(ensure(home), PATIENCE) as wire:
        assert "value" == wire.call("GET", "key")


def test_short_visits_count_as_use(home: Path) -> None:
    """Commands that come and go between two looks of the supervisor keep the server."""
    ensure(home, idle_seconds=2.0)
    pid = standing(home)["server_pid"]
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        ensure(home)
        time.sleep(0.05)
    assert pid == standing(home)["server_pid"]


def test_sigterm_ends_it_in_good_order(home: Path) -> None:
    """The supervisor shuts the server down before it exits."""
    ensure(home)
    kill(standing(home)["supervisor_pid"], number=signal.SIGTERM)
    until(lambda: not processes(home), "the end of both")
    assert "bye bye" in (home / "server" / "valkey.log").read_text()


def test_a_home_that_is_removed_takes_its_server_with_it(home: Path, tmp_path: Path) -> None:
    """Nothing keeps running for a folder that is gone, even while someone is connected."""
    with Wire(ensure(home), PATIENCE):
        (home / "server").rename(tmp_path / "away")
        until(lambda: not processes(home), "the end of both")


@pytest.mark.parametrize("garbage", [b"", b"{", b'{"schema": 99}', b"\xff" * 100, None])
def test_a_spoilt_record_is_mended(home: Path, garbage: bytes | None) -> None:
    """The supervisor writes the record again; the server continues."""
    ensure(home)
    pid = standing(home)["server_pid"]
    record = home / "server" / server_folder.RECORD
    if garbage is None:
        record.unlink()
    else:
        record.write_bytes(garbage)
    ensure(home)
    assert pid == standing(home)["server_pid"]


def test_leftovers_of_a_kill_are_no_obstacle(home: Path) -> None:
    """A record whose process ids belong to others now, and a dead socket: a new start."""
    ensure(home)
    known = standing(home)
    kill(known["supervisor_pid"], known["server_pid"])
    until(lambda: not processes(home), "the end of both")
    record = home / "server" / server_folder.RECORD
    text = json.loads(record.read_text())
    record.write_text(json.dumps({**text, "supervisor_pid": os.getpid(), "server_pid": 1}))
    assert (home / "server" / "roost.sock").exists()
    ensure(home)
    assert {known["supervisor_pid"], known["server_pid"]}.isdisjoint(
        pid for pid, _ in processes(home)
    )


def test_a_server_without_its_supervisor_is_not_handed_out(home: Path) -> None:
    """Once the supervisor is dead, callers get another server, not the dying one."""
    folder = str(home / "server")
    for number in range(5):
        with Wire(ensure(home), PATIENCE) as wire:
            wire.call("SET", f"key{number}", "value")
        known = standing(home)
        kill(known["supervisor_pid"])
        until(lambda: server_folder.is_free(folder, server_folder.SUPERVISED), "its death")
        with Wire(ensure(home), PATIENCE) as wire:
            assert known["server_pid"] != standing(home)["server_pid"]
            assert str(number + 1) == wire.call("DBSIZE")


def test_a_truncated_tail_is_dropped(home: Path) -> None:
    """Half a write at the end, as a loss of power leaves it, does not stop the server."""
    with Wire(ensure(home), PATIENCE) as wire:
        wire.call("SET", "first", "1")
        wire.call("SET", "second", "2")
    embedded.stop(home)
    (log,) = (home / "server" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 3)
    with Wire(ensure(home), PATIENCE) as wire:
        assert ["1", "0"] == [wire.call("EXISTS", key) for key in ("first", "second")]


def test_a_folder_open_for_reading_is_closed(home: Path) -> None:
    """A server folder that others could read becomes private before it is used."""
    (home / "server").mkdir(parents=True)
    (home / "server").chmod(0o755)
    ensure(home)
    assert 0o700 == (home / "server").stat().st_mode & 0o777


def test_a_stronger_promise_holds_at_once(home: Path) -> None:
    """A running server switches to ``always`` for whoever asks for it, and not back for others."""
    ensure(home)
    assert "everysec" == standing(home)["fsync"]
    ensure(home, fsync="always")
    ensure(home, fsync="everysec")
    assert {"appendfsync": "always"} == config(home, "appendfsync")
    assert "always" == standing(home)["fsync"]


class TestLongPath:
    """A home whose path is too long for a socket."""

    @pytest.fixture
    def home(self, make_home: Callable[[str], Path]) -> Path:
        """Return a home with a path of over 200 bytes, and a blank and a quote in it."""
        return make_home("a long way to 'home'/" + "/".join(["x" * 40] * 5))

    def test_it_gets_a_short_one(self, home: Path) -> None:
        """The socket's path is short, private, and gone with the server."""
        path = Path(ensure(home))
        assert len(os.fsencode(path)) <= server_folder.MAX_SOCKET_PATH
        assert 0o700 == path.parent.stat().st_mode & 0o777
        assert path.resolve() == home / "server" / "roost.sock"
        assert str(path) == ensure(home)
        embedded.stop(home)
        assert not path.parent.exists()

    def test_a_cleaner_of_temporary_files_does_no_harm(self, home: Path) -> None:
        """A short path that vanishes is made again, for the same server."""
        path = Path(ensure(home))
        pid = standing(home)["server_pid"]
        path.unlink()
        path.parent.rmdir()
        other = Path(ensure(home))
        assert (True, pid) == (other.exists(), standing(home)["server_pid"])

    def test_the_next_start_tidies_up(self, home: Path) -> None:
        """The short path of a start that was killed does not stay behind."""
        path = Path(ensure(home))
        known = standing(home)
        kill(known["supervisor_pid"], known["server_pid"])
        until(lambda: not processes(home), "the end of both")
        assert path.parent.exists()
        ensure(home)
        assert not path.parent.exists()

    def test_a_home_that_is_removed_leaves_no_short_path(self, home: Path) -> None:
        """Even where the note of it went with the home, before the server had ended."""
        path = Path(ensure(home))
        shutil.rmtree(home)
        until(lambda: not processes(home), "the end of both")
        assert not path.parent.exists()

    def test_a_planted_short_path_is_not_followed(self, home: Path, tmp_path: Path) -> None:
        """A folder that others can write is not used, whatever the record says."""
        ensure(home)
        record = home / "server" / server_folder.RECORD
        planted = Path(tempfile.mkdtemp(dir=tmp_path))
        planted.chmod(0o777)
        (planted / "sock").symlink_to(home / "server" / "roost.sock")
        text = json.loads(record.read_text())
        record.write_text(json.dumps({**text, "socket": str(planted / "sock")}))
        assert str(planted / "sock") != ensure(home)
