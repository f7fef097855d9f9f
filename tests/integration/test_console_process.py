"""``roost ui`` as a process: how it starts, what it prints, how it ends and starts again."""

from __future__ import annotations

import secrets
import signal
import socket
import time

import pytest

from tests.consoles import Site, running, streams
from tests.integration.cli_bench import LIMIT, Shell, ending, until
from tests.servers import need, redis_binary, start_server, valkey_binary

#: A token that stays the same.
TOKEN = "the-same-at-every-start"


@pytest.fixture
def port():
    """Give a free port."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


def test_the_first_line_is_the_url(shell):
    """Alone on standard output, so that programs can use it; opening it signs in."""
    work_id = shell.enqueue("none", 1)
    with running(shell) as console:
        assert console.url.startswith(f"{console.origin}/?token=")
        assert len(console.token) >= 32
        assert work_id in console.sign_in().get("/work").text
        assert 401 == Site(console.url).get("/work").status
        assert 0 == console.stop()
        assert console.process is not None
        assert console.process.stdout is not None
        assert "" == console.process.stdout.read()
        assert "Traceback" not in "".join(console.said)


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        (signal.SIGHUP,),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGINT),
    ],
)
def test_it_ends_quickly(shell, signals):
    """With streams open, and pressed twice: cleanly, and without a word more."""
    with running(shell) as console, streams(console.sign_in(), 48) as found:
        for one in found:
            one.next("pulse")
        began = time.monotonic()
        assert 0 == console.stop(*signals)
        assert time.monotonic() - began < 20  # only a hang takes this long
        assert all(one.ends() for one in found)
        assert 1 == len(console.said), console.said


def test_a_taken_port(shell, port):
    """One line that says what to do."""
    with running(shell, "--port", port):
        done = shell.run("ui", "--port", port)
        assert (1, "") == (done.returncode, done.stdout)
        assert f"port {port} is taken" in done.stderr
        assert "--port" in done.stderr
        assert 1 == len(done.stderr.splitlines())


@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        (("--host", "0.0.0.0"), {}, "--external-url"),
        ((), {"ROOST_CONSOLE_BIND": "0.0.0.0:0"}, "--external-url"),
        ((), {"ROOST_CONSOLE_BIND": "here"}, "ROOST_CONSOLE_BIND: expected HOST:PORT"),
        ((), {"ROOST_CONSOLE_TOKEN": "short"}, "ROOST_CONSOLE_TOKEN"),
        (("--external-url", "tools.example"), {}, "expected a URL"),
        (("--host", "a b"), {}, "expected an address"),
        (("--port", "65536"), {}, "--port"),
        (("--host", "203.0.113.7", "--external-url", "http://x"), {}, "cannot listen on"),
    ],
)
def test_what_cannot_be_is_one_line(shell, words, variables, expected):
    """And nothing listens."""
    wrong = Shell(shell.folder, {**shell.variables, **variables})
    done = wrong.run("ui", *words)
    assert done.returncode in (1, 2)
    assert "" == done.stdout
    assert expected in done.stderr
    assert "short" not in done.stderr
    assert "Traceback" not in done.stderr


def test_another_address_with_its_url(shell):
    """What others reach is allowed once it is known what they call it."""
    words = ("--host", "0.0.0.0", "--external-url", "http://tools.example/roost")
    with running(shell, *words) as console:
        assert console.url.startswith("http://tools.example/roost/?token=")


def test_a_page_from_before_a_restart(shell, port):
    """Its sign-in has ended; it says so, and what to do. The new address signs in again."""
    with running(shell, "--port", port) as console:
        jar = console.sign_in().jar
        assert 200 == console.get("/work").status
    with running(shell, "--port", port) as console:
        console.jar.update(jar)
        for path in ("/", "/work"):
            answer = console.get(path)
            assert 401 == answer.status
            assert "Your sign-in has ended" in answer.text
            assert "roost ui" in answer.text
        stream = console.ask("GET", "/live", Accept="text/event-stream", Cookie=console.cookies)
        assert "event: signed-out\ndata: {}\n\n" == stream.text
        assert 200 == console.sign_in().get("/work").status


def test_a_token_that_stays(shell, port):
    """A page from before a restart works on; the token is not printed, and signs in by a form."""
    stable = Shell(shell.folder, {**shell.variables, "ROOST_CONSOLE_TOKEN": TOKEN})
    with running(stable, "--port", port) as console:
        assert f"{console.origin}/" == console.url
        assert 401 == console.get("/").status
        answer = console.post("/sign-in", f"token={TOKEN}".encode())
        assert (303, f"{console.origin}/") == (answer.status, answer.headers["location"])
        jar = dict(console.jar)
        assert 200 == console.get("/").status
        console.stop()
        assert TOKEN not in "".join(console.said)
    with running(stable, "--port", port) as console:
        console.jar.update(jar)
        assert 200 == console.get("/").status
        assert 200 == console.ask("GET", "/", Authorization=f"Bearer {TOKEN}").status


def test_it_opens_a_browser(shell, tmp_path):
    """With an address that works once: others on the machine can read a command line."""
    given, script = tmp_path / "given", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$@" > {given}.part\nmv {given}.part {given}\n')
    script.chmod(0o700)
    with_browser = Shell(shell.folder, {**shell.variables, "BROWSER": f"{script} %s"})
    with running(with_browser, "--open") as console:
        until(given.exists, "the browser")
        url = given.read_text().strip()
        assert url.startswith(f"{console.origin}/?token=")
        assert console.token not in url
        path = url[len(console.origin) :]
        assert [303, 401] == [console.ask("GET", path).status for _ in range(2)]
        assert 200 == console.get("/").status


def test_two_consoles_on_one_machine(shell):
    """A browser sends the cookies of one to the other, and stays signed in to both."""
    with running(shell) as first, running(shell, "--read-only") as second:
        second.jar = first.jar  # one browser
        first.sign_in()
        second.sign_in()
        for console in (first, second):
            assert 200 == console.get("/work").status
        answer = second.post("/sign-in", b"token=x", Origin=first.origin)
        assert 403 == answer.status
        assert 401 == second.ask("POST", "/work", Authorization=f"Bearer {first.token}").status
        answer = second.post("/work")
        assert (403, True) == (answer.status, "read-only" in answer.text)


def test_a_server_that_is_away_at_the_start(server_root, tmp_path):
    """It says so, shows it, and is there once the server is: no page need be opened again."""
    binary = need(redis_binary(), "redis-server")
    folder = server_root / f"ui-{secrets.token_hex(3)}"
    variables = {"ROOST_REDIS_URL": f"unix://{folder / 's'}", "ROOST_HOME": str(tmp_path / "home")}
    with running(Shell(tmp_path, variables)) as console:
        until(lambda: any("waiting for the server" in line for line in console.said), "a word")
        site = console.sign_in()
        page = site.get("/")
        assert (503, True) == (page.status, "The server does not answer" in page.text)
        with streams(site, 1) as (stream,):
            assert "gone" == stream.next("gone", "back")[0]
            server = start_server(binary, folder)
            try:
                until(lambda: site.get("/").status == 200, "the page")
                assert "back" == stream.next("back", "happened")[0]
                assert 0 == console.stop()
            finally:
                server.kill()


def test_it_can_be_stopped_while_it_waits(tmp_path):
    """At once."""
    variables = {"ROOST_REDIS_URL": "unix:///nowhere/s", "ROOST_HOME": str(tmp_path / "home")}
    with running(Shell(tmp_path, variables)) as console:
        assert 0 == console.stop(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_while_it_starts(tmp_path, number):
    """A server that takes the connection and says nothing does not keep it."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        shell = Shell(tmp_path, {"ROOST_REDIS_URL": url, "ROOST_HOME": str(tmp_path / "home")})
        process = shell.start("ui", "--port", "0")
        with ending(process):
            silent.settimeout(LIMIT)
            line, _ = silent.accept()  # it is waiting for an answer
            with line:
                process.send_signal(number)
                out, err = process.communicate(timeout=LIMIT)
            assert (0, "", "") == (process.returncode, out, err)


def test_a_refused_login_is_not_waited_for(server_root, tmp_path):
    """One line, and the exit code says that it did not work."""
    binary = need(redis_binary(), "redis-server")
    folder = server_root / f"ui-{secrets.token_hex(3)}"
    server = start_server(binary, folder)
    try:
        url = f"unix://nobody:wrong@{folder / 's'}"
        shell = Shell(tmp_path, {"ROOST_REDIS_URL": url, "ROOST_HOME": str(tmp_path / "home")})
        done = shell.run("ui", "--port", "0")
        assert (1, "") == (done.returncode, done.stdout)
        assert 1 == len(done.stderr.splitlines())
        assert "wrong" not in done.stderr.replace("WRONGPASS", "")
    finally:
        server.kill()


def test_roosts_own_server(tmp_path):
    """Where there never was any work it starts one, and shows what is enqueued beside it."""
    need(valkey_binary(), "valkey-server")
    shell = Shell(tmp_path, {"ROOST_HOME": "h", "ROOST_EMBEDDED_IDLE": "1"})
    with running(shell) as console:
        site = console.sign_in()
        assert "roost enqueue" in site.get("/work").text
        assert shell.enqueue("none", 1) in site.get("/work").text
        assert 0 == console.stop()
    until(lambda: not list((tmp_path / "h").rglob("*.sock")), "the end of the server")


def test_kubernetes_variables_mean_nothing(shell):
    """What it sets for a service of this name neither warns nor moves the console."""
    variables = {
        "ROOST_CONSOLE_PORT": "tcp://10.0.0.1:80",
        "ROOST_CONSOLE_SERVICE_HOST": "10.0.0.1",
        "ROOST_CONSOLE_SERVICE_PORT": "80",
    }
    with running(Shell(shell.folder, {**shell.variables, **variables})) as console:
        assert 200 == console.sign_in().get("/").status
        assert 0 == console.stop()
        assert 1 == len(console.said), console.said


def test_the_page_of_those_who_are_not_signed_in_tells_nothing(shell):
    """Neither the queue's name, nor how much there is."""
    work_id = shell.enqueue("none", 1)
    with running(shell) as console:
        text = console.get("/").text
        assert "roost ui" in text
        for word in (work_id, shell.variables["ROOST_NAMESPACE"], "queued"):
            assert word not in text


def test_it_is_found_by_its_own_hook(shell):
    """Without the plugin there is no such command."""
    done = shell.run("--plugin", "no:console", "ui")
    assert (2, "") == (done.returncode, done.stdout)
    assert "ui" in done.stderr
