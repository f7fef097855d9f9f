"""A plugin around every step: at most so many steps a second, of all engines of a worker.

``around_step`` returns an async context manager. A short wait is spent here; for a long one
the step raises ``RetryLater``, so that the work sleeps and its lane is free for other work.
What it raises counts as the step's own, and ``RetryLater`` counts as no attempt.

A model's budget and a trace look the same: before ``yield`` comes what happens before the step.

Run it, in this folder; the ten steps take most of a second::

    export ROOST_PLUGINS=./countdown.py,./rate_limit.py
    roost worker &
    roost enqueue --engine countdown --payload '{"from": 10}' --wait
    kill $!
    wait
"""

import asyncio
import time
from contextlib import asynccontextmanager

from roost_core import RetryLater, hookimpl


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

    @hookimpl
    def around_step(self):
        return self._limited()

    @asynccontextmanager
    async def _limited(self):
        await asyncio.sleep(self.take())
        yield


#: The module is the plugin; its hook is the object's.
around_step = RateLimit(per_second=10).around_step
