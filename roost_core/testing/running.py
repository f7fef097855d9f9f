"""Run an engine from payload to end, in this process and without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import attrs

from roost_core.models.events import Event
from roost_core.models.standing import WorkStatus
from roost_core.settings import Settings
from roost_core.shown import views
from roost_core.stepping import loops
from roost_core.testing.artifacts import MemoryArtifactStore
from roost_core.testing.bench import Bench
from roost_core.values import Json

_T = TypeVar("_T")


@attrs.frozen
class Run:
    """The outcome of a work item.

    :ivar status: the work item, its last snapshot and where it stands: done or failed.
    :ivar events: everything that happened, in order.
    :ivar store: the artifacts it produced.
    :ivar elapsed_seconds: how long it slept and waited for retries, which took no time here.
    :ivar exception: the last error that a step raised, with its traceback, or None; it may have
        succeeded since. ``raise run.exception`` shows it. What Roost has against a result that is
        not a snapshot is not raised by a step: that is in ``status.meta.error``.
    """

    status: WorkStatus
    events: tuple[Event, ...]
    store: MemoryArtifactStore
    elapsed_seconds: float
    exception: Exception | None = None


def run_to_end(
    engine: object,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    max_claims: int = 1000,
    every_step_twice: bool = False,
    **fields: Any,
) -> Run:
    """Enqueue one work item and step it until it is terminal; delays are skipped, not slept.

    For tests without a running event loop; otherwise await :func:`arun_to_end`. What the engine
    raises is not raised here: it is the outcome of an attempt, so check the run's status.

    :param engine: a plugin with a ``step``, or an engine object without marks.
    :param plugins: others to register after it: observers, ``around_step``, workspaces.
    :param settings: what the engine sees as ``context.settings``.
    :param max_claims: how many leases the work may take.
    :param every_step_twice: have the worker die between each step and its commit, once: an engine
        that can run a step again ends as it would otherwise.
    :param fields: more about the work item, as for :meth:`roost_core.Roost.enqueue`.
    :raises PluginError: the engine or a plugin is invalid.
    :raises SettingsError: a setting of a plugin is malformed, or misspelt by one letter.
    :raises InvalidInput: a field of the work item cannot be accepted.
    :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
    :raises RuntimeError: the work is not terminal after ``max_claims`` claims, or an event loop
        runs in this thread.
    """
    return in_own_loop(
        "arun_to_end",
        arun_to_end(
            engine,
            payload,
            plugins=plugins,
            settings=settings,
            max_claims=max_claims,
            every_step_twice=every_step_twice,
            **fields,
        ),
    )


async def arun_to_end(
    engine: object,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    max_claims: int = 1000,
    every_step_twice: bool = False,
    **fields: Any,
) -> Run:
    """Do what :func:`run_to_end` does in the running event loop, for async tests.

    Arguments and result are the same.

    :raises PluginError: as there.
    :raises SettingsError: as there.
    :raises InvalidInput: as there.
    :raises CodecError: as there.
    :raises RuntimeError: the work is not terminal after ``max_claims`` claims.
    """
    bench = Bench.of(engine, plugins=plugins, settings=settings, every_step_twice=every_step_twice)
    began_ms = bench.clock.now_ms()
    item = await bench.enqueue(payload, **fields)
    async with bench:
        stored = await bench.ledger.read(item.work_id)
        for _ in range(max_claims):
            until_next_ms = await bench.work()
            stored = await bench.ledger.read(item.work_id)
            if stored is None or stored.state.is_terminal:
                break
            if until_next_ms is not None:
                bench.clock.advance(until_next_ms)
        else:
            raise RuntimeError(f"{item.work_id} has not ended after {max_claims} claims")
    assert stored is not None
    return Run(
        status=views.status(stored),
        events=tuple(await bench.ledger.events(limit=10**9)),
        store=bench.store,
        elapsed_seconds=(bench.clock.now_ms() - began_ms) / 1000,
        exception=bench.raised.exception,
    )


def in_own_loop(instead: str, work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in an event loop of its own.

    :param instead: what to await where a loop runs already.
    :raises RuntimeError: one does.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return loops.run(work)
    work.close()
    raise RuntimeError(f"an event loop is running here: await {instead}(...) instead")
