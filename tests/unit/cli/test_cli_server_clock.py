"""What a terminal says of times: by the server's clock, however wrong this machine's is."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.cli import output
from roost_core.cli.work import watch
from roost_core.cli.work.server_clock import server_clock
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench(monkeypatch):
    """Give a queue whose server is years behind, and a terminal."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    bench = Bench()
    bench.enqueue(work_id="w1", delay_seconds=3600)
    bench.provider.clock.advance(600_000)
    return bench


def test_a_listing(bench):
    """What is due in fifty minutes is not due now."""
    assert "due in 50 m" in bench.ok("list")


def test_a_status(bench):
    """When it was created, and when it is due."""
    text = bench.ok("status", "w1")
    assert "created 10 m ago" in text
    assert "due        in 50 m" in text


def test_a_view(bench):
    """It asks once, and counts from there."""

    async def main():
        async with bench.roost() as roost:
            view = await watch._view(roost)
            clock = await server_clock(roost)
            return view._clock(), clock()

    server = bench.server.clock.now_ms() / 1000
    assert [0, 0] == [round((at.timestamp() - server) / 60) for at in asyncio.run(main())]
