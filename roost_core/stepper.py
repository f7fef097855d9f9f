"""One claimed work item: run its steps until the slice is over, each durable before the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import attrs

from roost_core import codec, views
from roost_core.acceptance import accept
from roost_core.backend import Ack, ArtifactStore, Backend, Claim, Commit, Failure, Then
from roost_core.context import Artifacts, StepContext
from roost_core.errors import (
    BackendUnavailable,
    CodecError,
    CorruptRecord,
    InvalidInput,
    InvalidStepResult,
    LeaseLost,
    RetryLater,
    RoostError,
    StepTimeout,
    VersionConflict,
    WrittenByNewer,
)
from roost_core.hookcalls import AroundStep, Engine, Observers
from roost_core.leases import Hold, LeaseKeeper
from roost_core.models import (
    DeadLetter,
    ErrorRecord,
    Heartbeat,
    Lease,
    Snapshot,
    State,
    WorkItem,
    check_seconds,
    milliseconds,
)
from roost_core.recent import RecentItems
from roost_core.retry import backoff_seconds, error_record, text_of
from roost_core.settings import Settings
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces

_log = logging.getLogger("roost.stepper")

#: How long a cancelled lane tries to put its work back in order. Seconds.
_GIVE_BACK_SECONDS: Final = 3.0


@attrs.define(eq=False)
class _Run:
    """One claim on its way: what is known, and what would have to be sent again."""

    claim: Claim
    hold: Hold
    item: WorkItem
    engine: Engine
    snapshot: Snapshot | None
    attempts: int
    in_flight: Callable[[], Awaitable[Ack]] | None = None
    #: How many steps have begun: what an earlier one still wants is void.
    steps: int = 0
    is_in_step: bool = False

    @property
    def version(self) -> int:
        return 0 if self.snapshot is None else self.snapshot.version


@attrs.frozen(eq=False)
class Stepper:
    """Runs claims for one worker; used by many lanes at once.

    ``is_stopping`` says whether the worker drains, so that a slice ends early.
    """

    settings: Settings
    engines: Mapping[str, Engine]
    observers: Observers
    around_step: AroundStep
    backend: Backend
    store: ArtifactStore
    workspaces: Workspaces
    keeper: LeaseKeeper
    is_stopping: Callable[[], bool]
    recent: RecentItems = attrs.field(factory=RecentItems, repr=False)

    async def run(self, claim: Claim) -> None:
        """Run one claim to the end of its slice; what became of it is durable, or the lease's.

        Cancelling gives the work back without blame.
        """
        hold = self.keeper.hold(claim.lease, claim.asked_at)
        try:
            run = await self._prepare(claim, hold)
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

    async def dead_lettered(self, work_ids: Sequence[str]) -> None:
        """Tell the observers of dead letters that a claim has stored."""
        if not self.observers.has("on_dead_letter"):
            return
        for work_id in work_ids:
            try:
                work = await self.backend.read(work_id)
                if work is None:
                    continue
                letter = views.dead_letter(work)
            except RoostError as error:
                _log.error("%s: observers miss its dead letter: %s", work_id, error)
                continue
            await self.observers.notify("on_dead_letter", letter=letter)

    # -- a claim ---------------------------------------------------------------------------

    async def _prepare(self, claim: Claim, hold: Hold) -> _Run | None:
        """Decode a claim; one that does not decode is dead-lettered, with its bytes kept."""
        lease = claim.lease
        try:
            item = self.recent.decode(claim.item, claim.created_ms)
            if item.work_id != lease.work_id or item.engine != claim.engine:
                raise CorruptRecord("the stored work item belongs to another id or engine")
            snapshot = None
            if claim.snapshot is not None:
                snapshot = codec.decode_snapshot(
                    claim.snapshot, created_ms=claim.created_ms, updated_ms=claim.committed_ms
                )
            if (snapshot.version if snapshot else 0) != claim.version:
                raise CorruptRecord("the stored snapshot is missing or of another version")
        except WrittenByNewer as error:
            _log.warning("%s: left for a newer worker: %s", lease.work_id, error)
            layout = error.layout
            await self._deliver(hold, lambda: self.backend.leave(lease, "l0", layout))
            return None
        except CorruptRecord as error:
            _log.error("%s: %s", lease.work_id, error)
            record = ErrorRecord("corrupt", str(error), worker_id=lease.worker_id)
            failure = Failure("f0", codec.encode_model(record), permanent=True, delay_ms=0)
            await self._deliver(hold, lambda: self.backend.fail(lease, failure))
            return None
        engine = self.engines[claim.engine]
        return _Run(claim, hold, item, engine, snapshot, claim.attempts)

    async def _run_slice(self, run: _Run) -> None:
        began = time.monotonic()
        try:
            while run.hold.lost is None:
                outcome = await self._step(run)
                if outcome is None:
                    return
                next_snapshot, context = outcome
                is_last = (
                    run.steps >= self.settings.slice_steps
                    or time.monotonic() - began >= self.settings.slice_seconds
                    or self.is_stopping()
                )
                if not await self._commit(run, next_snapshot, context, is_last):
                    return
            await self._lease_lost(run)  # between two steps
        except asyncio.CancelledError:
            await self._give_back(run)
            raise

    # -- a step ----------------------------------------------------------------------------

    async def _step(self, run: _Run) -> tuple[Snapshot, StepContext] | None:
        """Run one step; None if it brought no snapshot and the claim has been settled."""
        context = self._context(run)
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        timed_out = False
        try:
            try:
                async with asyncio.timeout(None) as scope:
                    run.hold.begin_step(scope, run.item.step_timeout_seconds)
                    run.is_in_step = True
                    result = await self._call(run, context)
            finally:
                run.is_in_step = False
                run.hold.end_step()
                timed_out = scope.expired()
            if timed_out:
                raise TimeoutError
            accepted = accept(result, run.item, run.version)
            await self._check_artifacts(run, accepted)
        except asyncio.CancelledError as error:
            if task.cancelling() > cancelling:
                raise
            await self._failed(run, error)  # The engine's own doing, not the worker's.
            return None
        except RetryLater as error:
            await self._retry_later(run, error)
            return None
        except Exception as error:
            if task.cancelling() > cancelling:
                # What an engine makes of being cancelled is no failure of its own.
                raise asyncio.CancelledError from error
            if run.hold.lost is not None:
                await self._lease_lost(run)
            elif timed_out:
                seconds = run.item.step_timeout_seconds
                await self._failed(run, StepTimeout(f"the step took longer than {seconds:g} s"))
            else:
                await self._failed(run, error)
            return None
        if run.hold.lost is not None:
            await self._lease_lost(run)
            return None
        return accepted, context

    async def _call(self, run: _Run, context: StepContext) -> object:
        if self.around_step:
            async with self.around_step(context):
                return await self._call_engine(run, context)
        return await self._call_engine(run, context)

    @staticmethod
    async def _call_engine(run: _Run, context: StepContext) -> object:
        if run.snapshot is None:
            return await run.engine.init_snapshot(run.item, context)
        return await run.engine.step(run.snapshot, run.item, context)

    def _context(self, run: _Run) -> StepContext:
        hold = run.hold
        run.steps += 1
        number = run.steps

        def is_void() -> bool:
            # Also for a plain def that has timed out: its thread goes on until it looks.
            return hold.lost is not None or not run.is_in_step or run.steps != number

        def is_cancelled() -> bool:
            return is_void() or self.is_stopping()

        def beat(heartbeat: Heartbeat) -> None:
            if not is_void():
                self.keeper.beat(hold, heartbeat)

        return StepContext(
            item=run.item,
            lease=run.claim.lease,
            version=run.version,
            attempt=run.attempts + 1,
            settings=self.settings,
            artifacts=Artifacts(self.store, run.item.work_id),
            make_workspace=self.workspaces.ensure,
            beat=beat,
            is_cancelled=is_cancelled,
        )

    async def _check_artifacts(self, run: _Run, accepted: Snapshot) -> None:
        """See to it that every artifact which the snapshot newly names is in the store."""
        known = (
            set() if run.snapshot is None else {one.artifact_id for one in run.snapshot.artifacts}
        )
        for artifact_id in {one.artifact_id for one in accepted.artifacts} - known:
            if not await run_in_thread(self.store.exists, artifact_id):
                raise InvalidStepResult(
                    f"engine {run.item.engine} names artifact {artifact_id}, "
                    "which is not in the store"
                )

    # -- what becomes of it ----------------------------------------------------------------

    async def _commit(
        self, run: _Run, snapshot: Snapshot, context: StepContext, is_last: bool
    ) -> bool:
        """Commit a step; return whether the next one follows under the same lease."""
        try:
            encoded = codec.EncodedSnapshot.of(snapshot)
        except Exception as error:  # noqa: BLE001 - data may be any object at all
            known = isinstance(error, CodecError)
            said = error if known else f"the snapshot is not JSON: {type(error).__name__}"
            await self._failed(run, InvalidStepResult(f"engine {run.item.engine}: {said}"))
            return False
        delay = snapshot.next_step_delay_seconds
        if snapshot.is_finished:
            then = Then.FINISH
        elif delay is not None:
            then = Then.SLEEP
        else:
            then = Then.YIELD if is_last else Then.CONTINUE
        extends = run.hold.is_worth_extending(time.monotonic())
        commit = Commit(
            commit_id=f"c{run.version}",
            expected_version=run.version,
            snapshot=encoded.raw,
            step=snapshot.step,
            then=then,
            delay_ms=0 if delay is None else milliseconds(delay),
            lease_ttl_ms=round(self.settings.lease_ttl * 1000) if extends else 0,
            events=tuple(context.events),
        )
        try:
            ack = await self._settle(
                run, lambda: self.backend.commit(run.claim.lease, commit), extends=extends
            )
        except (LeaseLost, VersionConflict):
            await self._lease_lost(run)
            return False
        goes_on = ack.state is State.RUNNING
        run.attempts = 0
        if ack.state is State.FAILED:
            _log.warning(
                "%s: dead-lettered: it may take no more than %d steps in a row without a delay",
                run.item.work_id,
                run.item.max_steps,
                extra={"action": "steps_used_up", "work_id": run.item.work_id},
            )
        observed = self.observers.has("on_step_committed")
        if not (goes_on or observed or ack.state is State.FAILED):
            return False
        # As decoded, so that the engine sees what another worker would see after a crash, and
        # what it or an observer changes in place stays its own.
        decoded = partial(
            encoded.decoded,
            created_ms=run.claim.created_ms,
            updated_ms=ack.at_ms,
            finished_ms=ack.at_ms if ack.state is State.DONE else None,
        )
        run.snapshot = decoded()
        if observed:
            await self.observers.notify("on_step_committed", item=run.item, snapshot=decoded())
        if ack.state is State.FAILED:
            await self.dead_lettered([run.item.work_id])
        return goes_on

    async def _failed(self, run: _Run, error: BaseException) -> None:
        """Give up the attempt, and tell the observers if it was the last."""
        record = error_record(error, run.claim.lease.worker_id)
        attempt = run.attempts + 1
        delay = backoff_seconds(run.item.retry, attempt, random.random())  # noqa: S311 - jitter
        failure = Failure(
            commit_id=f"f{run.version}",
            error=codec.encode_model(record),
            permanent=record.kind == "permanent",
            delay_ms=milliseconds(delay),
        )
        ack = await self._settle(run, lambda: self.backend.fail(run.claim.lease, failure))
        is_dead = ack.state is State.FAILED
        _log.warning(
            "%s: attempt %d of %d of the step after version %d failed (%s): %s: %s",
            run.item.work_id,
            attempt,
            run.item.retry.max_attempts,
            run.version,
            "dead-lettered" if is_dead else f"again in {delay:.1f} s",
            record.error_type,
            record.message,
            extra={"action": "attempt_failed", "work_id": run.item.work_id},
        )
        if is_dead and self.observers.has("on_dead_letter"):
            letter = DeadLetter(run.item, run.snapshot, record, codec.from_milliseconds(ack.at_ms))
            await self.observers.notify("on_dead_letter", letter=letter)

    async def _retry_later(self, run: _Run, error: RetryLater) -> None:
        try:
            seconds = check_seconds(error.seconds, "RetryLater(seconds)")
        except InvalidInput as invalid:
            await self._failed(run, invalid)
            return
        reason, delay_ms = text_of(error), milliseconds(seconds)
        await self._settle(run, lambda: self._interrupt(run, reason, delay_ms))

    async def _interrupt(self, run: _Run, reason: str, delay_ms: int | None) -> Ack:
        return await self.backend.interrupt(run.claim.lease, f"i{run.version}", reason, delay_ms)

    async def _lease_lost(self, run: _Run) -> None:
        lease: Lease = run.claim.lease
        _log.warning(
            "%s: the lease is lost (%s); the step after version %d is dropped",
            lease.work_id,
            run.hold.lost or "the commit was refused",
            run.version,
            extra={"action": "lease_lost", "work_id": lease.work_id},
        )
        await self.observers.notify(
            "on_lease_lost", lease=lease, item=run.item, snapshot=run.snapshot
        )

    async def _settle(
        self, run: _Run, send: Callable[[], Awaitable[Ack]], *, extends: bool = False
    ) -> Ack:
        """Deliver what becomes of a step; if cancelled, ``in_flight`` is what to repeat."""
        run.in_flight = send
        try:
            ack = await self._deliver(run.hold, send, extends=extends)
        except RoostError:
            run.in_flight = None
            raise
        run.in_flight = None
        return ack

    async def _deliver(
        self, hold: Hold, send: Callable[[], Awaitable[Ack]], *, extends: bool = False
    ) -> Ack:
        """Send until there is an answer, for as long as the lease is trusted.

        :param extends: whether the request extends the lease if that goes on.

        Every request carries its own id, so one whose reply was lost is recognized.
        """
        pause = 0.02
        # From before the first request: a repeat is recognized, and extends the lease no further.
        asked_at = time.monotonic()
        while True:
            try:
                ack = await send()
            except BackendUnavailable as error:
                if hold.lost is not None:
                    raise LeaseLost(
                        f"the server was away for longer than the lease: {error}"
                    ) from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            else:
                if extends and ack.state is State.RUNNING:
                    hold.extend(asked_at)
                return ack

    async def _give_back(self, run: _Run) -> None:
        """Put a cancelled lane's work in order: settle what was under way, return the rest."""
        with contextlib.suppress(RoostError, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                if run.in_flight is not None:
                    ack = await self._deliver(run.hold, run.in_flight)
                    if ack.state is not State.RUNNING:
                        return
                await self._deliver(
                    run.hold, lambda: self._interrupt(run, "the worker stopped", None)
                )
