"""What the tests of leases share: a keeper, and a renewer that records what it renews."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from roost_core.backend import Renewed, Renewer
from roost_core.codec.records import decode_model
from roost_core.models import Heartbeat, Lease, WorkerInfo
from roost_core.stepping.leases import LeaseKeeper

TTL = 15.0

INFO = WorkerInfo(
    worker_id="worker-1",
    host="here",
    pid=1,
    engines=("demo",),
    concurrency=2,
    lease_ttl_seconds=TTL,
    roost_version="1",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def lease(token="t1"):
    """Make a lease."""
    return Lease(f"w-{token}", "worker-1", token, 1, datetime(2026, 1, 1, tzinfo=UTC))


class FakeRenewer(Renewer):
    """Records what is renewed; says that some leases are lost, or fails."""

    def __init__(self):
        self.rounds = []
        self.lost = []
        self.wanted = []
        self.errors = []
        self.closed = False
        self.asked = threading.Event()

    def renew(self, info, beats, lease_ttl_ms):
        """Record it, fail if told to, and answer."""
        self.rounds.append((decode_model(WorkerInfo, info), list(beats), lease_ttl_ms))
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return Renewed(tuple(self.lost), tuple(self.wanted))

    def close(self):
        """Note it."""
        self.closed = True

    @property
    def tokens(self):
        """The tokens of each round."""
        return [[beat.token for beat in beats] for _, beats, _ in self.rounds]

    @property
    def messages(self):
        """The heartbeats' messages of each round."""
        return [
            [
                None if beat.heartbeat is None else decode_model(Heartbeat, beat.heartbeat).message
                for beat in beats
            ]
            for _, beats, _ in self.rounds
        ]


class Bench:
    """A keeper that is driven by hand: its thread does not run."""

    def __init__(self):
        self.renewer = FakeRenewer()
        self.keeper = LeaseKeeper([self.renewer], INFO)
        self.loop = asyncio.get_running_loop()

    def hold(self, token="t1"):
        """Keep a lease that was asked for now."""
        return self.keeper.hold(lease(token), self.loop.time())

    async def renew(self):
        """Let the keeper renew once, and its report arrive."""
        self.keeper._renew(self.keeper._turns[0], self.loop.time())
        await asyncio.sleep(0)
