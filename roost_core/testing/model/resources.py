"""The rules of resources: who holds them, and who stands in line for them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

import attrs

from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.testing.model.work import Work

#: How long a worker that has claimed but not yet renewed counts as live, in milliseconds.
UNKNOWN_SILENCE_MS: Final = 60_000


class Lines:
    """The lines for all resources.

    Work stands in line for all of its resources from the first claim that finds something
    in its way until it is leased, ends or steps out. Its place is the same in every
    line: higher priority first, then first come.
    """

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = works

    def is_held(self, resource: str) -> bool:
        """Whether a leased work item holds the resource."""
        return any(
            resource in work.new.resources
            for work in self._works.values()
            if work.state is State.RUNNING
        )

    def first(self, resource: str) -> Work | None:
        """Return what stands first in line for a resource."""
        line = [
            work
            for work in self._works.values()
            if work.is_in_line and resource in work.new.resources
        ]
        return min(line, key=lambda work: work.ready_order, default=None)

    def in_the_way(self, work: Work) -> str | None:
        """Return the resource that keeps work from running: a held one, else a reserved one."""
        for resource in work.resources:
            if self.is_held(resource):
                return resource
        for resource in work.resources:
            first = self.first(resource)
            if first is not None and first.ready_order < work.ready_order:
                return resource
        return None

    def who_can_run(self, resources: Iterable[str]) -> Iterator[Work]:
        """Yield blocked work that is first in line and no longer has anything in its way."""
        for resource in resources:
            first = self.first(resource)
            if first is not None and first.state is State.BLOCKED and not self.in_the_way(first):
                yield first


@attrs.define
class _Offer:
    engines: set[str]
    seen_ms: int
    silence_ms: int = UNKNOWN_SILENCE_MS


class Offers:
    """Which engines live workers run: work only waits behind other work that somebody will run."""

    def __init__(self, halted: Container[str] = ()) -> None:
        self._halted = halted
        self._by_worker: dict[str, _Offer] = {}

    def renewed(self, now: int, info: WorkerInfo) -> None:
        """Note what a worker runs; it counts as live for three of its lease times from now on."""
        offer = self._by_worker.setdefault(info.worker_id, _Offer(set(), now))
        offer.engines |= set(info.engines)
        offer.seen_ms = now
        offer.silence_ms = max(5_000, round(3_000 * info.lease_ttl_seconds))

    def claimed(self, now: int, worker_id: str, engines: Iterable[str]) -> None:
        """Note what a worker runs whose claim had to leave work waiting."""
        self._by_worker.setdefault(worker_id, _Offer(set(), now)).engines |= set(engines)

    def retired(self, worker_id: str) -> None:
        """Forget a worker that has left."""
        self._by_worker.pop(worker_id, None)

    def live(self, now: int) -> dict[str, set[str]]:
        """Return the live workers, and which engines each of them runs."""
        return {
            worker: offer.engines
            for worker, offer in self._by_worker.items()
            if now - offer.seen_ms <= offer.silence_ms
        }

    def has(self, now: int, engine: str) -> bool:
        """Whether a live worker runs the engine, and nobody holds it."""
        return engine not in self._halted and any(
            engine in engines for engines in self.live(now).values()
        )
