"""The index by which work is found, beside an older Roost that does not know it."""

from __future__ import annotations

import json
import subprocess
import sys

from roost_core import State
from roost_core.codec.records import encode_item
from roost_core.models import WorkItem
from tests.upgrade.test_pinned import (
    PATIENCE,
    Side,
    ended,
    eventually,
    sides,  # noqa: F401 - a fixture
)

_PURGE = """
import asyncio

from roost_core import Roost


async def main():
    async with Roost.connect() as roost:
        owner = getattr(roost, "ledger", None) or roost.backend
        await owner.purge(0, None, 100)


asyncio.run(main())
"""


def python(side: Side, text: str, *args: str) -> str:
    """Run some Python with one Roost, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", text, *args],
        env=side.environment,
        cwd=side.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def counted(side: Side, *words: str) -> tuple[int, bool]:
    """Return how many work items a query finds, and whether the index was used."""
    found = json.loads(side.run("count", *words, "--json"))
    assert found["is_exact"]
    return found["total"], found["is_indexed"]


def findings(side: Side) -> list[str]:
    """Return what the doctor says of the index."""
    told = json.loads(side.run("doctor", "--json", check=False))
    return [one["message"] for one in told if one["subject"] == "index"]


def test_work_of_an_older_one_is_found(sides: tuple[Side, Side]) -> None:  # noqa: F811
    """By looking at all, which is said; by the index once a repair has put it there."""
    older, today = sides
    olders = older.enqueue(2) + older.enqueue(1, delay="3600")
    todays = today.enqueue(1, delay="3600")
    worker = today.worker()
    try:
        eventually(today, olders[:2], State.DONE)
        for query, count in (("engine:slow", 4), ("state:done", 2), (f"id:{olders[0]}", 1)):
            assert (query, count) == (query, counted(today, query)[0])
        assert (4, False) == counted(today, "engine:slow", "--by", "engine")
        listed = today.run("list", "engine:slow").splitlines()
        assert {*olders, *todays} == {line.split("\t")[0] for line in listed}
        assert "it has 1 of 4 work items" in findings(today)[0]
        today.run("doctor", "--repair")
        assert [] == findings(today)
        assert (4, True) == counted(today, "engine:slow", "--by", "engine")
        assert (1, True) == counted(today, f"id:{olders[0]}")
    finally:
        assert 0 == ended(worker)


def test_what_an_older_one_purges(sides: tuple[Side, Side]) -> None:  # noqa: F811
    """It stays in the index, is not found, and goes with the next purge of today's."""
    older, today = sides
    olders = older.enqueue(2)
    kept = today.enqueue(1, delay="3600")
    worker = older.worker()
    eventually(today, olders, State.DONE)
    assert 0 == ended(worker)
    today.run("doctor", "--repair")
    assert (3, True) == counted(today, "engine:slow")
    python(older, _PURGE)
    assert (1, False) == counted(today, "engine:slow")
    assert kept == [line.split("\t")[0] for line in today.run("list", "engine:slow").splitlines()]
    python(today, _PURGE)
    assert (1, True) == counted(today, "engine:slow")


def test_an_older_one_keeps_labels(sides: tuple[Side, Side]) -> None:  # noqa: F811
    """It reads a work item with labels, does not know them, and writes them as they were."""
    older, _ = sides
    raw = encode_item(WorkItem("w", "slow", labels={"team": "search"})).decode()
    text = """
import sys

try:
    from roost_core.codec.records import decode_item, encode_item
except ImportError:
    from roost_core.codec import decode_item, encode_item
print(encode_item(decode_item(sys.argv[1].encode())).decode())
"""
    assert json.loads(raw) == json.loads(python(older, text, raw))
