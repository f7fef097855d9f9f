"""The last line of a worker's log, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.cli.operate.outcomes import Outcomes
from roost_core.cli.operate.worker_log import WorkerLog
from roost_core.errors import BackendUnavailable


class Screen:
    """Remembers the last line."""

    def __init__(self):
        self.drawn = []

    def footer(self, text):
        """Draw."""
        self.drawn.append(text)


async def deaf():
    """Lose a cancellation."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        raise BackendUnavailable("the connection was lost") from None


async def slow():
    """Let go of nothing."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if hurry.is_set():
                raise


hurry = asyncio.Event()


@pytest.mark.parametrize("counts", [deaf, slow])
async def test_a_request_under_way_does_not_keep_the_worker(counts):
    """Whatever becomes of its cancellation: the line is erased, and the worker ends."""
    log = WorkerLog(Screen())
    log._is_terminal = True
    async with asyncio.timeout(20):
        async with log.footer(lambda: 0, counts, Outcomes(asyncio.get_running_loop())):
            await asyncio.sleep(0)
    assert [""] == log.stderr.drawn
    hurry.set()
