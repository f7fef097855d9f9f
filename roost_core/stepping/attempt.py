"""One run of one step: isolated from all others, and its outcome.

Each runs in a task of its own, with a fresh context:

- a context variable that it sets, or what a library keeps per task, goes with it;
- the lane that waits for it is out of its reach. A cancellation of the lane always comes from the
    worker; one of the step's own task that did not come through the lane comes from the engine,
    whoever in its process requested it.

Within that task the managers of ``around_step`` and the step share one context.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from pathlib import Path

import attrs

from roost_core.backend.artifacts import ArtifactStore
from roost_core.context import StepContext
from roost_core.errors import ArtifactError, InvalidStepResult
from roost_core.models.snapshot import Snapshot
from roost_core.models.work import WorkItem
from roost_core.models.worker import Heartbeat
from roost_core.plugins.around_step import AroundStep
from roost_core.plugins.calls import is_own
from roost_core.settings import Settings
from roost_core.stepping.acceptance import accept, is_empty
from roost_core.stepping.eager import Ended, Starter
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.outcome import Accepted, GivenBack, Outcome, accepted, judged, of_attempt
from roost_core.stepping.run import Run
from roost_core.threads import run_in_thread
from roost_core.workspaces import Workspaces

_log = logging.getLogger("roost.stepper")


class StepInFlight:
    """One step in flight: what ends it, and what its context needs on the engine's behalf.

    An engine may keep its context for as long as it likes, so this refers to nothing large once the
    step is over, least of all in a cycle: each step would leave one to be collected.
    """

    __slots__ = ("_attempts", "_cancelling", "_lane", "_run", "is_ended", "is_over", "task")

    def __init__(self, attempts: Attempts, run: Run) -> None:
        self._attempts = attempts
        self._run = run
        self._lane = lane = run.lane
        self._cancelling = lane.cancelling()
        self.task: asyncio.Future[Outcome] | Ended[Outcome] | None = None
        #: Whether it was ended from outside.
        self.is_ended = False
        #: Whether its task has ended.
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
        """Whether its results are no longer accepted."""
        # Also for a plain def that has timed out: its thread continues until it checks.
        return self.is_over or self._run.hold.ending is not None

    # -- for its context -------------------------------------------------------------------

    def is_stopping(self) -> bool:
        """Whether the worker wants to stop."""
        return self._attempts.is_stopping()

    def is_cancelled(self) -> bool:
        """Whether what it returns would be dropped."""
        return self.is_ended or self.is_void or self.is_lane_cancelled

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send a heartbeat with the next renewal, or soon."""
        # Nothing more once it was ended, even if its task has not ended yet.
        if not (self.is_ended or self.is_void):
            self._attempts.keeper.beat(self._run.hold, heartbeat)

    def fresh_item(self) -> WorkItem:
        """Return the work item as a new object."""
        return self._run.stored.fresh()

    def workspace(self) -> Path:
        """Return the work item's workspace, made at first use. Blocks.

        :raises WorkspaceError: it cannot be made.
        """
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
    #: The context that each step begins with: the one that the worker was started with.
    _context: contextvars.Context = attrs.field(factory=contextvars.copy_context, repr=False)
    _starter: Starter = attrs.field(factory=Starter, init=False, repr=False)

    def close(self) -> None:
        """Run no more steps."""
        self._starter.close()

    async def run(self, run: Run) -> Outcome:
        """Run one step.

        :raises CancelledError: the worker cancelled this lane, and the step returned nothing.
        """
        step = StepInFlight(self, run)
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
                    # It ended within the lane's own stack, where a cancellation of the lane goes
                    # unnoticed. Check here, or it would end what puts the work in order.
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass  # Whoever cancelled it, the task has ended; what that means is decided below.
            if task.done() and not task.cancelled():
                outcome = task.result()
        finally:
            step.is_over, step.task = True, None
            run.hold.end_step()
        if not isinstance(outcome, Accepted) and step.is_lane_cancelled:
            # Whatever an engine does when cancelled is not its failure.
            raise asyncio.CancelledError
        found = of_attempt(
            outcome,
            ending=run.hold.ending,
            is_ended=step.is_ended,
            item=run.stored.item,
            lease=run.claim.lease,
        )
        if not isinstance(found, Accepted) or not found.encoded.values:
            return found
        return await self._with_texts(run, found)

    async def _outcome(self, run: Run, step: StepInFlight) -> Outcome:
        """Call the engine and judge its result; all of its code runs here."""
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
            snapshot = accept(result, run.item, run.version, given)
            if snapshot.artifacts:
                await self._check_artifacts(run, snapshot)
            events = () if context is None else tuple(context.events)
            return accepted(snapshot, events, run.encode)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_own(error, host):
                raise
            return judged(error, run.claim.lease.worker_id)
        finally:
            # A kept error holds this frame, and the task may hold the error: avoid a cycle.
            del host

    async def _with_texts(self, run: Run, step: Accepted) -> Accepted:
        """Store the large texts that an accepted step brings, or else leave them in its snapshot.

        The step has ended: however long it takes, and whoever stops meanwhile, its result counts.
        """
        texts = run.texts_of(step.encoded)
        if not texts:
            return step
        claim = run.claim
        try:
            await run.large.put(texts, claim.lease, claim.created_ms)
        except ArtifactError as error:
            # The server has room, or says that it has none.
            _log.warning("%s: its large texts stay in the snapshot: %s", run.item.work_id, error)
        except asyncio.CancelledError:
            _log.debug("%s: its large texts stay in the snapshot: it stops", run.item.work_id)
        else:
            return attrs.evolve(step, texts=texts)
        # Not what the engine returned: it may have changed that since.
        again = step.encoded.decoded(None, None, None)
        return attrs.evolve(step, encoded=run.encode(again, moves=False))

    def _context_of(self, run: Run, step: StepInFlight) -> StepContext:
        return StepContext(
            lease=run.claim.lease,
            version=run.version,
            attempt=run.attempts + 1,
            settings=self.settings,
            artifacts=run.artifacts,
            step=step,
        )

    async def _check_artifacts(self, run: Run, snapshot: Snapshot) -> None:
        """Check that every artifact newly named by the snapshot is in the store."""
        known = (
            set() if run.snapshot is None else {one.artifact_id for one in run.snapshot.artifacts}
        )
        for artifact_id in {one.artifact_id for one in snapshot.artifacts} - known:
            if not await run_in_thread(self.store.exists, artifact_id):
                raise InvalidStepResult(
                    f"engine {run.item.engine} names artifact {artifact_id}, "
                    "which is not in the store"
                )
