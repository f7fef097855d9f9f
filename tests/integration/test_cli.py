"""The command line as processes, against a real server."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from roost_core.cli.operate.demo_page import CLAIM, DemoPage
from roost_core.client.roost import CHUNK
from roost_plugins.fs_artifacts.store import FilesystemStore

#: Only a hang takes so long, in seconds.
LIMIT = 60.0

ENGINES = """
import asyncio, threading
from pathlib import Path
from roost_core import PermanentError, hookimpl

engine_id = "slow"

@hookimpl
async def step(snapshot, item, context):
    Path(item.payload["mark"]).touch()
    context.heartbeat(0.5, "half way \\x1b[31mthere")
    await asyncio.sleep(item.payload["seconds"])
    return snapshot.finish(data={"slept": item.payload["seconds"]})
"""

DEAF = """
import time
from pathlib import Path
from roost_core import hookimpl

engine_id = "deaf"

@hookimpl
def step(snapshot, item):
    Path(item.payload["mark"]).touch()
    time.sleep(600)
"""


@attrs.frozen
class Shell:
    """Runs ``roost`` in a folder, on a namespace of its own, with none of the caller's settings."""

    folder: Path
    variables: dict[str, str]

    def start(self, *args: str, **fields) -> subprocess.Popen[str]:
        """Start a process."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
        fields = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **fields}
        return subprocess.Popen(
            [sys.executable, "-m", "roost_core.cli", *args],
            cwd=self.folder,
            env={**kept, **self.variables},
            stdin=fields.pop("stdin", subprocess.DEVNULL),
            text=fields.pop("text", True),
            **fields,
        )

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a process to its end."""
        with ending(self.start(*args, stdin=subprocess.PIPE)) as process:
            out, err = process.communicate(stdin, timeout=LIMIT)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def ok(self, *args: str, stdin: str = "") -> str:
        """Run a process that has to succeed in silence; return what it prints."""
        done = self.run(*args, stdin=stdin)
        assert (0, "") == (done.returncode, done.stderr), done
        return done.stdout

    def enqueue(self, engine: str, payload: object, *args: str) -> str:
        """Enqueue and return the id."""
        words = ("--engine", engine, "--any-engine", "--payload", json.dumps(payload))
        return self.ok("enqueue", *words, *args).strip()

    def meta(self, work_id: str) -> dict:
        """Return how a work item stands."""
        return json.loads(self.ok("status", work_id))["meta"]


@contextlib.contextmanager
def ending(process):
    """Make sure that a process is gone afterwards, and its pipes closed."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def until(condition, what: str) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < ends, f"never came: {what}"
        time.sleep(0.01)


@pytest.fixture
def shell(redis_server, tmp_path):
    """Give a shell on the shared server."""
    return Shell(
        tmp_path,
        {
            "ROOST_REDIS_URL": redis_server.url,
            "ROOST_NAMESPACE": f"cli-{secrets.token_hex(6)}",
            "ROOST_HOME": str(tmp_path / "home"),
            "ROOST_ALLOW_PRIVATE_ADDRESSES": "yes",
        },
    )


@pytest.fixture
def page():
    """Give a web page on this machine."""
    with DemoPage(hold=0) as page:
        yield page


@pytest.fixture
def slow(shell):
    """Write an engine whose steps take as long as the payload says; return its option."""
    (shell.folder / "slow.py").write_text(ENGINES)
    return ("--plugin", "./slow.py")


def watch_payload(page) -> dict:
    """Return a payload for three quick looks at the page."""
    return {"url": page.url, "claim": CLAIM, "checks_required": 3, "delay_seconds": 0}


# -- the whole way -----------------------------------------------------------------------------


def test_from_enqueue_to_artifact(shell, page):
    """A watch goes from enqueue to its report: version 4, step done, an artifact with the bytes."""
    work_id = shell.enqueue("watchlist", watch_payload(page), "--title", "A page")
    worker = shell.run("worker", "--burst")
    assert 0 == worker.returncode
    assert "runs watchlist; data: " in worker.stderr

    status = json.loads(shell.ok("status", work_id))
    assert ("done", 4, "done") == tuple(status["meta"][k] for k in ("state", "version", "step"))
    (artifact,) = status["snapshot"]["artifacts"]
    report = json.loads(shell.ok("artifact-show", artifact["artifact_id"], "--ext", "json"))
    assert "confirmed" == report["verdict"] == status["snapshot"]["data"]["verdict"]
    (row,) = shell.ok("list").splitlines()
    assert [work_id, "done", "watchlist", "4", "done", "0/5"] == row.split("\t")[:6]
    committed = [
        json.loads(line)["version"]
        for line in shell.ok("events", "--work", work_id, "--json").splitlines()
        if '"committed"' in line
    ]
    assert [1, 2, 3, 4] == committed


def test_watch_follows_to_the_end(shell, page):
    """Watch prints each event as it comes and exits with 0 when the work is done."""
    work_id = shell.enqueue("watchlist", watch_payload(page))
    with ending(shell.start("watch", work_id)) as watch:
        assert "enqueued" in watch.stdout.readline()
        assert 0 == shell.run("worker", "--burst").returncode
        out, err = watch.communicate(timeout=LIMIT)

    assert (0, "") == (watch.returncode, err)
    kinds = [line.split("\t")[1] for line in out.splitlines()]
    assert ["claimed", *["committed"] * 4] == kinds


def test_events_follow_until_interrupted(shell):
    """Events --follow shows what happens next; Ctrl-C ends it quietly with 130."""
    with ending(shell.start("events", "--follow")) as follow:
        # The first event may be there before the command is: it is shown either way.
        shell.enqueue("later", 1, "--work-id", "w1")
        assert "\tenqueued\tw1\t" in follow.stdout.readline()
        shell.enqueue("later", 1, "--work-id", "w2")
        assert "\tenqueued\tw2\t" in follow.stdout.readline()
        follow.send_signal(signal.SIGINT)
        out, err = follow.communicate(timeout=LIMIT)

    assert (130, "", "") == (follow.returncode, out, err)


def test_live_view_on_a_terminal(shell, slow):
    """On a terminal watch draws state, step and heartbeat, and passes no escape from data on."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue("slow", {"seconds": 4, "mark": str(mark)}, "--title", "Nap")
    ours, theirs = pty.openpty()
    try:
        with (
            ending(shell.start("worker", *slow, "--burst")) as worker,
            ending(shell.start("watch", work_id, stdout=theirs, stdin=theirs)) as watch,
        ):
            os.close(theirs)
            text = read_terminal(ours)
            assert 0 == watch.wait(LIMIT)
            assert 0 == worker.wait(LIMIT)
    finally:
        os.close(ours)

    for expected in ("Nap", "half way", "done", "committed"):
        assert expected in text
    assert "\x1b[31mthere" not in text


def read_terminal(descriptor: int) -> str:
    """Read what a process writes to a terminal, until it ends."""
    found = b""
    with contextlib.suppress(OSError):  # on Linux the end is an error
        while select.select([descriptor], [], [], LIMIT)[0]:
            part = os.read(descriptor, 65536)
            if not part:
                break
            found += part
    return found.decode(errors="replace")


def test_batch_of_thousands(shell):
    """A batch goes through in order, in chunks."""
    lines = "".join(f'{{"work_id": "w{n}", "payload": {n}}}\n' for n in range(1234))
    words = ("enqueue", "--batch", "-", "--engine", "watchlist")
    out = shell.ok(*words, stdin=lines)

    assert [f"w{n}" for n in range(1234)] == out.split()
    again = shell.run(*words, stdin=lines)
    assert (1, "") == (again.returncode, again.stdout)
    assert 1234 == again.stderr.count("is taken")


# -- stopping a worker -------------------------------------------------------------------------


def test_first_signal_drains(shell, slow):
    """SIGTERM lets the step in flight end; the worker says what it awaits and exits with 0."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue("slow", {"seconds": 1, "mark": str(mark)})
    with ending(shell.start("worker", *slow)) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode
    assert f"roost: stopping; waiting up to 30 s for the steps of {work_id}." in err
    assert "done" == shell.meta(work_id)["state"]


def test_second_signal_cancels(shell, slow):
    """The second Ctrl-C gives the work back at once, without an attempt."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue("slow", {"seconds": 600, "mark": str(mark)})
    with ending(shell.start("worker", *slow)) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGINT)
        until(lambda: "stopping" in worker.stderr.readline(), "the first word")
        worker.send_signal(signal.SIGINT)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode
    assert "cancelling the steps" in err
    assert "Traceback" not in err
    meta = shell.meta(work_id)
    assert ("queued", 0, 0) == (meta["state"], meta["attempts"], meta["recoveries"])


def test_third_signal_leaves_at_once(shell):
    """A step that ignores everything cannot hold the worker at the third signal."""
    (shell.folder / "deaf.py").write_text(DEAF)
    mark = shell.folder / "mark"
    shell.enqueue("deaf", {"mark": str(mark)})
    with ending(shell.start("worker", "--plugin", "./deaf.py")) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in worker.stderr.readline(), "the first word")
        worker.send_signal(signal.SIGTERM)
        until(lambda: "cancelling" in worker.stderr.readline(), "the second word")
        with contextlib.suppress(ProcessLookupError):
            worker.send_signal(signal.SIGTERM)
        worker.wait(LIMIT)

    # It may have found a way to leave the thread behind before the third signal came.
    assert worker.returncode in (0, 130)


def test_a_worker_never_starts_half_equipped(shell):
    """A plugin that fails to load stops the worker before it announces itself."""
    (shell.folder / "broken.py").write_text("import nothing_of_that_name\n")
    done = shell.run("worker", "--plugin", "./broken.py")

    assert (2, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*broken.*nothing_of_that_name.*\n", done.stderr)


# -- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["status", "w1"], ["list"], ["worker", "--wait-for-server", "0"], ["events"]],
)
def test_unreachable_server_is_one_line(shell, command):
    """With a URL that leads nowhere: exit code 1 and one line without a password."""
    url = "redis://user:hunter2@127.0.0.1:9/0"
    done = shell.run(*command, "--redis-url", url)

    assert (1, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*127\.0\.0\.1.*\n", done.stderr)
    assert "hunter2" not in done.stderr


def test_unusable_home_is_one_line(shell):
    """Without a URL and with a home that cannot be one, the line says what to do."""
    (shell.folder / "file").write_text("")
    done = shell.run("list", "--redis-url", "", "--home", str(shell.folder / "file"))

    assert (True, "") == (done.returncode in (1, 2), done.stdout)
    assert 1 == done.stderr.count("\n")
    assert "ROOST_HOME" in done.stderr or "home" in done.stderr


def test_doctor_without_a_server(shell):
    """Doctor reports the unreachable server among its findings, and exits with 1."""
    done = shell.run("doctor", "--redis-url", "unix:///nowhere/at/all.sock", "--json")
    levels = {one["subject"]: one["level"] for one in json.loads(done.stdout)}

    assert (1, "") == (done.returncode, done.stderr)
    assert "problem" == levels["server"]
    assert "ok" == levels["plugin watchlist"]


def test_doctor_with_a_broken_plugin(shell):
    """Doctor reports a plugin that fails to load, and goes on to the server."""
    done = shell.run("doctor", "--plugin", "./missing.py")

    assert 1 == done.returncode
    assert "problem\tplugin missing\t" in done.stdout
    assert "ok\tserver\t" in done.stdout


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list", "--help"],
        ["list"],
        ["list", "--json"],
        ["status", "w1"],
        ["events"],
        ["events", "--json"],
        ["events", "--follow"],
        ["watch", "w1"],
        ["artifact-show", "A"],
        ["engines"],
        ["plugins"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_full_disk_under_the_output_is_one_line(shell, words, buffering):
    """Whatever cannot be printed: one line on stderr, exit code 1, no traceback."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    store = FilesystemStore(shell.folder / "home" / "artifacts")
    artifact_id = store.put(b"evidence", work_id="w1").artifact_id
    shell.ok("enqueue", "--engine", "echo", "--any-engine", "--work-id", "w1")
    shell.variables["PYTHONUNBUFFERED"] = buffering
    with open("/dev/full", "w") as full:
        words = [artifact_id if word == "A" else word for word in words]
        with ending(shell.start(*words, stdout=full)) as process:
            _, err = process.communicate(timeout=LIMIT)

    text = "roost: cannot write to standard output: No space left on device\n"
    assert (1, text) == (process.returncode, err)


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "closed"])
def test_ids_that_cannot_be_printed_are_not_lost(shell, is_full):
    """Work that is stored although its id cannot be written: stderr has it, the exit code is 74."""
    if is_full and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    lines = "".join('{"engine": "echo"}\n' for _ in range(CHUNK + 1))
    (shell.folder / "many.jsonl").write_text(lines)
    why = "No space left on device" if is_full else "Broken pipe"

    def untold(*words):
        if is_full:
            out = os.open("/dev/full", os.O_WRONLY)
        else:
            ear, out = os.pipe()
            os.close(ear)
        with ending(shell.start("enqueue", "--any-engine", *words, stdout=out)) as process:
            os.close(out)
            _, err = process.communicate(timeout=LIMIT)
        assert 74 == process.returncode, err
        assert 1 == err.count("\n")
        begin = f"roost: cannot write to standard output: {why}; stored all the same: "
        assert err.startswith(begin)
        ids, _, then = err.removeprefix(begin).strip().partition("; ")
        return set(ids.split()), then

    one, then = untold("--engine", "echo", "--wait")
    assert "" == then
    # No more is stored than what can be told.
    many, then = untold("--batch", "many.jsonl")
    assert (CHUNK, f"stopped before line {CHUNK + 1}") == (len(many), then)
    rows = json.loads(shell.ok("list", "--json", "--limit", "2000"))
    assert one | many == {row["work_id"] for row in rows}


def test_a_closed_pipe_is_silent(shell):
    """Roost list | head -1 complains about nothing."""
    lines = "".join(f'{{"payload": "{n}"}}\n' for n in range(2000))
    shell.ok("enqueue", "--batch", "-", "--engine", "watchlist", stdin=lines)
    with ending(shell.start("list", "--limit", "2000")) as listing:
        assert listing.stdout.readline()
        listing.stdout.close()
        assert "" == listing.stderr.read()
        listing.wait(LIMIT)


def test_workspace_path(shell):
    """The path is printed alone; the folder is the work item's own worktree."""
    source = shell.folder / "source"
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    work_id = shell.enqueue("later", 1)
    words = ("workspace-path", work_id, "--workspace-source", str(source))
    path = Path(shell.ok(*words).rstrip("\n"))

    assert path.is_dir()
    assert (path / ".git").exists()
    assert str(path) == shell.ok(*words).rstrip("\n")
    unset = shell.run("workspace-path", shell.enqueue("later", 2))
    assert (1, "") == (unset.returncode, unset.stdout)
    unknown = shell.run("workspace-path", "w-none", "--workspace-source", str(source))
    assert (1, "") == (unknown.returncode, unknown.stdout)
    assert "no work item" in unknown.stderr


@pytest.mark.parametrize(
    "command", [["status", "w1"], ["list"], ["enqueue", "--engine", "watchlist"]]
)
def test_quick_commands_import_little(shell, command):
    """What only workers and terminals need is not imported: start-up is what people wait for."""
    shell.enqueue("later", 1, "--work-id", "w1")
    words = [sys.executable, "-X", "importtime", "-m", "roost_core.cli", *command]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    env = {**kept, **shell.variables}
    done = subprocess.run(
        words, cwd=shell.folder, env=env, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "hiredis" in imported
    assert "redis" not in imported
    for_others = {
        *("saq", "rich", "aiohttp", "http.server", "difflib", "tomllib"),
        *("roost_core.worker", "roost_plugins.watchlist.looking", "roost_plugins.watchlist.rules"),
    }
    assert set() == imported & for_others


# -- the demo ----------------------------------------------------------------------------------


def test_demo_keeps_its_promises(shell, tmp_path):
    """The demo kills a worker, sees the work go on, and leaves nothing behind."""
    demo = attrs.evolve(shell, variables={"TMPDIR": str(short_folder(tmp_path))})
    done = demo.run("demo")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "accepted versions 1, 2, 3, 4: no gap, no repeat" in done.stdout
    assert "the second worker went on from version 2" in done.stdout
    assert "BROKEN" not in done.stdout
    assert [] == list(short_folder(tmp_path).iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_tidies_up_when_it_is_stopped(shell, tmp_path, number):
    """Ctrl-C or SIGTERM in the middle: workers, server and folder go all the same."""
    folder = short_folder(tmp_path)
    demo = attrs.evolve(shell, variables={"TMPDIR": str(folder)})
    with ending(demo.start("demo")) as process:
        lines = []
        while "version 2" not in (lines or [""])[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)

    assert (128 + number, "") == (process.returncode, err)
    text = "".join(lines) + out
    for pid in map(int, re.findall(r"worker is process (\d+)", text)):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [] == list(folder.iterdir())


def short_folder(tmp_path: Path) -> Path:
    """Give a folder for temporary files."""
    folder = tmp_path / "t"
    folder.mkdir(exist_ok=True)
    return folder
