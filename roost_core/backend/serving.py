"""How a server is told to run a worker's lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.values import Value


@attrs.define(eq=False)
class LostLanes:
    """What a worker has lost to steps that continue although they were ended.

    ``lanes`` counts lanes that wait for such steps: a backend runs that many more, up to ``bound``.
    ``threads`` counts threads that continue. ``ended`` has the tokens of leases that have ended, or
    are being given up, while their steps continue. ``changed`` is set after each change.
    """

    bound: int
    threads: Callable[[], int]
    lanes: int = 0
    ended: set[str] = attrs.field(factory=set)
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def count(self) -> int:
        """How many lanes and threads are lost."""
        return self.lanes + self.threads()

    @property
    def is_full(self) -> bool:
        """Whether more is lost than is made up for: the worker must not claim."""
        return self.count > self.bound


@attrs.frozen(eq=False, repr=False)
class ServePlan(Value):
    """How a worker wants its lanes run, over ``ledgers`` that are all on one server.

    Claiming ends when ``stopping`` is set; steps in flight then have ``drain_timeout`` seconds
    before they are cancelled. With ``burst`` the lanes also end when nothing is ready. ``lost`` has
    the lanes to make up for. A backend that hears that people want something of what runs here
    calls ``look`` with the ledger's number: the worker then renews at once, instead of at its next
    turn, and so learns of it.
    """

    ledgers: tuple[Ledger, ...]
    worker_id: str
    engines: tuple[str, ...]
    concurrency: int
    lease_ttl_ms: int
    drain_timeout: float
    burst: bool
    stopping: asyncio.Event
    lost: LostLanes | None = None
    look: Callable[[int], None] = lambda _number: None
