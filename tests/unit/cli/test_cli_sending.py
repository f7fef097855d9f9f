"""``roost enqueue`` when answers are missing: what may be stored, and where to continue."""

from __future__ import annotations

import re

import pytest

from roost_core.cli.work import sending
from roost_core.client import enqueueing, waiting
from roost_core.errors import BackendError, BackendUnavailable, DiskFull
from tests.unit.cli.cli_harness import Bench

BATCH = ("enqueue", "--engine", "echo", "--batch", "-")
LINES = "".join(f'{{"work_id": "w{number}"}}\n' for number in range(1, 7))


@pytest.fixture
def bench(monkeypatch):
    """Return a queue in memory whose clients have no patience."""
    monkeypatch.setattr(enqueueing, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(sending, "CHUNK", 3)
    return Bench()


@pytest.fixture
def stop_after(bench, monkeypatch):
    """Return what lets the backend store this many work items and then fail."""
    enqueue = bench.ledger.enqueue

    def install(number, error, *, is_silent=False):
        left = [number]

        async def storing(works):
            stored = await enqueue(works[: left[0]])
            left[0] -= len(stored)
            if len(stored) < len(works):
                if is_silent:
                    monkeypatch.setattr(bench.ledger, "read", silent)
                raise error
            return stored

        async def silent(work_id):
            raise BackendUnavailable("gone")

        monkeypatch.setattr(bench.ledger, "enqueue", storing)

    return install


@pytest.mark.parametrize("words", [(), ("--work-id", "mine"), ("--idempotency-key", "k")])
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_lost_answer_names_the_id(bench, monkeypatch, words, is_stored):
    """Nothing on standard output; the error has the id that the work may have, and it is there."""
    enqueue = bench.ledger.enqueue

    async def losing(works):
        if is_stored:
            await enqueue(works)
        raise BackendUnavailable("the server went")

    monkeypatch.setattr(bench.ledger, "enqueue", losing)
    result = bench.invoke("enqueue", "--engine", "echo", *words)
    assert (1, "") == (result.exit_code, result.stdout)
    told = re.search(r"went; it may be stored.* (mine|w-[0-9a-f]{16})\b", result.stderr)
    assert told is not None, result.stderr
    assert ("with its idempotency key stores it once" in result.stderr) == ("k" in words)
    assert is_stored == (bench.invoke("status", told[1]).exit_code == 0)


@pytest.mark.parametrize("error", [DiskFull("full"), BackendError("no")])
def test_a_refusal_leaves_no_doubt(bench, stop_after, error):
    """What the server refused is not stored, and nobody is told that it may be."""
    stop_after(0, error)
    result = bench.invoke("enqueue", "--engine", "echo")
    assert (1, f"roost: {error}\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("error", [DiskFull("full"), BackendUnavailable("went")])
def test_a_batch_that_stops_prints_what_is_stored(bench, stop_after, number, error):
    """All ids that are stored, those of the chunk that failed too, and the line to continue at."""
    stop_after(number, error)
    result = bench.invoke(*BATCH, stdin=LINES)
    assert [f"w{n}" for n in range(1, number + 1)] == result.stdout.split()
    assert f"{error}; stopped at line {number + 1}" in result.stderr
    assert 1 == result.exit_code
    assert "may be" not in result.stderr
    assert set(result.stdout.split()) == {row["work_id"] for row in bench.json("list", "--json")}


def test_a_batch_whose_server_is_gone_names_what_may_be_stored(bench, stop_after):
    """The ids of the chunk whose answer was lost, both given and generated ones."""
    stop_after(4, BackendUnavailable("went"), is_silent=True)
    lines = LINES.replace('"work_id": "w5"', "")
    result = bench.invoke(*BATCH, stdin=lines)
    assert (1, "w1\nw2\nw3\n") == (result.exit_code, result.stdout)
    told = re.search(
        r"lines 4 to 6 may be stored.*: w4 w-[0-9a-f]{16} w6$", result.stderr, re.MULTILINE
    )
    assert told is not None, result.stderr
    assert "went; stopped at line 4" in result.stderr


def test_a_batch_goes_on_if_only_the_answer_was_lost(bench, monkeypatch):
    """All of the chunk is there: its ids are printed and the next chunk is sent."""
    enqueue = bench.ledger.enqueue
    lost = []

    async def losing(works):
        answers = await enqueue(works)
        if not lost:
            lost.append(True)
            raise BackendUnavailable("went")
        return answers

    monkeypatch.setattr(bench.ledger, "enqueue", losing)
    result = bench.invoke(*BATCH, stdin=LINES)
    assert (0, "") == (result.exit_code, result.stderr)
    assert [f"w{n}" for n in range(1, 7)] == result.stdout.split()


async def test_a_full_disk_is_not_waited_for():
    """A person has to make room, so nothing is sent again; doubts about earlier calls remain."""
    asked = []

    async def call(errors):
        asked.append(errors[0])
        raise errors.pop(0)

    full = DiskFull("full")
    with pytest.raises(DiskFull):
        await waiting.repeated(lambda: call([full]), 60.0)
    assert [full] == asked
    errors = [BackendUnavailable("went"), full]
    with pytest.raises(BackendUnavailable, match="full") as told:
        await waiting.repeated(lambda: call(errors), 60.0)
    assert not told.value.took_no_effect
