"""A worker whose server is not there yet, or refuses it."""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
import socket
import threading

import pytest

from roost_core.errors import BackendUnavailable
from roost_core.models import State
from roost_plugins.redis_saq import diagnosis
from tests.integration.cli_bench import LIMIT, Shell, ending, until
from tests.integration.redis_bench import Counting, Crew, all_done, queue, settings_for
from tests.servers import need, redis_binary, server_in

ENGINE = """
from roost_core import hookimpl

engine_id = "quick"

@hookimpl
def step(snapshot):
    return snapshot.finish()
"""


@pytest.fixture
def shell(tmp_path):
    """Give a shell without a server, in a folder with an engine."""
    (tmp_path / "quick.py").write_text(ENGINE)
    return Shell(
        tmp_path,
        {
            "ROOST_NAMESPACE": f"waiting-{secrets.token_hex(6)}",
            "ROOST_HOME": str(tmp_path / "home"),
            "ROOST_PLUGINS": "./quick.py",
        },
    )


@contextlib.contextmanager
def plain_server():
    """Give the port of a server that speaks no TLS: it says something else and hangs up."""

    def answer():
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as found:
                    found.recv(16)
                    found.sendall(b"-ERR unknown command\r\n" * 10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT)


def test_a_worker_before_its_server(shell, server_root):
    """It says once that it waits, and does its work when the server is there."""
    binary = need(redis_binary(), "redis-server")
    folder = server_root / "late"
    shell.variables["ROOST_REDIS_URL"] = f"unix://{folder / 's'}"
    with ending(shell.start("worker")) as worker:
        until(lambda: "waiting for the server" in worker.stderr.readline(), "its word")
        with server_in(binary, folder):
            assert "the server is there" in worker.stderr.readline()
            work_id = shell.enqueue("quick", 1)
            until(lambda: "done" == shell.meta(work_id)["state"], "the end of the work")
            worker.send_signal(signal.SIGTERM)
            _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode, err


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_a_stop_while_it_waits(shell, host):
    """One signal is enough, and nothing is wrong."""
    with ending(shell.start("worker", "--redis-url", f"redis://{host}")) as worker:
        until(lambda: "waiting for the server" in worker.stderr.readline(), "its word")
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(LIMIT)


def test_patience_ends(shell):
    """After this many seconds it gives up, in one line, with the password hidden."""
    url = "redis://:hunter2@127.0.0.1:9"
    done = shell.run("worker", "--redis-url", url, "--wait-for-server", "0.5")

    assert (1, "") == (done.returncode, done.stdout)
    waiting, last = done.stderr.splitlines()
    assert "waiting for the server" in waiting
    assert re.fullmatch(r"roost: .*127\.0\.0\.1.*; gave up after \d+ s", last)
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("login", "is_locked"),
    [("", True), (":hunter2@", True), ("nobody:hunter2@", True), (":hunter2@", False)],
)
def test_a_login_that_is_refused(shell, server_root, login, is_locked):
    """What no waiting can fix ends it at once, in one line, with the password hidden."""
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "locked") as server:
        if is_locked:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(server.socket))
                client.sendall(b"CONFIG SET requirepass secret\r\n")
                assert b"+OK\r\n" == client.recv(64)
        done = shell.run("worker", "--redis-url", f"unix://{login}{server.socket}")

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*\n", done.stderr)
    assert "hunter2" not in done.stderr


def test_tls_that_does_not_fit(shell):
    """A server that speaks no TLS is not waited for."""
    with plain_server() as port:
        done = shell.run("worker", "--redis-url", f"rediss://127.0.0.1:{port}")

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*SSL.*\n", done.stderr)


@pytest.mark.parametrize("url", ["redis://localhost:notaport", "http://localhost"])
def test_an_unsound_url(shell, url):
    """A typo is reported at once."""
    done = shell.run("worker", "--redis-url", url)

    assert (True, "") == (done.returncode in (1, 2), done.stdout)
    assert 1 == done.stderr.count("\n")


async def test_a_server_that_goes_after_the_banner(server_root, monkeypatch):
    """Between connecting and the first claim it is waited for, too."""
    binary = need(redis_binary(), "redis-server")
    answers = [BackendUnavailable("it has gone"), BackendUnavailable("it has gone")]
    found = diagnosis.refused_eviction

    async def refused_eviction(client):
        if answers:
            raise answers.pop()
        return await found(client)

    monkeypatch.setattr(diagnosis, "refused_eviction", refused_eviction)

    with server_in(binary, server_root / "going") as server:
        settings, engine = settings_for(server), Counting()
        async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
            item = await roost.enqueue("counting", {"steps": 2})
            await crew.start()
            assert [State.DONE] == await all_done(roost, [item])
            assert [] == answers
