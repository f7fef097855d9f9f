"""What the tests of lanes share: a backend that answers claims, and lanes over it. Time leaps."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from roost_core.backend import Claim, ClaimBatch, LostLanes, ServePlan
from roost_core.errors import LeaseLost
from roost_core.models import Lease
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.lanes import lanes as lanes_module
from roost_plugins.redis_saq.lanes import served as served_module
from roost_plugins.redis_saq.lanes.lanes import Lanes
from tests import event_loops

#: The mark of tests whose time leaps, and with it that of the lanes.
leaping = event_loops.leaping(lanes_module, served_module)


def claim_of(number):
    """Make a claim."""
    lease = Lease(f"w{number}", "worker-1", f"t{number}", 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Claim(lease, "demo", 0, 0, 0, 0, None, None, b"{}", None, 0.0)


class FakeSubscription:
    """A connection that listens; what is put into the mailbox arrives, errors break it."""

    def __init__(self, ledger, channels, heard):
        self.ledger = ledger
        self.heard = heard
        self.channels = channels
        ledger.listeners += 1
        ledger.channels.extend(channels)

    async def until_end(self):
        """Hear what comes."""
        self.heard("subscribe", self.channels[0], b"")
        while True:
            message = await self.ledger.mailbox.get()
            if isinstance(message, Exception):
                raise message
            self.heard("message", self.channels[0], message)

    async def close(self):
        """Stop listening."""
        self.ledger.listeners -= 1


class FakeLedger:
    """Answers claims from a prepared list, and records when they came."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.keys = Keys("roost", "default", "default")
        self.endpoint = self
        self.description = "here"
        self.ready = []
        self.next_wake_ms = None
        self.leaves_more = False
        self.dead_letters = ()
        self.drain = False
        self.errors = []
        self.claims = []
        self.idle_flags = []
        self.alone = []
        self.can_drain = []
        self.tickets = []
        self.given_back = []
        self.listeners = 0
        self.channels = []
        self.mailbox = asyncio.Queue()
        self.answering = asyncio.Event()
        self.answering.set()

    async def subscribe(self, channels, heard):
        """Listen."""
        return FakeSubscription(self, channels, heard)

    def claim(self, request, *, was_idle, ticket=None, unanswered=()):
        """Hand out what is ready to who awaits it; the claim counts at once."""
        self.alone.append(request.alone)
        self.can_drain.append(request.can_drain)
        self.tickets.append((ticket, unanswered))
        self.claims.append((round(self.loop.time(), 3), request.limit))
        self.idle_flags.append(was_idle)
        return self._claimed(request)

    async def _claimed(self, request):
        await self.answering.wait()
        if self.errors:
            raise self.errors.pop(0)
        taken = [self.ready.pop(0) for _ in range(min(request.limit, len(self.ready)))]
        wake = None if len(taken) == request.limit else self.next_wake_ms
        if self.leaves_more:
            wake = 0
        self.next_wake_ms = None
        dead, self.dead_letters = self.dead_letters, ()
        return ClaimBatch(tuple(taken), dead, wake, drain=self.drain)

    async def interrupt(self, lease, commit_id, reason, delay_ms):
        """Take a lease back."""
        self.given_back.append(lease.token)
        if lease.token == "t-lost":
            raise LeaseLost("lost")


class Bench:
    """Lanes over the fake ledger, and tasks that stand for SAQ's."""

    def __init__(self, *, burst=False, ttl_ms=15_000):
        self.ledger = FakeLedger()
        self.letters = []
        self.stopping = asyncio.Event()
        self.lost = LostLanes(3, lambda: self.threads)
        self.threads = 0
        self.looks = []
        plan = ServePlan(
            (self.ledger,),
            "worker-1",
            ("a", "demo"),
            3,
            ttl_ms,
            1.0,
            burst,
            self.stopping,
            self.lost,
            self.looks.append,
        )
        self.lanes = Lanes([self.ledger], plan, self.on_dead_letters)
        (self.served,) = self.lanes.served

    async def on_dead_letters(self, _ledger, ids):
        """Note them, or fail."""
        if "explode" in ids:
            raise ValueError("a bug in what observes")
        self.letters.extend(ids)

    def free(self):
        """Let a lane wait for a claim."""
        return asyncio.create_task(self.lanes.next_claim())


@contextlib.asynccontextmanager
async def over_lanes(**how):
    """Give a bench whose lanes run, and close them."""
    bench = Bench(**how)
    bench.lanes.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lanes_module.random, "uniform", lambda low, high: high)
            yield bench
    finally:
        await bench.lanes.close()
    assert 0 == bench.ledger.listeners


def times(bench):
    """Return when claims came."""
    return [at for at, _ in bench.ledger.claims]
