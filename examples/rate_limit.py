"""A plugin around every step, with a setting: at most this many steps a second in each worker.

``around_step`` returns an async context manager. A short wait is spent here; for a long one
the step raises ``RetryLater``, so that the work sleeps and its lane is free for other work.
What it raises counts as the step's own, and ``RetryLater`` counts as no attempt.

``register_settings`` declares ``ROOST_RATE_PER_SECOND``, the key ``rate_per_second`` in a settings
file, and the worker's option ``--rate-per-second``.

A model's budget and a trace look the same: before ``yield`` comes what happens before the step.

Run it, in this folder; the ten steps take about half a second::

    export ROOST_PLUGINS=./countdown.py,./rate_limit.py
    roost worker --rate-per-second 20 &
    roost enqueue --engine countdown --payload '{"from": 10}' --wait
    kill $!
    wait
"""

import asyncio
import functools
import time
from contextlib import asynccontextmanager
from typing import ClassVar

import attrs

from roost_core import RetryLater, hookimpl
from roost_core.settings import On, setting, whole


@attrs.frozen(kw_only=True)
class RateSettings:
    """What an operator can set."""

    namespace: ClassVar[str] = "rate"

    per_second: int = setting(
        10, whole(1, 10_000), "Steps that a worker begins in a second.", "N", on=On.WORKER
    )


class RateLimit:
    """Steps that are evenly spaced.

    :param per_second: how many steps may begin in a second.
    :param patience: the longest wait in a lane, in seconds.
    """

    def __init__(self, per_second, *, patience=0.25, clock=time.monotonic):
        self._gap = 1 / per_second
        self._patience = patience
        self._clock = clock
        self._next = 0.0

    def take(self):
        """Take the next place in line; return how long to wait for it, in seconds.

        :raises RetryLater: that is too long.
        """
        now = self._clock()
        wait = max(0.0, self._next - now)
        if wait > self._patience:
            raise RetryLater(wait, "the worker's rate limit")
        self._next = now + wait + self._gap
        return wait

    @asynccontextmanager
    async def around(self):
        await asyncio.sleep(self.take())
        yield


@functools.cache
def limit_of(settings):
    """Return the limit that all steps of this process share."""
    return RateLimit(settings.per_second)


@hookimpl
def register_settings():
    return RateSettings


@hookimpl
def around_step(context):
    return limit_of(context.settings.of(RateSettings)).around()
