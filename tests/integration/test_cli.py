"""The command line as processes, against a real server: the whole way, and the demo."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
from pathlib import Path

import attrs
import pytest

from roost_plugins.watchlist.demo_page import CLAIM, DemoPage
from tests.integration.cli_bench import LIMIT, ending


@pytest.fixture
def page():
    """Give a web page on this machine."""
    with DemoPage(hold=0) as page:
        yield page


def watch_payload(page) -> dict:
    """Return a payload for three quick looks at the page."""
    return {"url": page.url, "claim": CLAIM, "checks_required": 3, "delay_seconds": 0}


# -- the whole way -----------------------------------------------------------------------------


def test_from_enqueue_to_artifact(shell, page):
    """A watch goes from enqueue to its report: version 4, step done, an artifact with the bytes."""
    work_id = shell.enqueue("watchlist", watch_payload(page), "--title", "A page")
    worker = shell.run("worker", "--burst")
    assert 0 == worker.returncode
    assert "runs watchlist\n  data: " in worker.stderr

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
        # The first event may come before the command starts: it is shown either way.
        shell.enqueue("later", 1, "--work-id", "w1")
        assert "\tenqueued\tw1\t" in follow.stdout.readline()
        shell.enqueue("later", 1, "--work-id", "w2")
        assert "\tenqueued\tw2\t" in follow.stdout.readline()
        follow.send_signal(signal.SIGINT)
        out, err = follow.communicate(timeout=LIMIT)

    assert (130, "", "") == (follow.returncode, out, err)


def test_live_view_on_a_terminal(shell, slow):
    """On a terminal, watch draws state, step and heartbeat, and passes on no escapes from data."""
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

    for expected in ("Nap", "half way", "done", '"done" accepted; done'):
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
    told = again.stderr.splitlines()
    assert 10 == again.stderr.count("is taken")
    assert "roost: 1224 more lines were refused" == told[10]
    assert told[11].startswith("roost: enqueued 0 of 1234, 1234 refused, in ")


# -- the demo ----------------------------------------------------------------------------------


def test_demo_keeps_its_promises(shell, tmp_path):
    """The demo kills a worker, sees the work continue, and leaves nothing behind."""
    demo = attrs.evolve(shell, variables={"TMPDIR": str(short_folder(tmp_path))})
    done = demo.run("demo")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "accepted versions 1, 2, 3, 4: no gap, no repeat" in done.stdout
    assert "the second worker continued from version 2" in done.stdout
    assert "BROKEN" not in done.stdout
    # Report and verdict are named; what was promised and what comes next stay in sight.
    assert "verdict: confirmed, after 3 looks" in done.stdout
    assert "observations" not in done.stdout
    assert "roost new my-agent" in done.stdout.partition("what to try next:")[2]
    assert len(done.stdout.splitlines()) <= 40
    assert [] == list(short_folder(tmp_path).iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_tidies_up_when_it_is_stopped(shell, tmp_path, number):
    """Ctrl-C or SIGTERM in the middle: workers, server and folder go anyway."""
    folder = short_folder(tmp_path)
    demo = attrs.evolve(shell, variables={"TMPDIR": str(folder)})
    with ending(demo.start("demo")) as process:
        lines = []
        while "  v2  " not in (lines or [""])[-1]:
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
