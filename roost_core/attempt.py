"""One run of one step: isolated from all others, and what it comes to.

Each runs in a task of its own, with a fresh context:

- a context variable that it sets, or what a library keeps by task, is gone with it;
- the lane that waits for it is not within its reach. A cancellation of the lane is the
  worker's wish, always; one of the step's own task that did not come through the lane is
  the engine's doing, whoever in its process has asked for it.

Within that task the managers of ``around_step`` and the step share one context.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs

from roost_core import codec
from roost_core.acceptance import accept, is_empty
from roost_core.backend import Ack, ArtifactStore, Claim
from roost_core.context import Artifacts, StepContext
from roost_core.errors import (
    CodecError,
    EngineError,
    InvalidStepResult,
    RetryLater,
    StepTimeout,
)
from roost_core.holds import Hold, current_hold
from roost_core.hookcalls import AroundStep, Engine, is_own
from roost_core.leases import LeaseKeeper
from roost_core.models import Heartbeat, Snapshot, WorkItem
from roost_core.recent import StoredItem
from roost_core.retry import decisive, name_of
from roost_core.settings import Settings
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces


@attrs.define(eq=False)
class Run:
    """One claim on its way: what is known, and what would have to be sent again.

    :ivar snapshot: the one that the next step is given, for that step alone.
    :ivar make_snapshot: makes the same anew, for everybody else.
    """

    claim: Claim
    hold: Hold
    stored: StoredItem
    engine: Engine
    snapshot: Snapshot | None
    make_snapshot: Callable[[], Snapshot | None]
    version: int
    attempts: int
    in_flight: Callable[[], Awaitable[Ack]] | None = None
    #: How many steps have begun: what an earlier one still wants is void.
    steps: int = 0
    is_in_step: bool = False

    @property
    def item(self) -> WorkItem:
        """The work item, for the runtime alone."""
        return self.stored.item


@attrs.frozen(eq=False)
class Accepted:
    """A snapshot to commit, and the events that go with it."""

    snapshot: Snapshot
    encoded: codec.EncodedSnapshot
    context: StepContext


@attrs.frozen(eq=False)
class Failed:
    """A failed attempt."""

    error: BaseException


@attrs.frozen(eq=False)
class Later:
    """The engine asks to be run again later."""

    error: RetryLater


@attrs.frozen
class GivenBack:
    """The engine ended early, with nothing, because it was asked to."""


@attrs.frozen
class Lost:
    """The lease was lost: whatever the engine returned is dropped."""


Outcome = Accepted | Failed | Later | GivenBack | Lost


class _Ending:
    """Ends a step by cancelling its task, once: what asyncio's timeouts do, for less."""

    __slots__ = ("is_over", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.is_over = False

    def reschedule(self, _when: float | None, /) -> None:
        """End it now."""
        if not self.is_over and self.task is not None:
            self.is_over = True
            self.task.cancel()


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

    async def run(self, run: Run) -> Outcome:
        """Run one step.

        :raises CancelledError: the worker has cancelled this lane, and the step brought nothing.
        """
        lane = asyncio.current_task()
        assert lane is not None
        cancelling = lane.cancelling()
        ending = _Ending()
        context = self._step_context(run, lane, cancelling, ending)
        run.hold.begin_step(ending, run.item.step_timeout_seconds)
        run.is_in_step = True
        task = ending.task = asyncio.Task(
            self._outcome(run, context),
            loop=asyncio.get_running_loop(),
            context=self._context.copy(),
        )
        outcome: Outcome | None = None
        try:
            outcome = await task
        except asyncio.CancelledError:
            # Whoever cancelled it, the step's task has ended; what that means is looked up below.
            if task.done() and not task.cancelled():
                outcome = task.result()
        finally:
            run.is_in_step = False
            run.hold.end_step()
        if lane.cancelling() > cancelling and not isinstance(outcome, Accepted):
            # What an engine makes of being cancelled is no failure of its own.
            raise asyncio.CancelledError
        if run.hold.lost is not None:
            return Lost()
        if ending.is_over:
            seconds = run.item.step_timeout_seconds
            return Failed(StepTimeout(f"the step took longer than {seconds:g} s"))
        return outcome or Failed(
            EngineError(
                "the step's own task was cancelled, by the engine or a library that it uses"
            )
        )

    async def _outcome(self, run: Run, context: StepContext) -> Outcome:
        """Call the engine and judge what it brings; all of its code runs here."""
        host = asyncio.current_task()
        # So that what hangs is known by the step whose it is.
        current_hold.set(run.hold)
        try:
            result = await self._call(run, context)
            if is_empty(result, run.snapshot) and (context.stopping or context.cancelled):
                return GivenBack()
            accepted = accept(result, run.item, run.version, run.snapshot)
            await self._check_artifacts(run, accepted)
            return Accepted(accepted, _encoded(accepted), context)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_own(error, host):
                raise
            deciding = decisive(error)
            if issubclass(type(deciding), RetryLater):
                return Later(deciding)  # type: ignore[arg-type] # mypy does not follow issubclass
            return Failed(error)

    async def _call(self, run: Run, context: StepContext) -> object:
        if self.around_step:
            async with self.around_step(context):
                return await self._call_engine(run, context)
        return await self._call_engine(run, context)

    @staticmethod
    async def _call_engine(run: Run, context: StepContext) -> object:
        item = context.item if run.engine.takes_item else run.item
        if run.snapshot is None:
            return await run.engine.init_snapshot(item, context)
        return await run.engine.step(run.snapshot, item, context)

    def _step_context(
        self, run: Run, lane: asyncio.Task[Any], cancelling: int, ending: _Ending
    ) -> StepContext:
        hold = run.hold
        run.steps += 1
        number = run.steps

        def is_void() -> bool:
            # Also for a plain def that has timed out: its thread goes on until it looks.
            return hold.lost is not None or not run.is_in_step or run.steps != number

        def is_cancelled() -> bool:
            return ending.is_over or is_void() or lane.cancelling() > cancelling

        def beat(heartbeat: Heartbeat) -> None:
            if not is_void():
                self.keeper.beat(hold, heartbeat)

        return StepContext(
            lease=run.claim.lease,
            version=run.version,
            attempt=run.attempts + 1,
            settings=self.settings,
            artifacts=Artifacts(self.store, run.item.work_id, run.claim.created_ms),
            make_workspace=partial(self.workspaces.ensure, life=run.claim.created_ms),
            beat=beat,
            make_item=run.stored.fresh,
            is_stopping=self.is_stopping,
            is_cancelled=is_cancelled,
        )

    async def _check_artifacts(self, run: Run, accepted: Snapshot) -> None:
        """See to it that every artifact which the snapshot newly names is in the store."""
        if not accepted.artifacts:
            return
        known = (
            set() if run.snapshot is None else {one.artifact_id for one in run.snapshot.artifacts}
        )
        for artifact_id in {one.artifact_id for one in accepted.artifacts} - known:
            if not await run_in_thread(self.store.exists, artifact_id):
                raise InvalidStepResult(
                    f"engine {run.item.engine} names artifact {artifact_id}, "
                    "which is not in the store"
                )


def _encoded(snapshot: Snapshot) -> codec.EncodedSnapshot:
    try:
        return codec.EncodedSnapshot.of(snapshot)
    except Exception as error:
        known = isinstance(error, CodecError)
        said = error if known else f"the snapshot is not JSON: {name_of(error)}"
        raise InvalidStepResult(f"engine {snapshot.engine}: {said}") from error
