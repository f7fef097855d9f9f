"""Why a work item does not run in the model, and how fast work goes."""

from __future__ import annotations

from roost_core.backend.facts import Facts, Obstacle
from roost_core.backend.rates import Pace, StepTally, Tally
from roost_core.models.work import State
from roost_core.testing.model.places import Places
from roost_core.testing.model.work import Work

_MINUTE_MS = 60_000


class Explaining(Places):
    """Collects what decides when a work item runs."""

    def count(self, now: int, tally: Tally) -> None:
        """Keep what a worker has done for an hour."""
        minute = now // _MINUTE_MS
        self.tallies = [one for one in self.tallies if one[0] > minute - 60]
        self.tallies.append((minute, tally))

    def facts(self, now: int, work_id: str) -> Facts | None:
        """Return what decides when a work item runs, or None."""
        work = self.works.get(work_id)
        if work is None:
            return None
        engine = work.new.engine
        offers = self.offers.live(now)
        offering = [worker for worker, engines in offers.items() if engine in engines]
        return Facts(
            work=work.to_stored(with_snapshot=False),
            now_ms=now,
            ahead=self._ahead(work),
            obstacle=self._obstacle(work),
            offering=len(offering),
            others=sum(worker in self.workers for worker in offers) - self._known(offering),
            workers=tuple(self._seen(worker) for worker in sorted(offering)[:20]),
            holder=None if work.worker_id is None else self._seen(work.worker_id),
            halt=self.halted.get(engine),
            pace=self._pace(now, engine),
            usual=self._usual(now, engine, work.step or ""),
            snapshot_bytes=len(work.snapshot or b""),
        )

    def _known(self, offering: list[str]) -> int:
        return sum(worker in self.workers for worker in offering)

    def _seen(self, worker_id: str) -> tuple[bytes, int]:
        info, seen_ms, _ = self.workers.get(worker_id, (b"", 0, 0))
        return info, seen_ms

    def _ahead(self, work: Work) -> int | None:
        if work.state is not State.QUEUED:
            return None
        suspected = work.blame.is_suspected
        line = [one for one in self._in_states(State.QUEUED) if one.new.engine == work.new.engine]
        return sum(
            one.blame.is_suspected == suspected and _place(one) < _place(work) for one in line
        )

    def _obstacle(self, work: Work) -> Obstacle | None:
        if work.state not in (State.QUEUED, State.BLOCKED):
            return None
        resource = self.lines.in_the_way(work)
        if resource is None:
            return None
        is_held = self.lines.is_held(resource)
        if is_held:
            running = self._in_states(State.RUNNING)
            other = next(one for one in running if resource in one.new.resources)
        else:
            first = self.lines.first(resource)
            assert first is not None
            other = first
        return Obstacle(
            resource=resource,
            is_held=is_held,
            work_id=other.new.work_id,
            engine=other.new.engine,
            worker_id=other.worker_id,
            expires_ms=other.expires_ms,
            ahead=sum(
                one.is_in_line
                and resource in one.new.resources
                and one.ready_order < work.ready_order
                for one in self.works.values()
            ),
        )

    def _pace(self, now: int, engine: str) -> Pace | None:
        steps: dict[int, int] = {}
        leases: dict[int, int] = {}
        for minute, tally in self.tallies:
            if minute <= now // _MINUTE_MS - 10:
                continue
            for name, count in tally.leases:
                _add(leases, minute, count if name == engine else 0)
            for one in tally.steps:
                _add(steps, minute, one.count if one.engine == engine else 0)
        minutes = [*(minute for minute, count in [*steps.items(), *leases.items()] if count)]
        if not minutes:
            return None
        span_ms = max(now - min(minutes) * _MINUTE_MS, _MINUTE_MS // 6)
        return Pace(span_ms, sum(steps.values()), sum(leases.values()))

    def _usual(self, now: int, engine: str, label: str) -> StepTally | None:
        found = [
            one
            for minute, tally in self.tallies
            for one in tally.steps
            if minute > now // _MINUTE_MS - 60 and (one.engine, one.step) == (engine, label)
        ]
        if not found:
            return None
        return StepTally(
            engine,
            label,
            count=sum(one.count for one in found),
            total_ms=sum(one.total_ms for one in found),
            longest_ms=max(one.longest_ms for one in found),
        )


def _place(work: Work) -> tuple[int, tuple[int, int]]:
    return (work.blame.deaths if work.blame.is_suspected else 0, work.ready_order)


def _add(counts: dict[int, int], minute: int, count: int) -> None:
    counts[minute] = counts.get(minute, 0) + count
