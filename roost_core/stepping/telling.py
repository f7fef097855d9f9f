"""Telling a worker's log and its observers what became of a lease, besides accepted steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Ack, Failure
from roost_core.codec.times import from_milliseconds
from roost_core.errors import RoostError
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import DeadLetter, ErrorRecord
from roost_core.models.work import State, WorkItem
from roost_core.plugins.observers import Fresh, Observers
from roost_core.shown import views
from roost_core.shown.tracebacks import brief
from roost_core.stepping.run import Run
from roost_core.stepping.texts import LargeTexts

_log = logging.getLogger("roost.stepper")


class StepListener(Protocol):
    """Hears of each accepted step in the worker's own process: cheap where observers are not.

    It must not wait or raise. What else becomes of steps, the log says.
    """

    def accepted(self, item: WorkItem, snapshot: Snapshot, state: State, seconds: float) -> None:
        """Hear of a step that was accepted.

        :param item: for the runtime only, as is ``snapshot``: neither may be changed.
        :param state: the state after it.
        :param seconds: how long it took, with its commit.
        """


@attrs.frozen(eq=False)
class Telling:
    """What one worker tells of the work of one ledger."""

    observers: Observers
    ledger: Ledger
    texts: LargeTexts

    async def dead_lettered(self, work_ids: Sequence[str]) -> None:
        """Tell the observers of dead letters that they have not seen become so."""
        if not self.observers.has("on_dead_letter"):
            return
        for work_id in work_ids:
            try:
                work = await self.ledger.read(work_id)
                if work is None:
                    continue
                work = await self.texts.whole_work(work)
                views.dead_letter(work)  # Fails here or not at all.
            except RoostError as error:
                _log.error("%s: observers miss its dead letter: %s", work_id, error)
                continue
            letter = Fresh(partial(views.dead_letter, work))
            await self.observers.notify("on_dead_letter", letter=letter)

    async def lease_lost(self, run: Run) -> None:
        """Tell that a step is dropped, because its lease is lost."""
        lease = run.claim.lease
        _log.warning(
            "%s: the lease is lost (%s); the step after version %d is dropped",
            lease.work_id,
            run.hold.lost or "the commit was refused",
            run.version,
            extra={"action": "lease_lost", "work_id": lease.work_id},
        )
        await self._notify(run, "on_lease_lost")

    async def ended_by_people(self, run: Run, ack: Ack) -> None:
        """Tell that a step is dropped, because people have cancelled or buried its work."""
        is_dead = ack.state is State.FAILED
        _log.warning(
            "%s: %s by a person; the step after version %d is dropped",
            run.item.work_id,
            "buried" if is_dead else "cancelled",
            run.version,
            extra={"action": "buried" if is_dead else "cancelled", "work_id": run.item.work_id},
        )
        if is_dead:
            await self.dead_lettered([run.item.work_id])
        else:
            await self._notify(run, "on_cancelled")

    async def attempt_failed(
        self, run: Run, record: ErrorRecord, failure: Failure, ack: Ack
    ) -> None:
        """Tell that an attempt has failed, and of the dead letter if it was the last."""
        is_dead = ack.state is State.FAILED
        _log.warning(
            "%s %s v%d attempt %s failed: %s, %s",
            run.item.work_id,
            run.item.engine,
            run.version,
            _number(run.attempts + 1, run.item.retry.max_attempts),
            brief(record),
            _what_follows(ack.state, failure),
            extra={
                "action": "attempt_failed",
                "work_id": run.item.work_id,
                "engine": run.item.engine,
                "version": run.version,
                "state": ack.state.value,
            },
        )
        if is_dead and self.observers.has("on_dead_letter"):
            failed_at = from_milliseconds(ack.at_ms)

            def letter() -> DeadLetter:
                own = attrs.evolve(record, extra={})
                return DeadLetter(run.stored.fresh(), run.make_snapshot(), own, failed_at)

            await self.observers.notify("on_dead_letter", letter=Fresh(letter))

    async def _notify(self, run: Run, hook: str) -> None:
        await self.observers.notify(
            hook,
            lease=run.claim.lease,
            item=Fresh(run.stored.fresh),
            snapshot=Fresh(run.make_snapshot),
        )


def _number(attempt: int, most: int) -> str:
    """Return which attempt it was; a retry may have allowed more than the item asked for."""
    return f"{attempt} of {most}" if attempt <= most else str(attempt)


def _what_follows(state: State, failure: Failure) -> str:
    if state is State.FAILED:
        return "dead-lettered"
    if state is State.PAUSED:
        return "paused by a person"
    return f"again in {failure.delay_ms / 1000:.1f} s"
