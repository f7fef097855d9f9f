"""What runs an engine in this process: a ledger in memory, a stepper, and a clock that leaps."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Self

import attrs

import roost_core
from roost_core.backend.messages import Ack, ClaimRequest, Commit
from roost_core.client.requests import EnqueueRequest
from roost_core.context import StepContext
from roost_core.errors import LeaseLost
from roost_core.markers import hookimpl
from roost_core.models.work import WorkItem
from roost_core.models.worker import Lease, WorkerInfo
from roost_core.plugins import checks as plugin_checks
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings, judging
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.stepper import Stepper
from roost_core.testing.artifacts import MemoryArtifactStore
from roost_core.testing.clock import ManualClock
from roost_core.testing.model.ledger import MemoryLedger
from roost_core.testing.workspaces import TestedWorkspaces
from roost_core.values import Json
from roost_core.wording.suggestions import is_slip

#: The lease of a run, in seconds: a person who debugs a step must not lose it.
_LEASE_SECONDS: Final = 86_400.0
_WORKER: Final = "test-worker"
_STEPPER_LOG: Final = logging.getLogger("roost.stepper")


class Raised:
    """A plugin that keeps what the steps raise; registered first, so that it sees everything."""

    def __init__(self) -> None:
        self.exception: Exception | None = None

    @hookimpl
    def around_step(self, context: StepContext) -> AbstractAsyncContextManager[None]:
        """Keep the newest error; a step that is accepted has none."""
        del context

        @asynccontextmanager
        async def keeping() -> AsyncIterator[None]:
            try:
                yield
            except Exception as error:
                self.exception = error
                raise

        return keeping()


class TwiceLedger(MemoryLedger):
    """A ledger whose holder dies between each step and its commit, once.

    So each step runs twice from the same snapshot, as after a crash, and its second result counts.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._died: set[tuple[str, int]] = set()

    async def commit(self, lease: Lease, commit: Commit) -> Ack:
        """Accept a step that has run before.

        :raises LeaseLost: it has not.
        """
        step = lease.work_id, commit.expected_version
        if step not in self._died:
            self._died.add(step)
            self.age_lease(lease.work_id)
            raise LeaseLost("every step is to run twice: this result is dropped")
        return await super().commit(lease, commit)


@attrs.define(eq=False)
class Bench:
    """Everything that steps one engine's work; enter it with ``async with``.

    :ivar raised: what the steps raise.
    """

    engine_id: str
    clock: ManualClock
    store: MemoryArtifactStore
    ledger: MemoryLedger
    raised: Raised
    _make_stepper: Callable[[LeaseKeeper], Stepper]
    _keeper: LeaseKeeper = attrs.field(init=False, repr=False)
    _stepper: Stepper = attrs.field(init=False, repr=False)

    @classmethod
    def of(
        cls,
        engine: object,
        *,
        plugins: Sequence[object] = (),
        settings: Settings | None = None,
        store: MemoryArtifactStore | None = None,
        every_step_twice: bool = False,
    ) -> Self:
        """Return a bench for an engine.

        :raises PluginError: the engine or a plugin is invalid.
        :raises SettingsError: a setting of a plugin is malformed, or misspelt by one letter.
        """
        raised, registered = Raised(), Plugins.empty()
        registered.register(raised, "raised")
        registered.register(plugin_checks.adapted(plugin_checks.Manager(), engine), "engine")
        for number, plugin in enumerate(plugins, 1):
            registered.register(plugin, f"plugin-{number}")
        clock, kept = ManualClock(), store or MemoryArtifactStore()
        ledger = TwiceLedger(clock) if every_step_twice else MemoryLedger(clock)
        known = (settings or Settings()).evolve(lease_ttl=_LEASE_SECONDS)
        _check_settings(registered, known)

        def make_stepper(keeper: LeaseKeeper) -> Stepper:
            return Stepper(
                settings=known,
                engines=registered.engines(),
                observers=registered.observers(),
                around_step=registered.around_step(),
                ledger=ledger,
                store=kept,
                workspaces=TestedWorkspaces(registered, known),
                keeper=keeper,
                is_stopping=lambda: False,
            )

        # Of the engine's own: one of the plugins may be an engine, too.
        engine_id = getattr(engine, "engine_id", None) or "engine"
        return cls(engine_id, clock, kept, ledger, raised, make_stepper)

    async def __aenter__(self) -> Self:
        _STEPPER_LOG.addFilter(self._is_news)
        info = WorkerInfo(
            worker_id=_WORKER,
            host="localhost",
            pid=os.getpid(),
            engines=(self.engine_id,),
            concurrency=1,
            lease_ttl_seconds=_LEASE_SECONDS,
            roost_version=roost_core.__version__,
            started_at=datetime.now(UTC),
        )
        self._keeper = LeaseKeeper([self.ledger.renewer()], info)
        self._stepper = self._make_stepper(self._keeper)
        self._keeper.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stepper.close()
        await self._keeper.close()
        _STEPPER_LOG.removeFilter(self._is_news)

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Return whether to log something: a lease that was to be lost is no news."""
        is_meant = isinstance(self.ledger, TwiceLedger)
        return not (is_meant and getattr(record, "action", None) == "lease_lost")

    async def enqueue(self, payload: Json, **fields: Any) -> WorkItem:
        """Store one work item of the engine; ``fields`` as for :meth:`roost_core.Roost.enqueue`.

        :raises InvalidInput: a field cannot be accepted.
        :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
        """
        request = EnqueueRequest(engine=self.engine_id, payload=payload, **fields)
        item, new = request.build(self.clock.now_ms())
        await self.ledger.enqueue([new])
        return item

    async def work(self) -> int | None:
        """Claim once and run what is leased.

        :returns: None if there was something, else in how many milliseconds there will be.
        """
        request = ClaimRequest(_WORKER, (self.engine_id,), 1, round(_LEASE_SECONDS * 1000))
        batch = await self.ledger.claim(request)
        await self._stepper.dead_lettered(batch.dead_letters)
        for claim in batch.claims:
            await self._stepper.run(claim)
        return None if batch.claims else batch.next_wake_ms or 0


def _check_settings(plugins: Plugins, settings: Settings) -> None:
    """Refuse what a worker would not start with; other names may be those of plugins not here."""
    kinds = plugins.declarations()
    known = judging.names(kinds)
    unknown = judging.check(settings, kinds)
    judging.judge({name: one for name, one in unknown.items() if is_slip(name, known)}, known)
