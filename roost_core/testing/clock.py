"""Clocks for the model backend.

A real server decides times by its own clock. The model takes one of these
instead, so that a test can let an hour pass without waiting for it.
"""

from __future__ import annotations

import abc
import asyncio
import time

import attrs

#: Where a :class:`ManualClock` starts: a time with 13 digits, as the server's have.
START_MS = 1_700_000_000_000


class Clock(abc.ABC):
    """What the model backend needs from a clock. Times are milliseconds since the epoch."""

    @abc.abstractmethod
    def now_ms(self) -> int:
        """Return the time."""

    @abc.abstractmethod
    async def sleep_until(self, when_ms: int) -> None:
        """Return once :meth:`now_ms` is ``when_ms`` or later."""


class RealClock(Clock):
    """This machine's clock."""

    def now_ms(self) -> int:
        """Return the time of day."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, when_ms: int) -> None:
        """Sleep on the event loop's timers."""
        # One more: the loop's timer may be early by a fraction of its resolution.
        left_ms = when_ms - self.now_ms() + 1
        await asyncio.sleep(max(0, left_ms) / 1000)


@attrs.define(eq=False)
class _Sleeper:
    when_ms: int
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event


class ManualClock(Clock):
    """A clock that stands still until a test advances it, from any thread."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._now_ms = start_ms
        self._sleepers: list[_Sleeper] = []

    def now_ms(self) -> int:
        """Return the time that the test has set."""
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Let ``ms`` milliseconds pass and wake everything that sleeps until then.

        :raises ValueError: ``ms`` is below 0.
        """
        if ms < 0:
            raise ValueError("time does not run backwards")
        self._now_ms += ms
        for sleeper in list(self._sleepers):
            if sleeper.when_ms <= self._now_ms:
                sleeper.loop.call_soon_threadsafe(sleeper.woken.set)

    async def sleep_until(self, when_ms: int) -> None:
        """Wait until the test has advanced the clock that far."""
        sleeper = _Sleeper(when_ms, asyncio.get_running_loop(), asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            # Checked after entering the list, so that an advance in between is not missed.
            while self._now_ms < when_ms:
                await sleeper.woken.wait()
        finally:
            self._sleepers.remove(sleeper)
