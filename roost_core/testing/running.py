"""Run an engine from payload to end, in this process and without waiting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

import roost_core
from roost_core.backend.messages import ClaimRequest
from roost_core.client.requests import EnqueueRequest
from roost_core.models.events import Event
from roost_core.models.standing import WorkStatus
from roost_core.models.worker import WorkerInfo
from roost_core.plugins import checks as plugin_checks
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings
from roost_core.shown import views
from roost_core.stepping import loops
from roost_core.stepping.leases import LeaseKeeper
from roost_core.stepping.stepper import Stepper
from roost_core.testing.artifacts import MemoryArtifactStore
from roost_core.testing.clock import ManualClock
from roost_core.testing.model.ledger import MemoryLedger
from roost_core.testing.workspaces import TestedWorkspaces
from roost_core.values import Json

#: The lease of a run, in seconds: a person who debugs a step must not lose it.
_LEASE_SECONDS = 86_400.0
_WORKER = "test-worker"


@attrs.frozen
class Run:
    """The outcome of a work item.

    :ivar status: the work item, its last snapshot and where it stands: done or failed.
    :ivar events: everything that happened, in order.
    :ivar store: the artifacts it produced.
    :ivar elapsed_seconds: how long it slept and waited for retries, which took no time here.
    """

    status: WorkStatus
    events: tuple[Event, ...]
    store: MemoryArtifactStore
    elapsed_seconds: float


def run_to_end(
    engine: object,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    max_claims: int = 1000,
    **fields: Any,
) -> Run:
    """Enqueue one work item and step it until it is terminal; delays are skipped, not slept.

    For tests without a running event loop; otherwise await :func:`arun_to_end`. What the engine
    raises is not raised here: it is the outcome of an attempt, so check the run's status.

    :param engine: a plugin with a ``step``, or an engine object without marks.
    :param plugins: others to register after it: observers, ``around_step``, workspaces.
    :param settings: what the engine sees as ``context.settings``.
    :param fields: more about the work item, as for :meth:`roost_core.Roost.enqueue`.
    :raises PluginError: the engine or a plugin is invalid.
    :raises InvalidInput: a field of the work item cannot be accepted.
    :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
    :raises RuntimeError: the work is not terminal after ``max_claims`` claims, or an event loop
        runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("an event loop is running here: await arun_to_end(...) instead")
    return loops.run(
        arun_to_end(
            engine, payload, plugins=plugins, settings=settings, max_claims=max_claims, **fields
        )
    )


async def arun_to_end(
    engine: object,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    max_claims: int = 1000,
    **fields: Any,
) -> Run:
    """Do what :func:`run_to_end` does in the running event loop, for async tests.

    Arguments and result are the same.

    :raises PluginError: as there.
    :raises InvalidInput: as there.
    :raises CodecError: as there.
    :raises RuntimeError: the work is not terminal after ``max_claims`` claims.
    """
    registered = Plugins.empty()
    registered.register(plugin_checks.adapted(plugin_checks.Manager(), engine), "engine")
    for number, plugin in enumerate(plugins, 1):
        registered.register(plugin, f"plugin-{number}")
    # The first plugin's: one of the others may be an engine, too.
    engine_id = getattr(engine, "engine_id", None) or "engine"
    clock, store = ManualClock(), MemoryArtifactStore()
    ledger = MemoryLedger(clock)
    began_ms = clock.now_ms()
    request = EnqueueRequest(engine=engine_id, payload=payload, **fields)
    item, new = request.build(began_ms)
    await ledger.enqueue([new])
    keeper = LeaseKeeper([ledger.renewer()], _worker_info(engine_id))
    stepper = _stepper(registered, ledger, store, keeper, settings or Settings())
    keeper.start()
    try:
        await _step_until_terminal(stepper, clock, item.work_id, engine_id, max_claims)
    finally:
        stepper.close()
        await keeper.close()
    stored = await ledger.read(item.work_id)
    assert stored is not None
    return Run(
        status=views.status(stored),
        events=tuple(await ledger.events(limit=10**9)),
        store=store,
        elapsed_seconds=(clock.now_ms() - began_ms) / 1000,
    )


def _worker_info(engine_id: str) -> WorkerInfo:
    return WorkerInfo(
        worker_id=_WORKER,
        host="localhost",
        pid=os.getpid(),
        engines=(engine_id,),
        concurrency=1,
        lease_ttl_seconds=_LEASE_SECONDS,
        roost_version=roost_core.__version__,
        started_at=datetime.now(UTC),
    )


def _stepper(
    plugins: Plugins,
    ledger: MemoryLedger,
    store: MemoryArtifactStore,
    keeper: LeaseKeeper,
    settings: Settings,
) -> Stepper:
    return Stepper(
        settings=settings.evolve(lease_ttl=_LEASE_SECONDS),
        engines=plugins.engines(),
        observers=plugins.observers(),
        around_step=plugins.around_step(),
        ledger=ledger,
        store=store,
        workspaces=TestedWorkspaces(plugins, settings),
        keeper=keeper,
        is_stopping=lambda: False,
    )


async def _step_until_terminal(
    stepper: Stepper, clock: ManualClock, work_id: str, engine_id: str, max_claims: int
) -> None:
    """Claim and run; when nothing is ready, let the time until something is due pass."""
    request = ClaimRequest(_WORKER, (engine_id,), 1, round(_LEASE_SECONDS * 1000))
    for _ in range(max_claims):
        batch = await stepper.ledger.claim(request)
        await stepper.dead_lettered(batch.dead_letters)
        for claim in batch.claims:
            await stepper.run(claim)
        stored = await stepper.ledger.read(work_id)
        if stored is None or stored.state.is_terminal:
            return
        if not batch.claims:
            clock.advance(batch.next_wake_ms or 0)
    raise RuntimeError(f"{work_id} has not ended after {max_claims} claims")
