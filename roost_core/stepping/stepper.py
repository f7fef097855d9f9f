"""One claimed work item: run its steps until the slice is over, each durable before the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import Ack, Claim, Failure
from roost_core.backend.rates import UNKNOWN_ENGINE
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot
from roost_core.context import Artifacts
from roost_core.errors import (
    ArtifactError,
    BackendError,
    CorruptRecord,
    LeaseLost,
    RoostError,
    VersionConflict,
    WrittenByNewer,
)
from roost_core.large_values import Texts
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.plugins.around_step import AroundStep
from roost_core.plugins.engines import OfferedEngine
from roost_core.plugins.observers import Fresh, Observers
from roost_core.settings import Settings
from roost_core.stepping import outcome as outcomes
from roost_core.stepping.attempt import Attempts
from roost_core.stepping.delivery import deliver, put_in_order, settle
from roost_core.stepping.holds import Hold
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.outcome import (
    Accepted,
    Ending,
    Failed,
    GivenBack,
    Later,
    Lost,
    Unwanted,
)
from roost_core.stepping.rates import Rates
from roost_core.stepping.recent import RecentItems, RecentReturns
from roost_core.stepping.run import Run
from roost_core.stepping.telling import StepListener, Telling
from roost_core.stepping.texts import LargeTexts
from roost_core.workspaces import Workspaces

_log = logging.getLogger("roost.stepper")

#: How long a cancelled lane tries to settle its work. Seconds.
_GIVE_BACK_SECONDS: Final = 3.0
#: How long work rests at least whose large texts cannot be read. Milliseconds.
_REST_MS: Final = 1000
#: On the path of every step, and looking up an enum's member is slow before Python 3.12.
_RUNNING: Final = State.RUNNING
_DONE: Final = State.DONE
#: The reason for giving work back because of the worker, not the engine.
_STOPPED: Final = "the worker stopped"


@attrs.frozen(eq=False)
class Stepper:
    """Runs claims of one ledger for one worker; used by many lanes at once.

    ``is_stopping`` says whether the worker drains, so that a slice ends early. ``source`` is the
    number by which the keeper knows the ledger, among those that the worker serves. ``rates``
    counts leases and accepted steps. ``listener`` hears of each accepted step, if anybody wants to.
    ``large`` moves large texts out of snapshots; by default, none.
    """

    settings: Settings
    engines: Mapping[str, OfferedEngine]
    observers: Observers
    around_step: AroundStep
    ledger: Ledger
    store: ArtifactStore
    workspaces: Workspaces
    keeper: LeaseKeeper
    is_stopping: Callable[[], bool]
    source: int = 0
    rates: Rates = attrs.field(factory=Rates, repr=False)
    listener: StepListener | None = None
    large: LargeTexts = attrs.field(repr=False)
    recent: RecentItems = attrs.field(factory=RecentItems, repr=False)
    returns: RecentReturns = attrs.field(factory=RecentReturns, repr=False)
    _attempts: Attempts = attrs.field(init=False, repr=False)
    _telling: Telling = attrs.field(init=False, repr=False)

    @large.default
    def _moves_nothing(self) -> LargeTexts:
        return LargeTexts(Texts(self.store))

    @_attempts.default
    def _make_attempts(self) -> Attempts:
        return Attempts(
            self.settings,
            self.around_step,
            self.store,
            self.workspaces,
            self.keeper,
            self.is_stopping,
        )

    @_telling.default
    def _make_telling(self) -> Telling:
        return Telling(self.observers, self.ledger, self.large)

    async def run(self, claim: Claim, lane: asyncio.Task[Any] | None = None) -> None:
        """Run one claim to the end of its slice; its outcome is stored, or its lease runs out.

        Cancelling gives the work back without blame.

        :param lane: the current task, if the caller knows it.
        """
        lane = lane or asyncio.current_task()
        assert lane is not None
        hold = self.keeper.hold(claim.lease, claim.asked_at, self.source)
        self.rates.lease(claim.engine)
        try:
            run = await self._prepare(claim, hold, lane)
            if run is not None:
                await self._run_slice(run)
        except (LeaseLost, VersionConflict) as error:
            _log.warning("%s: gave up: %s", claim.lease.work_id, error)
        except RoostError as error:
            _log.error(
                "%s: cannot be settled, its lease will run out: %s", claim.lease.work_id, error
            )
        finally:
            self.keeper.let_go(hold)

    def close(self) -> None:
        """Run no more claims."""
        self._attempts.close()

    async def dead_lettered(self, work_ids: Sequence[str]) -> None:
        """Count the dead letters that a claim has stored, and tell the observers about them."""
        for _ in work_ids:
            self.rates.died(UNKNOWN_ENGINE)
        await self._telling.dead_lettered(work_ids)

    # -- a claim ---------------------------------------------------------------------------

    async def _prepare(self, claim: Claim, hold: Hold, lane: asyncio.Task[Any]) -> Run | None:
        """Decode a claim; one that does not decode is dead-lettered, with its bytes kept."""
        lease = claim.lease
        try:
            stored = self.recent.decode(claim.item, claim.created_ms)
            item = stored.item
            if item.work_id != lease.work_id or item.engine != claim.engine:
                raise CorruptRecord("the stored work item belongs to another id or engine")
            mine = stored.known(claim.snapshot)
            given = mine or await self._given(claim)
            if claim.since and given is None and stored.in_pieces(claim) is None:
                # It was stored here, and has been dropped since.
                work = await deliver(hold, lambda: self.ledger.read(lease.work_id))
                stored_last = None if work is None else work.snapshot
                since = stored.dropped(claim.version)
                claim = attrs.evolve(claim, snapshot=stored_last, since=since)
                given = await self._given(claim)
            kept: EncodedSnapshot | PiecedSnapshot | None = mine
            if claim.since is not None and self.ledger.takes_changes:
                kept = stored.in_pieces(claim, given)
            make_snapshot: Callable[[], Snapshot | None]
            if kept is not None:
                make_snapshot = partial(kept.decoded, claim.created_ms, claim.committed_ms, None)
            else:
                make_snapshot = partial(_claimed_snapshot, claim, given)
            snapshot = make_snapshot()
            if (snapshot.version if snapshot else 0) != claim.version:
                raise CorruptRecord("the stored snapshot is missing or of another version")
        except WrittenByNewer as error:
            _log.warning("%s: left for a newer worker: %s", lease.work_id, error)
            layout = error.layout
            await deliver(hold, lambda: self.ledger.leave(lease, "l0", layout))
            return None
        except CorruptRecord as error:
            _log.error("%s: %s", lease.work_id, error)
            failure = outcomes.corrupt(error, lease.worker_id)
            await deliver(hold, lambda: self.ledger.fail(lease, failure))
            self.rates.died(claim.engine)
            return None
        except ArtifactError as error:
            await self._rest(hold, claim, error)
            return None
        engine = self.engines[claim.engine]
        run = Run(
            claim=claim,
            hold=hold,
            lane=lane,
            stored=stored,
            engine=engine,
            snapshot=snapshot,
            make_snapshot=make_snapshot,
            before=(kept or given) if self.ledger.takes_changes else None,
            large=self.large,
            artifacts=Artifacts(self.store, lease.work_id, claim.created_ms),
            version=claim.version,
            accepted_ms=claim.committed_ms,
            attempts=claim.attempts,
        )
        hold.blame = partial(self._failure, run)
        return run

    async def _given(self, claim: Claim) -> Stored | None:
        """Return the snapshot that a claim brings, with its large texts.

        :raises CorruptRecord: one is lost or damaged.
        :raises ArtifactError: they cannot be read now.
        """
        raw = claim.snapshot
        return await self.large.fetch(raw, claim.lease.work_id) if raw else None

    async def _rest(self, hold: Hold, claim: Claim, error: ArtifactError) -> None:
        """Give a claim back without blame: what it needs cannot be read at the moment."""
        lease = claim.lease
        _log.warning("%s: given back, its large texts cannot be read: %s", lease.work_id, error)
        pause = max(_REST_MS, self.returns.pause_ms(lease.work_id, time.monotonic()) or 0)
        reason = f"its large texts cannot be read: {error}"
        await deliver(
            hold, lambda: self.ledger.interrupt(lease, f"i{claim.version}", reason, pause)
        )

    async def _run_slice(self, run: Run) -> None:
        began = time.monotonic()
        is_heard = self.listener is not None
        try:
            while run.hold.ending is None:
                if is_heard:
                    run.began = time.monotonic()
                outcome = await self._attempts.run(run)
                if not isinstance(outcome, Accepted):
                    await self._settle_other(run, outcome)
                    return
                is_last = (
                    run.steps >= self.settings.slice_steps
                    or time.monotonic() - began >= self.settings.slice_seconds
                    or self.is_stopping()
                )
                if not await self._commit(run, outcome, is_last):
                    return
            between = Unwanted() if run.hold.ending is Ending.WANTED else Lost()
            await self._settle_other(run, between)
        except (LeaseLost, VersionConflict):
            await self._telling.lease_lost(run)
        except asyncio.CancelledError:
            await self._give_back(run)
            raise

    # -- the outcome of a step -------------------------------------------------------------

    async def _settle_other(
        self, run: Run, outcome: Failed | Later | GivenBack | Lost | Unwanted
    ) -> None:
        """Deliver the outcome of a step that brought no snapshot."""
        if isinstance(run.before, PiecedSnapshot):
            # It may come back here, and would have to be read, and stored as a whole.
            self.recent.keep(run.stored, run.before)
        if isinstance(outcome, Failed):
            await self._failed(run, outcome.record)
        elif isinstance(outcome, Later):
            await self._interrupt(run, f"i{run.version}", outcome.reason, outcome.delay_ms)
        elif isinstance(outcome, GivenBack):
            await self._interrupt(run, f"i{run.version}", _STOPPED, None)
        elif isinstance(outcome, Unwanted):
            await self._interrupt(run, outcomes.ENDED_ID, outcomes.ENDED_BY_PEOPLE, None)
        else:
            await self._telling.lease_lost(run)

    async def _commit(self, run: Run, step: Accepted, is_last: bool) -> bool:
        """Commit a step; return whether the next one follows under the same lease."""
        snapshot = step.snapshot
        is_over = snapshot.is_finished or snapshot.next_step_delay_seconds is not None
        warning = None
        encoded, standstill = step.encoded, run.stored.standstill
        after = run.version, run.accepted_ms
        if isinstance(encoded, PiecedSnapshot):
            is_due = standstill.note_whether(
                is_same=encoded.is_same, is_back=encoded.is_back, delays=is_over, after=after
            )
        else:
            is_due = standstill.note(encoded.raw, delays=is_over, after=after)
        if is_due:
            warning = self._warning(run)
        extends = run.hold.is_worth_extending(time.monotonic())
        commit = outcomes.commit_of(
            step,
            run.version,
            is_last=is_last,
            lease_ttl_ms=round(self.settings.lease_ttl * 1000) if extends else 0,
            warning=warning,
            took_ms=int(run.hold.step_took * 1000),
        )
        lease = run.claim.lease
        ack = await settle(run, lambda: self.ledger.commit(lease, commit), extends=extends)
        goes_on = ack.state is _RUNNING
        # What is accepted has a version of its own.
        if not goes_on and ack.version == run.version:
            await self._telling.ended_by_people(run, ack)
            return False
        self._note(run, step, ack, goes_on)
        if step.texts and self.large.is_tidy_due(step.texts):
            await self._tidy(run)
        if self.listener is not None:
            took = time.monotonic() - run.began
            self.listener.accepted(run.item, snapshot, ack.state, took)
        if self.observers.has("on_step_committed"):
            await self.observers.notify(
                "on_step_committed", item=Fresh(run.stored.fresh), snapshot=Fresh(run.make_snapshot)
            )
        if not goes_on and ack.state is State.FAILED:
            self.rates.died(run.claim.engine)
            await self._telling.dead_lettered([run.item.work_id])
        return goes_on

    def _note(self, run: Run, step: Accepted, ack: Ack, goes_on: bool) -> None:
        """Record an accepted step; ``goes_on`` if the next follows under the same lease."""
        given = run.snapshot
        self.rates.step(run.claim.engine, "" if given is None else given.step, run.hold.step_took)
        is_done = ack.state is _DONE
        # As decoded, so that the engine sees what another worker would see after a crash, and
        # what it or an observer changes in place affects nobody else.
        make_snapshot = partial(
            step.encoded.decoded, run.claim.created_ms, ack.at_ms, ack.at_ms if is_done else None
        )
        run.version, run.attempts, run.make_snapshot = step.snapshot.version, 0, make_snapshot
        run.accepted_ms = ack.at_ms
        if goes_on:
            run.snapshot = make_snapshot()
            if self.ledger.takes_changes:
                run.before = step.encoded
        elif is_done:
            self.recent.forget(run.stored)
        else:
            self.recent.keep(run.stored, step.encoded)
            if ack.state is State.FAILED:
                _log.warning(
                    "%s: dead-lettered: it may take no more than %d steps in a row without a delay",
                    run.item.work_id,
                    run.item.max_steps,
                    extra={"action": "steps_used_up", "work_id": run.item.work_id},
                )

    async def _tidy(self, run: Run) -> None:
        """Drop the large texts that no version of the work item names any more."""
        lease = run.claim.lease
        with contextlib.suppress(BackendError):
            history = await self.ledger.history(lease.work_id)
            if history is not None:
                await self.large.tidy(history, lease, run.claim.created_ms)

    @staticmethod
    def _warning(run: Run) -> bytes:
        """Log that the engine makes no progress; return the event that says so."""
        row = run.stored.standstill
        _log.warning(
            "%s: %d %s, and there was no delay between them",
            run.item.work_id,
            row.unchanged,
            outcomes.idle_words(row),
            extra={"action": "standstill", "work_id": run.item.work_id},
        )
        return outcomes.standstill(row)

    async def _failed(self, run: Run, record: ErrorRecord) -> None:
        """Give up the attempt, and tell the observers if it was the last."""
        failure = self._failure(run, record)
        ack = await settle(run, lambda: self.ledger.fail(run.claim.lease, failure))
        if outcomes.is_dropped(ack, run.version, run.attempts):
            await self._telling.ended_by_people(run, ack)
        else:
            self.rates.failed(run.claim.engine)
            if ack.state is State.FAILED:
                self.rates.died(run.claim.engine)
            await self._telling.attempt_failed(run, record, failure, ack)

    @staticmethod
    def _failure(run: Run, record: ErrorRecord) -> Failure:
        """Turn an error into a failed attempt; the keeper's thread calls this, too."""
        return outcomes.failure_of(
            record,
            run.item.retry,
            version=run.version,
            attempt=run.attempts + 1,
            dice=random.random(),  # noqa: S311 - jitter
        )

    async def _interrupt(self, run: Run, commit_id: str, reason: str, delay_ms: int | None) -> None:
        """Give the lease back without blame."""
        lease = run.claim.lease
        ack = await settle(run, lambda: self.ledger.interrupt(lease, commit_id, reason, delay_ms))
        if outcomes.is_dropped(ack, run.version, run.attempts):
            await self._telling.ended_by_people(run, ack)

    async def _give_back(self, run: Run) -> None:
        """Settle a cancelled lane's work: the request in flight first, then give back the rest."""
        delay_ms = None
        if not self.is_stopping():
            # Whoever cancels a lane of a worker that does not stop might do so again and again.
            delay_ms = self.returns.pause_ms(run.item.work_id, time.monotonic())
        lease, commit_id = run.claim.lease, f"i{run.version}"
        with contextlib.suppress(RoostError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                try:
                    ack = await put_in_order(
                        run, lambda: self.ledger.interrupt(lease, commit_id, _STOPPED, delay_ms)
                    )
                except (LeaseLost, VersionConflict):
                    await self._telling.lease_lost(run)
                else:
                    if outcomes.is_dropped(ack, run.version, run.attempts):
                        await self._telling.ended_by_people(run, ack)


def _claimed_snapshot(claim: Claim, given: Stored | None) -> Snapshot | None:
    if given is None:
        return None
    created_ms, committed_ms = claim.created_ms, claim.committed_ms
    return decode_snapshot(given.whole, created_ms=created_ms, updated_ms=committed_ms)
