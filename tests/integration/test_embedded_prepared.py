"""Server folders that somebody else has prepared: what is in them cannot reach beyond them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from roost_core.errors import BackendUnavailable, SettingsError
from roost_plugins.redis_saq.embedded import server as embedded
from roost_plugins.redis_saq.embedded.wire import Refused, Wire
from tests.integration.test_embedded_server import PATIENCE, config, ensure, processes, until
from tests.servers import need, server_in, valkey_binary

MANIFEST = "file appendonly.aof.1.incr.aof seq 1 type i\n"
LIBRARY = "#!lua name=mine\nredis.register_function('mine', function() return 1 end)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a home; its server is stopped afterwards."""
    found = tmp_path / "home"
    yield found
    embedded.stop(found, timeout=PATIENCE)
    until(lambda: not processes(found), "the end of all processes")


def resp(*words: str) -> bytes:
    """Return a command as the append-only file has it."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def prepare(home: Path, *commands: tuple[str, ...]) -> Path:
    """Make a server folder whose append-only file has these commands."""
    folder = home / "server"
    log = folder / "appendonlydir"
    log.mkdir(parents=True)
    folder.chmod(0o700)
    (log / "appendonly.aof.manifest").write_text(MANIFEST)
    (log / "appendonly.aof.1.incr.aof").write_bytes(b"".join(resp(*one) for one in commands))
    return folder


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def trusting(home: Path) -> str:
    """Return the socket of a server that is started although somebody else made its folder."""
    return str(
        embedded.ensure(
            home, fsync="everysec", idle_seconds=30.0, trusted=True, start_timeout=PATIENCE
        )
    )


COMMANDS = [
    ("CONFIG", "SET", "port", "{port}"),
    ("CONFIG", "SET", "protected-mode", "no"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("CONFIG", "REWRITE"),
    ("REPLICAOF", "127.0.0.1", "{port}"),
    ("SLAVEOF", "127.0.0.1", "{port}"),
    ("MODULE", "LOAD", "/tmp/module.so"),
    ("ACL", "SETUSER", "mallory", "on", "nopass", "~*", "+@all"),
    ("FUNCTION", "LOAD", LIBRARY),
    ("MIGRATE", "127.0.0.1", "{port}", "key", "0", "1000"),
    ("DEBUG", "RELOAD"),
    ("CLUSTER", "MEET", "127.0.0.1", "{port}"),
    ("RESTORE", "key", "0", "nonsense"),
    ("SAVE",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_that_reach_out_are_not_obeyed(home: Path, command: tuple[str, ...]) -> None:
    """Even if the folder is trusted: no server starts on it, one line says why, and it is kept."""
    port = free_port()
    words = tuple(word.format(port=port) if "{port}" in word else word for word in command)
    with (
        socket.create_server(("127.0.0.1", port))
        if "127.0.0.1" in words
        else socket.socket() as door
    ):
        door.settimeout(0.2)
        folder = prepare(home, ("SELECT", "0"), ("SET", "key", "value"), words)
        with pytest.raises(
            BackendUnavailable, match="has commands that Roost never stores"
        ) as told:
            trusting(home)
        assert "\n" not in str(told.value)
        until(lambda: not processes(home), "the end of what was started")
        if "127.0.0.1" in words:
            with pytest.raises(TimeoutError):
                door.accept()
    assert (
        (folder / "appendonlydir" / "appendonly.aof.1.incr.aof").read_bytes().endswith(resp(*words))
    )


def test_scripts_reach_no_further(home: Path) -> None:
    """A script in the file may touch the data, and nothing but the data."""
    script = (
        "redis.pcall('CONFIG', 'SET', 'port', '7777') redis.pcall('REPLICAOF', 'h', '1')"
        "redis.pcall('ACL', 'SETUSER', 'm', 'on') redis.call('SET', 'key', 'value')"
    )
    prepare(home, ("SELECT", "0"), ("EVAL", script, "0"))
    with Wire(trusting(home), PATIENCE) as wire:
        assert "value" == wire.call("GET", "key")
        info = wire.info("server", "replication")
        assert ("0", "master") == (info["tcp_port"], info["role"])
    assert {"port": "0", "protected-mode": "yes"} == config(home, "port", "protected-mode")


def test_functions_in_the_image_are_found(home: Path, tmp_path: Path, server_root: Path) -> None:
    """The file may begin with an image, whose functions come from no command."""
    folder = home / "server"
    folder.mkdir(parents=True, mode=0o700)
    options = ("--appendonly", "yes")
    with server_in(
        need(valkey_binary(), "valkey-server"), server_root / "image", *options
    ) as server:
        with redis.Redis(unix_socket_path=str(server.socket)) as client:
            client.function_load(LIBRARY)
            client.bgrewriteaof()
            until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the image")
            until(lambda: not client.info("persistence")["aof_rewrite_scheduled"], "the image")
        server.terminate()
        shutil.copytree(server.folder / "appendonlydir", folder / "appendonlydir")
    with pytest.raises(BackendUnavailable, match=r"changes the server \(functions is '1', not '0'"):
        trusting(home)
    until(lambda: not processes(home), "the end of what was started")


def test_a_prepared_folder_is_not_started(home: Path, tmp_path: Path) -> None:
    """Without permission nothing is read, started or written; with it, once, the data is there."""
    folder = prepare(home, ("SELECT", "0"), ("SET", "key", "value"))
    for name in ("valkey.log", "valkey.conf", "server.json.new"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in folder.rglob("*"))
    for _ in range(2):
        with pytest.raises(SettingsError, match="set ROOST_EMBEDDED_TRUST_HOME=yes once"):
            ensure(home)
    assert before == sorted(path.name for path in folder.rglob("*"))
    assert [] == processes(home)
    for ask in (trusting, ensure):
        with Wire(ask(home), PATIENCE) as wire:
            assert "value" == wire.call("GET", "key")
        embedded.stop(home)
    assert not (tmp_path / "elsewhere").exists()


def test_the_commands_are_out_of_reach_of_clients(home: Path) -> None:
    """Clients can use no more commands than the file may contain."""
    with Wire(ensure(home), PATIENCE) as wire:
        for words in (*COMMANDS, ("MONITOR",), ("SYNC",), ("ACL", "LIST")):
            with pytest.raises(Refused, match="unknown command"):
                wire.call(*words)


def test_names_of_one_start_are_no_use_at_the_next(home: Path) -> None:
    """A name that a file could have recorded is not the one that counts when it is read."""
    ensure(home)
    first = embedded.config_command(home)
    embedded.stop(home)
    log = next((home / "server" / "appendonlydir").glob("*.incr.aof"))
    with log.open("ab") as file:
        file.write(resp("SELECT", "0") + resp(first, "SET", "port", str(free_port())))
    with pytest.raises(BackendUnavailable, match="has commands that Roost never stores"):
        ensure(home)


def listed(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``roost list`` in a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-m", "roost_core.cli", "list", "--home", str(home)],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_a_backup_is_restored_with_a_word(home: Path, tmp_path: Path) -> None:
    """The command line says what to do, and one line does it, once."""
    with Wire(ensure(home), PATIENCE) as wire:
        wire.call("SET", "key", "value")
    embedded.stop(home)
    home.rename(tmp_path / "backup")
    shutil.copytree(tmp_path / "backup", home)
    refused = listed(home)
    assert (2, "", 1) == (refused.returncode, refused.stdout, refused.stderr.count("\n"))
    assert "ROOST_EMBEDDED_TRUST_HOME=yes" in refused.stderr
    assert 0 == listed(home, ROOST_EMBEDDED_TRUST_HOME="yes").returncode
    embedded.stop(home)
    assert 0 == listed(home).returncode
    with Wire(ensure(home), PATIENCE) as wire:
        assert "value" == wire.call("GET", "key")
