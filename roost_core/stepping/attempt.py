"""One run of one step: isolated from all others, and what it comes to.

Each runs in a task of its own, with a fresh context:

- a context variable that it sets, or what a library keeps by task, is gone with it;
- the lane that waits for it is not within its reach. A cancellation of the lane is the
  worker's doing, always; one of the step's own task that did not come through the lane is
  the engine's doing, whoever in its process has asked for it.

Within that task the managers of ``around_step`` and the step share one context.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.backend.messages import Ack, Claim
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.context import Artifacts, StepContext
from roost_core.errors import (
    CodecError,
    EngineError,
    InvalidStepResult,
    RetryLater,
    StepTimeout,
)
from roost_core.models.checks import check_seconds, milliseconds
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import WorkItem
from roost_core.models.worker import Heartbeat
from roost_core.plugins.calls import AroundStep, Engine, is_own
from roost_core.retry import decisive, error_record, name_of, text_of
from roost_core.settings import Settings
from roost_core.stepping.acceptance import accept, is_empty
from roost_core.stepping.eager import Ended, Starter
from roost_core.stepping.holds import Hold, current_hold
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.recent import StoredItem
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces

#: The shortest wait that an engine can ask for with ``RetryLater``. Milliseconds.
_LEAST_PAUSE_MS: Final = 100


@attrs.define(eq=False)
class Run:
    """One claim on its way: what is known, and what would have to be sent again.

    :ivar snapshot: the one that the next step is given, for that step alone.
    :ivar make_snapshot: makes the same anew, for everybody else.
    :ivar steps: how many steps have begun.
    """

    claim: Claim
    hold: Hold
    stored: StoredItem
    engine: Engine
    snapshot: Snapshot | None
    make_snapshot: Callable[[], Snapshot | None]
    artifacts: Artifacts
    version: int
    attempts: int
    in_flight: Callable[[], Awaitable[Ack]] | None = None
    steps: int = 0
    _context: contextvars.Context | None = attrs.field(default=None, init=False, repr=False)

    @property
    def item(self) -> WorkItem:
        """The work item, for the runtime alone."""
        return self.stored.item

    def fresh_context(self, base: contextvars.Context) -> contextvars.Context:
        """Return the context of the next step: ``base``, and whose step it is.

        What hangs is known by that, also in the tasks and callbacks that a step begins.
        """
        if self._context is not None:
            return self._context.copy()
        fresh = base.copy()
        fresh.run(current_hold.set, self.hold)
        if self.steps > 1:
            # There may be many more.
            self._context = fresh.copy()
        return fresh


@attrs.frozen(eq=False)
class Accepted:
    """A snapshot to commit, and the events that go with it."""

    snapshot: Snapshot
    encoded: EncodedSnapshot
    events: tuple[bytes, ...]


@attrs.frozen(eq=False)
class Failed:
    """A failed attempt. Not the error itself: with its frames it would hold all that it knew."""

    record: ErrorRecord


@attrs.frozen(eq=False)
class Later:
    """The engine asks to be run again in so many milliseconds."""

    reason: str
    delay_ms: int


@attrs.frozen
class GivenBack:
    """The engine ended early, with nothing, because it was asked to."""


@attrs.frozen
class Lost:
    """The lease was lost: whatever the engine returned is dropped."""


Outcome = Accepted | Failed | Later | GivenBack | Lost


class StepInFlight:
    """One step in flight: what ends it, and what its context asks on the engine's behalf.

    An engine may keep its context for as long as it likes, so nothing large hangs on this once
    the step is over, least of all in a circle: each step would leave one to be collected.
    """

    __slots__ = ("_attempts", "_cancelling", "_lane", "_run", "is_ended", "is_over", "task")

    def __init__(self, attempts: Attempts, run: Run, lane: asyncio.Task[Any]) -> None:
        self._attempts = attempts
        self._run = run
        self._lane = lane
        self._cancelling = lane.cancelling()
        self.task: asyncio.Future[Outcome] | Ended[Outcome] | None = None
        #: Whether it was ended from outside.
        self.is_ended = False
        #: Whether its task has come to its end.
        self.is_over = False

    def reschedule(self, _when: float | None, /) -> None:
        """End it now, by cancelling its task, once: as asyncio's timeouts do, for less."""
        if not self.is_ended and self.task is not None:
            self.is_ended = True
            self.task.cancel()

    @property
    def is_lane_cancelled(self) -> bool:
        """Whether the worker has cancelled the lane since the step began."""
        return self._lane.cancelling() > self._cancelling

    @property
    def is_void(self) -> bool:
        """Whether nobody takes anything from it any more."""
        # Also for a plain def that has timed out: its thread goes on until it looks.
        return self.is_over or self._run.hold.lost is not None

    # -- for its context -------------------------------------------------------------------

    def is_stopping(self) -> bool:
        """Whether the worker wants to stop."""
        return self._attempts.is_stopping()

    def is_cancelled(self) -> bool:
        """Whether what it returns would be dropped."""
        return self.is_ended or self.is_void or self.is_lane_cancelled

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send a heartbeat with the next renewal, or soon."""
        # Once it was told that it has ended, also where its task has not come to its end yet.
        if not (self.is_ended or self.is_void):
            self._attempts.keeper.beat(self._run.hold, heartbeat)

    def fresh_item(self) -> WorkItem:
        """Return the work item as a new object."""
        return self._run.stored.fresh()

    def workspace(self) -> Path:
        """Return the work item's workspace, made at first use. Blocks."""
        claim = self._run.claim
        return self._attempts.workspaces.ensure(claim.lease.work_id, life=claim.created_ms)


@attrs.frozen(eq=False)
class Attempts:
    """Runs steps for one worker; used by many lanes at once."""

    settings: Settings
    around_step: AroundStep
    store: ArtifactStore
    workspaces: Workspaces
    keeper: LeaseKeeper
    is_stopping: Callable[[], bool]
    #: What each step begins with: what the worker itself was started with.
    _context: contextvars.Context = attrs.field(factory=contextvars.copy_context, repr=False)
    _starter: Starter = attrs.field(factory=Starter, init=False, repr=False)

    def close(self) -> None:
        """Run no more."""
        self._starter.close()

    async def run(self, run: Run) -> Outcome:
        """Run one step.

        :raises CancelledError: the worker has cancelled this lane, and the step brought nothing.
        """
        lane = asyncio.current_task()
        assert lane is not None
        step = StepInFlight(self, run, lane)
        run.steps += 1
        run.hold.begin_step(step, run.item.step_timeout_seconds)
        outcome: Outcome | None = None
        try:
            task = step.task = self._starter.start(
                self._outcome(run, step), run.fresh_context(self._context)
            )
            try:
                if not task.done():
                    await task
                elif step.is_lane_cancelled:
                    # It has ended within the lane's own stack, where a cancellation of the lane
                    # is not heard. Heard here, or it would end what puts the work in order.
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass  # Whoever cancelled it, the task has ended; what that means comes below.
            if task.done() and not task.cancelled():
                outcome = task.result()
        finally:
            step.is_over, step.task = True, None
            run.hold.end_step()
        if not isinstance(outcome, Accepted) and step.is_lane_cancelled:
            # What an engine makes of being cancelled is no failure of its own.
            raise asyncio.CancelledError
        if run.hold.lost is not None:
            return Lost()
        if step.is_ended:
            seconds = run.item.step_timeout_seconds
            return _failed(StepTimeout(f"the step took longer than {seconds:g} s"), run)
        return outcome or _failed(
            EngineError(
                "the step's own task was cancelled, by the engine or a library that it uses"
            ),
            run,
        )

    async def _outcome(self, run: Run, step: StepInFlight) -> Outcome:
        """Call the engine and judge what it brings; all of its code runs here."""
        host = asyncio.current_task()
        try:
            given = run.snapshot
            hook = run.engine.init_snapshot if given is None else run.engine.step
            context = item = None
            if self.around_step or hook.takes_context:
                context = self._context_of(run, step)
            if hook.takes_item:
                item = step.fresh_item() if context is None else context.item
            if context is not None and self.around_step:
                async with self.around_step(context):
                    result = await hook(given, item, context)
            else:
                result = await hook(given, item, context)
            if is_empty(result, given) and (step.is_stopping() or step.is_cancelled()):
                return GivenBack()
            accepted = accept(result, run.item, run.version, given)
            if accepted.artifacts:
                await self._check_artifacts(run, accepted)
            events = () if context is None else tuple(context.events)
            return Accepted(accepted, _encoded(accepted), events)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_own(error, host):
                raise
            return _judged(error, run)
        finally:
            # An error that somebody keeps holds this frame, and the task may be his: no circle.
            del host

    def _context_of(self, run: Run, step: StepInFlight) -> StepContext:
        return StepContext(
            lease=run.claim.lease,
            version=run.version,
            attempt=run.attempts + 1,
            settings=self.settings,
            artifacts=run.artifacts,
            step=step,
        )

    async def _check_artifacts(self, run: Run, accepted: Snapshot) -> None:
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


def _judged(error: BaseException, run: Run) -> Failed | Later:
    # Apart, so that no frame in the error's own traceback holds the error.
    deciding = decisive(error)
    if not issubclass(type(deciding), RetryLater):
        return _failed(error, run)
    try:
        seconds = check_seconds(deciding.seconds, "RetryLater(seconds)")  # type: ignore[attr-defined] # mypy does not follow issubclass
    except BaseException as invalid:  # noqa: BLE001 - reading it may run the engine's code
        return _failed(invalid, run)
    # Without a pause, a step that never has its way would keep worker and server busy.
    return Later(text_of(deciding), max(_LEAST_PAUSE_MS, milliseconds(seconds)))


def _failed(error: BaseException, run: Run) -> Failed:
    return Failed(error_record(error, run.claim.lease.worker_id))


def _encoded(snapshot: Snapshot) -> EncodedSnapshot:
    try:
        return EncodedSnapshot.of(snapshot)
    except Exception as error:
        known = isinstance(error, CodecError)
        said = error if known else f"the snapshot is not JSON: {name_of(error)}"
        raise InvalidStepResult(f"engine {snapshot.engine}: {said}") from error
