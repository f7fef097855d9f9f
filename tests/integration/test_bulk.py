"""Verbs over a query as people use them: a few thousand, at a terminal, stopped in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess

import attrs
import pytest

from roost_core.client.requests import EnqueueRequest
from roost_core.client.roost import Roost
from roost_core.settings import Settings
from tests.integration.cli_bench import LIMIT, ending

MANY = 3000
#: This many take a while.
MORE = 12_000


@pytest.fixture
def filled(shell):
    """Give a shell on a queue with a few thousand work items."""
    return fill(shell, MANY)


def fill(shell, count):
    """Enqueue that many work items; return the shell."""

    async def main():
        url, space = shell.variables["ROOST_REDIS_URL"], shell.variables["ROOST_NAMESPACE"]
        async with Roost.connect(Settings(extra={"redis_url": url}, namespace=space)) as roost:
            requests = [EnqueueRequest(engine="crawl", payload={"n": at}) for at in range(count)]
            await roost.enqueue_many(requests, any_engine=True)

    asyncio.run(main())
    return shell


def counted(shell, query):
    """Return how many work items a query is true of."""
    return int(shell.ok("count", query))


@attrs.frozen
class Terminal:
    """A person's terminal on which a command runs."""

    ours: int
    process: subprocess.Popen

    def until(self, text):
        """Read until this is there; return all that was read."""
        found = ""
        while text not in found:
            assert select.select([self.ours], [], [], LIMIT)[0], f"never came: {text}"
            found += os.read(self.ours, 4096).decode(errors="replace")
        return found

    def rest(self):
        """Read until the command ends."""
        found = b""
        with contextlib.suppress(OSError):  # on Linux the end is an error
            while select.select([self.ours], [], [], LIMIT)[0]:
                part = os.read(self.ours, 65536)
                if not part:
                    break
                found += part
        return found.decode(errors="replace")

    def type(self, text):
        """Press keys."""
        os.write(self.ours, text.encode())


@contextlib.contextmanager
def terminal(shell, *args):
    """Run a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    try:
        process = shell.start(
            *args, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        with ending(process):
            os.close(theirs)
            yield Terminal(ours, process)
    finally:
        os.close(ours)


def test_thousands_and_back(filled):
    """Each verb over all of them; retries are spread evenly; what fits none is left out."""
    assert f"cancelled {MANY:,} of {MANY:,}\n" == filled.ok("cancel", "engine:crawl", "--yes")
    assert MANY == counted(filled, "state:cancelled")
    filled.ok("retry", "state:cancelled", "--over", "100h", "--yes")
    rows = json.loads(filled.ok("list", "state:sleeping", "--limit", "10000", "--json"))
    due = sorted(row["due_at"] for row in rows)
    assert MANY - 1 == len(set(due))
    found = json.loads(filled.run("bury", "older:0s", "--limit", "10", "--yes", "--json").stdout)
    assert ({"done": 10}, False) == (
        {name: count for name, count in found["outcomes"].items() if count},
        found["is_all"],
    )
    done = filled.run("pause", "older:0s", "--yes")
    assert (0, f"paused {MANY - 10:,} of {MANY - 10:,}\n") == (done.returncode, done.stdout)
    assert "roost: left out: 10 failed: pause does not fit\n" == done.stderr


@pytest.mark.parametrize("answer", ["y", "n"])
def test_the_question_on_a_terminal(shell, answer):
    """It says what and how many; below the bar stand the totals."""
    filled = fill(shell, MORE)
    with terminal(filled, "cancel", "state:queued") as shown:
        asked = shown.until("[y/N]")
        assert f"cancel {MORE:,} queued work items?" in asked
        assert "the first ten:" in asked
        shown.type(f"{answer}\n")
        told = shown.rest()
        assert (0 if answer == "y" else 1) == shown.process.wait(LIMIT)
    if answer == "y":
        assert f"cancelled {MORE:,} of {MORE:,}" in told
        assert "█░" in told or "█ " in told
    else:
        assert "nothing was done" in told
    assert (MORE if answer == "n" else 0) == counted(filled, "state:queued")


def test_ctrl_c_in_the_middle(shell):
    """It says how many are done, and the same command continues with the rest."""
    filled = fill(shell, MORE)
    with terminal(filled, "cancel", "state:queued", "--yes") as shown:
        shown.until("░ ")
        shown.process.send_signal(signal.SIGINT)
        told = shown.rest()
        assert 130 == shown.process.wait(LIMIT)
    found = re.search(
        r"interrupted: ([\d,]+) of 12,000 cancelled(?:, up to (\d+) more may be)?", told
    )
    assert "the same command again continues with the rest" in told
    done, unsure = int(found[1].replace(",", "")), int(found[2] or 0)
    assert 0 < done < MORE
    assert done <= counted(filled, "state:cancelled") <= done + unsure
    left = counted(filled, "state:queued")
    assert f"cancelled {left:,} of {left:,}\n" == filled.ok("cancel", "state:queued", "--yes")


def test_a_server_that_hangs_in_the_middle(shell, redis_server):
    """It gives up after a while and says how far it came; afterwards the rest can be done."""
    filled = fill(shell, MORE)
    with terminal(filled, "cancel", "state:queued", "--yes") as shown:
        shown.until("░ ")
        os.kill(redis_server.process.pid, signal.SIGSTOP)
        try:
            told = shown.rest()
            assert 1 == shown.process.wait(LIMIT)
        finally:
            os.kill(redis_server.process.pid, signal.SIGCONT)
    assert re.search(r"stopped: [\d,]+ of 12,000 cancelled, up to \d+ more may be", told)
    # On a slow machine it tells of its progress.
    assert 0 == filled.run("cancel", "state:queued", "--yes").returncode
    assert MORE == counted(filled, "state:cancelled")
