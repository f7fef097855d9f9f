"""``roost dev`` from nothing: two commands, the console, what is refused, what is said."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.cli_bench import LIMIT, Shell, ending, until
from tests.integration.dev_bench import ENGINE, developing, left
from tests.integration.test_cli import read_terminal


@pytest.fixture
def fresh():
    """Give a shell in a short empty folder without any setting: Roost's own server is used."""
    folder = Path(tempfile.mkdtemp(prefix="roost-dev-"))
    yield Shell(folder, {"ROOST_EMBEDDED_IDLE": "1", "XDG_STATE_HOME": str(folder / "state")})
    until(lambda: not left(folder), "the end of the server")
    shutil.rmtree(folder, ignore_errors=True)


def test_two_commands_from_nothing(fresh):
    """``roost new`` and ``roost dev``: its hint gives the agent work, and the console answers."""
    done = fresh.run("new", "my_agent")
    assert "next: roost dev my_agent" in done.stderr
    browser = fresh.folder / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > "$0.opened"\n')
    browser.chmod(0o755)
    fresh.variables["BROWSER"] = str(browser)
    with developing(fresh, "my_agent", "--port", "0", "--open") as dev:
        hint = dev.wait_for("hint")["command"]
        url = urlsplit(dev.last("console")["url"])
        words = hint.replace("roost ", f"{sys.executable} -m roost_core.cli ", 1)
        work_id = subprocess.run(
            words,
            shell=True,
            cwd=fresh.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **fresh.variables},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        until(lambda: fresh.meta(work_id)["state"] == "done", "the work")
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=LIMIT)
        connection.request("GET", f"{url.path}?{url.query}")
        assert connection.getresponse().status < 400
        connection.close()
        opened = browser.with_name("browser.opened")
        until(lambda: opened.exists() and opened.read_text(), "the browser")
        # With a token that signs in once: others on the machine can read a command line.
        shown, given = dev.last("console")["url"], opened.read_text().strip()
        assert shown.partition("token=")[0] == given.partition("token=")[0]
        assert shown != given
        assert 0 == dev.end()


def test_work_is_there_the_next_time(fresh):
    """What waits since before is said, and runs: nothing is lost between two starts."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    with developing(fresh, "agent.py", "--no-console") as dev:
        assert ".roost" in dev.wait_for("running")["message"]
        assert 0 == dev.end()
    work_id = fresh.enqueue("agent", {"folder": str(fresh.folder)})
    with developing(fresh, "agent.py", "--no-console") as dev:
        assert "1 work item is here" in dev.wait_for("waiting")["message"]
        until(lambda: fresh.meta(work_id)["state"] == "done", "the work")
        with developing(fresh, "agent.py", "--no-console") as second:
            assert f"process {dev.worker()} on" in second.wait_for("shared")["message"]
            second.wait_for("running")
            assert 0 == second.end()
        assert 0 == dev.end()


def test_a_port_that_is_taken(fresh):
    """The next one is taken, and that is said."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with developing(fresh, "agent.py", "--port", str(port)) as dev:
            said = dev.wait_for("port_taken")["message"]
            assert f"port {port} is taken" in said
            assert port < (urlsplit(dev.wait_for("console")["url"]).port or 0)
            dev.wait_for("running")
            assert 0 == dev.end()


def test_a_remote_server_only_when_told(shell):
    """A server that the settings name is refused, and nothing is started."""
    (shell.folder / "agent.py").write_text(ENGINE)
    done = shell.run("dev", "agent.py", "--no-console")
    assert (2, "") == (done.returncode, done.stdout)
    assert "--remote" in done.stderr
    assert 1 == len(done.stderr.splitlines())
    (shell.folder / "settings.toml").write_text('redis_url = "redis://127.0.0.1:1"\n')
    bare = Shell(shell.folder, {})
    done = bare.run("dev", "agent.py", "--config", "settings.toml")
    assert (2, True) == (done.returncode, "--remote" in done.stderr)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing.py"], "there is no file nothing.py"),
        (["no_such_plugin"], "neither a file, a folder"),
        (["--quiet", "--verbose"], "one or the other"),
    ],
)
def test_what_cannot_be_run(fresh, words, why):
    """One line, at once."""
    done = fresh.run("dev", *words)
    assert 2 == done.returncode
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made(fresh):
    """The reason is said once, and nothing is tried again and again."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    (fresh.folder / ".roost").write_text("a file")
    done = fresh.run("dev", "agent.py", "--no-console")
    assert 2 == done.returncode
    assert ".roost" in done.stderr
    assert 1 == len(done.stderr.splitlines())


def test_without_a_home_of_the_user(fresh, monkeypatch):
    """No HOME and no state folder: it runs anyway."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    monkeypatch.delenv("HOME", raising=False)
    bare = Shell(fresh.folder, {"ROOST_EMBEDDED_IDLE": "1", "XDG_STATE_HOME": ""})
    with developing(bare, "agent.py", "--no-console") as dev:
        dev.wait_for("running")
        assert 0 == dev.end()


def test_a_named_plugin_that_is_broken_does_not_stop_it(fresh):
    """``--plugin`` and ROOST_PLUGINS wait for their mending like any other file."""
    (fresh.folder / "agent.py").write_text("def step(\n")
    with developing(fresh, "--plugin", "./agent.py", "--no-console") as dev:
        assert "agent.py:1: SyntaxError" in dev.wait_for("broken")["message"]
        (fresh.folder / "agent.py").write_text(ENGINE)
        dev.wait_for("running")
        assert 0 == dev.end()


def test_on_a_terminal_of_80_columns(fresh, monkeypatch):
    """Own lines and the worker's are told apart; closing the terminal ends all."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    (fresh.folder / "agent.py").write_text(ENGINE)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    words = ("dev", "agent.py", "--no-console")
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with ending(fresh.start(*words, **streams, start_new_session=True)) as process:
        os.close(theirs)
        text = b""
        while b"queued" not in text:
            text += os.read(ours, 65536)
        (fresh.folder / "agent.py").write_text("def step(\n")
        while b"next save" not in text:
            text += os.read(ours, 65536)
        process.send_signal(signal.SIGHUP)
        text += read_terminal(ours).encode()
        os.close(ours)
        assert 0 == process.wait(LIMIT), text.decode()
    shown = text.decode()
    assert "dev \x1b[0m" in shown
    assert "agent.py:1: SyntaxError" in shown
    assert "Traceback" not in shown


def test_its_lines_in_json(fresh):
    """Each line is an object, from the first to the last, those of the worker too."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    with developing(fresh, "agent.py", "--no-console") as dev:
        dev.wait_for("running")
        work_id = fresh.enqueue("agent", {"folder": str(fresh.folder)})
        until(lambda: dev.count("done") == 1, "the line about the work")
        assert work_id == dev.last("done")["work_id"]
        assert 0 == dev.end()
    assert all(isinstance(json.loads(line), dict) for line in dev.raw)


def test_a_closed_terminal_ends_all(fresh):
    """The console's open pages, the worker, and itself: quickly, though a page is never closed."""
    (fresh.folder / "agent.py").write_text(ENGINE)
    kept = {key: one for key, one in os.environ.items() if not key.startswith("ROOST_")}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(fresh.folder)
        words = ["-m", "roost_core.cli", "dev", "agent.py", "--port", "0"]
        os.execve(sys.executable, [sys.executable, *words], {**kept, **fresh.variables})
    try:
        text = b""
        while b"roost enqueue" not in text:
            text += os.read(terminal, 65536)
        url = urlsplit(re.search(rb"http://\S+", text)[0].decode())
        page = http.client.HTTPConnection(url.hostname, url.port, timeout=LIMIT)
        page.request("GET", f"{url.path}?{url.query}")
        answer = page.getresponse()
        answer.read()
        cookie = answer.getheader("Set-Cookie").split(";")[0]
        page.request("GET", "/live", headers={"Cookie": cookie})
        assert 200 == page.getresponse().status
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert 0 == os.waitstatus_to_exitcode(status)
    page.close()
