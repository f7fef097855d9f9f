"""The benchmarks' own server: started in a temporary folder, gone at the end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import redis

from benchmarks.measuring.processes import unwind_when_told

#: Only a broken server takes this long to answer. Seconds.
_START_TIMEOUT: Final = 20.0
#: Slow commands that are remembered.
_SLOW_AT_MOST: Final = 10_000
#: The only interface that a benchmark's server listens on.
LOOPBACK: Final = "127.0.0.1"


@attrs.frozen
class Address:
    """Where a server listens: on a unix socket, or on a port that only this machine can reach."""

    path: str = ""
    port: int = 0

    @property
    def url(self) -> str:
        """The address, as clients name it."""
        return f"redis://{LOOPBACK}:{self.port}" if self.port else f"unix://{self.path}"

    @property
    def options(self) -> list[str]:
        """The options that make the server listen there, and nowhere else."""
        if self.port:
            return ["--port", str(self.port), "--bind", LOOPBACK]
        return ["--port", "0", "--unixsocket", self.path, "--unixsocketperm", "700"]

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        if self.port:
            return socket.create_connection((LOOPBACK, self.port))
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.connect(self.path)
        return opened


@attrs.frozen
class Counters:
    """The server's own figures at one moment; subtract two.

    ``cpu`` is in seconds, ``aof``, ``memory`` and ``received``, what clients have sent, in bytes;
    ``script_calls`` and ``script_us`` are EVALSHA's count and microseconds.
    """

    cpu: float
    aof: int
    memory: int
    received: int
    script_calls: int
    script_us: int

    def __sub__(self, other: Counters) -> Counters:
        pairs = zip(attrs.astuple(self), attrs.astuple(other), strict=True)
        return Counters(*(mine - theirs for mine, theirs in pairs))


@attrs.frozen(eq=False)
class Server:
    """A running server of our own."""

    address: Address
    process: subprocess.Popen[bytes]
    client: redis.Redis
    program: str
    fsync: str

    @property
    def url(self) -> str:
        """Its address, as clients name it."""
        return self.address.url

    @property
    def version(self) -> str:
        """Name and version, as the server reports them."""
        info: Any = self.client.info("server")
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info['redis_version']}"

    def counters(self) -> Counters:
        """Read the server's figures."""
        info: Any = self.client.info("everything")
        script = info.get("cmdstat_evalsha", {})
        return Counters(
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
            aof=info.get("aof_current_size", 0),
            memory=info["used_memory"],
            received=info["total_net_input_bytes"],
            script_calls=script.get("calls", 0),
            script_us=script.get("usec", 0),
        )

    def clear(self) -> None:
        """Drop all data, and shrink the append-only file, so that each sample starts alike."""
        self.client.flushall()
        self.client.bgrewriteaof()
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            info: Any = self.client.info("persistence")
            if not (info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]):
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the append-only file was not rewritten in time")
            time.sleep(0.01)

    def log_slow(self, over_us: int) -> None:
        """Start recording commands that take longer."""
        self.client.config_set("slowlog-log-slower-than", over_us)
        self.client.config_set("slowlog-max-len", _SLOW_AT_MOST)
        self.client.slowlog_reset()

    def slow(self) -> list[int]:
        """Return the microseconds of each command that was slow since :meth:`log_slow`."""
        return [one["duration"] for one in self.client.slowlog_get(_SLOW_AT_MOST)]

    @contextmanager
    def commands(self) -> Iterator[CommandCount]:
        """Count commands with MONITOR: those of clients, and those inside scripts.

        It slows the server down, so nothing is timed meanwhile.
        """
        count = CommandCount(self.address)
        try:
            yield count
        finally:
            count.close()


class CommandCount:
    """Counts what a MONITOR connection shows, in a thread."""

    def __init__(self, address: Address) -> None:
        self.sent = 0
        self.in_scripts = 0
        self.pings = 0
        self._socket = address.connect()
        self._socket.sendall(b"MONITOR\r\n")
        self._reader = self._socket.makefile("rb")
        self._reader.readline()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # A line: +<time> [<db> <address or "lua">] "<command>" "<argument>" ...
        for line in self._reader:
            head, _, command = line.partition(b"] ")
            if head.endswith(b" lua"):
                self.in_scripts += 1
            else:
                self.sent += 1
                self.pings += command.startswith(b'"PING"')

    def close(self) -> None:
        """Stop counting."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._reader.close()
        self._socket.close()


def _binary(wanted: str | None) -> str:
    if wanted is not None:
        found = shutil.which(wanted)
        if found is None:
            raise RuntimeError(f"there is no program {wanted}")
        return found
    from roost_plugins.redis_saq.embedded.starting import server_binary

    return server_binary()


@contextmanager
def running(
    binary: str | None = None,
    fsync: str = "everysec",
    *,
    port: int = 0,
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """Start a server; kill it and remove its folder at the end.

    :param binary: a program to use; the one that Roost would run if not given.
    :param fsync: when the append-only file reaches the disk: no, everysec or always.
    :param port: where to listen on the loopback interface; on a unix socket if not given.
    :param options: more of the server's own options.
    """
    program = _binary(binary)
    unwind_when_told()
    folder = Path(tempfile.mkdtemp(prefix="rb-"))
    process = None
    address = Address(port=port) if port else Address(path=str(folder / "s"))
    client = redis.Redis.from_url(address.url, protocol=2)
    command = [program, *address.options, *options, "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", fsync]
    # Bytes per step are read from the file's growth: nothing may shrink it meanwhile.
    command += ["--auto-aof-rewrite-percentage", "0", "--maxmemory-policy", "noeviction"]
    try:
        with (folder / "log").open("wb") as log:
            # In a session of its own, Ctrl-C does not reach it: it ends when nobody uses it.
            process = subprocess.Popen(  # noqa: S603 - our own words
                command, stdout=log, stderr=log, start_new_session=True
            )
        _await_answer(client, process, folder)
        yield Server(address, process, client, program, fsync)
    finally:
        client.close()
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(client: redis.Redis, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            client.ping()
            return
        except redis.RedisError:
            if process.poll() is not None or time.monotonic() > deadline:
                text = (folder / "log").read_text(errors="replace")
                raise RuntimeError(f"the server did not start:\n{text[-2000:]}") from None
            time.sleep(0.01)
