"""A whole queue at one glance, in the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from roost_core.backend.survey import (
    MINUTES,
    MOST_GROUPS,
    MOST_RESOURCES,
    MOST_RUNNING,
    MOST_WORKERS,
    EngineLine,
    MinuteTally,
    ResourceHold,
    Running,
    Survey,
    Timed,
)
from roost_core.backend.surveying import error_groups
from roost_core.models.work import State
from roost_core.testing.model.explaining import Explaining
from roost_core.testing.model.work import Work

_MINUTE_MS = 60_000


class Surveying(Explaining):
    """Collects how the whole queue stands."""

    def survey(self, now: int) -> Survey:
        """Return what is known of it."""
        standing = Counter(work.state for work in self.works.values())
        running = sorted(
            self._in_states(State.RUNNING), key=lambda one: (one.leased_ms or 0, one.id_bytes)
        )
        live = [
            (info, seen_ms)
            for info, seen_ms, ttl_ms in self.workers.values()
            if seen_ms + ttl_ms > now
        ]
        dead = sorted(
            self._in_states(State.FAILED),
            key=lambda one: (one.finished_ms or 0, one.id_bytes),
            reverse=True,
        )
        errors = error_groups(work.to_stored(with_snapshot=False) for work in dead)
        holds = list(self._holds_now())
        return Survey(
            now_ms=now,
            counts={state: standing[state] for state in State},
            halts=tuple(self.halted[one] for one in sorted(self.halted)),
            lines=tuple(self._engine_lines(now)),
            later={state: self._timed(now, state) for state in (State.SLEEPING, State.RETRY_WAIT)},
            workers=tuple(live[:MOST_WORKERS]),
            worker_count=len(live),
            running=tuple(
                Running(
                    work.to_stored(with_snapshot=False),
                    self._usual(now, work.new.engine, work.step or ""),
                )
                for work in running[:MOST_RUNNING]
            ),
            looked=len(running),
            leases=dict(Counter(work.worker_id for work in running if work.worker_id)),
            holds=tuple(holds[:MOST_RESOURCES]),
            hold_count=len(holds),
            errors=tuple(errors[:MOST_GROUPS]),
            error_count=len(errors),
            minutes=tuple(self._minutes(now)),
        )

    def _engine_lines(self, now: int) -> Iterator[EngineLine]:
        ready, blocked = self._in_states(State.QUEUED), self._in_states(State.BLOCKED)
        own = sorted({work.new.engine for work in ready})
        offers = self.offers.live(now)
        for engine in [*own, *sorted({work.new.engine for work in blocked} - {*own})]:
            line = [work for work in ready if work.new.engine == engine]
            free = [work for work in line if not work.blame.is_suspected]
            first = min(free, key=lambda one: one.ready_order, default=None)
            if first is not None and first.new.resources:
                first = None
            yield EngineLine(
                engine=engine,
                ready=len(free),
                suspected=len(line) - len(free),
                blocked=sum(work.new.engine == engine for work in blocked),
                offering=sum(engine in engines for engines in offers.values()),
                pace=self._pace(now, engine),
                first=None if first is None else first.to_stored(with_snapshot=False),
            )

    def _timed(self, now: int, state: State) -> Timed:
        due = sorted(work.due_ms for work in self._in_states(state) if work.due_ms is not None)
        over = [one for one in due if one <= now]
        return Timed(
            count=len(due),
            overdue=len(over),
            oldest_ms=over[0] if over else None,
            next_ms=next((one for one in due if one > now), None),
        )

    def _holds_now(self) -> list[ResourceHold]:
        holders: dict[str, Work] = {
            resource: work
            for work in self._in_states(State.RUNNING)
            for resource in work.new.resources
        }
        waiting: dict[str, list[Work]] = {}
        for work in self.works.values():
            for resource in work.new.resources if work.is_in_line else ():
                waiting.setdefault(resource, []).append(work)
        found = []
        for resource in {*holders, *waiting}:
            holder, line = holders.get(resource), waiting.get(resource, [])
            first = min(line, key=lambda one: one.ready_order, default=None)
            found.append(
                ResourceHold(
                    resource=resource,
                    work_id=None if holder is None else holder.new.work_id,
                    engine=None if holder is None else holder.new.engine,
                    worker_id=None if holder is None else holder.worker_id,
                    expires_ms=None if holder is None else holder.expires_ms,
                    waiting=len(line),
                    next_id=None if first is None else first.new.work_id,
                )
            )
        return sorted(found, key=lambda one: (-one.waiting, one.resource))

    def _minutes(self, now: int) -> Iterator[MinuteTally]:
        newest = now // _MINUTE_MS
        for minute in range(newest - MINUTES + 1, newest + 1):
            own = [tally for at, tally in self.tallies if at == minute]
            yield MinuteTally(
                at_ms=minute * _MINUTE_MS,
                steps=sum(one.count for tally in own for one in tally.steps),
                failed=sum(one.attempts for tally in own for one in tally.failures),
                dead=sum(one.dead for tally in own for one in tally.failures),
            )
