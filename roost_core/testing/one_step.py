"""Run one step of an engine, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.errors import InvalidInput, InvalidStepResult
from roost_core.models.snapshot import Snapshot
from roost_core.settings import Settings
from roost_core.shown import views
from roost_core.testing.artifacts import MemoryArtifactStore
from roost_core.testing.bench import Bench
from roost_core.testing.model.state import MemoryState
from roost_core.testing.running import in_own_loop
from roost_core.values import Json

#: A step that fails is not tried again.
_SLICE: Final = {"slice_steps": 1}


@attrs.frozen
class StepRun:
    """What one step came to.

    :ivar snapshot: the next one, as it was accepted and stored.
    :ivar events: what the step emitted, in order.
    :ivar store: the artifacts that it put.
    """

    snapshot: Snapshot
    events: tuple[Mapping[str, Json], ...]
    store: MemoryArtifactStore


def run_step(
    engine: object,
    snapshot: Snapshot | Mapping[str, Json] | None = None,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    store: MemoryArtifactStore | None = None,
    **fields: Any,
) -> StepRun:
    """Run one step from a snapshot, as a worker would, and return what was accepted of it.

    For tests without a running event loop; otherwise await :func:`arun_step`. Unlike
    :func:`run_to_end` it raises what the step raises.

    :param engine: as for :func:`run_to_end`.
    :param snapshot: the one to start from, or the data of one; without it, ``init_snapshot`` is
        the step that runs.
    :param payload: the work item's.
    :param store: where the artifacts are that the snapshot names; a new one if not given.
    :param fields: more about the work item, as for :meth:`roost_core.Roost.enqueue`.
    :raises InvalidStepResult: the engine returned something else than a next snapshot.
    :raises PluginError: the engine or a plugin is invalid.
    :raises SettingsError: a setting of a plugin is malformed, or misspelt by one letter.
    :raises InvalidInput: a field of the work item cannot be accepted, or the snapshot is of
        another engine.
    :raises CodecError: the payload or the snapshot's data is not JSON, too deep or too large.
    :raises RuntimeError: an event loop runs in this thread.
    :raises Exception: whatever the step raises.
    """
    return in_own_loop(
        "arun_step",
        arun_step(
            engine,
            snapshot,
            payload,
            plugins=plugins,
            settings=settings,
            store=store,
            **fields,
        ),
    )


async def arun_step(
    engine: object,
    snapshot: Snapshot | Mapping[str, Json] | None = None,
    payload: Json = None,
    *,
    plugins: Sequence[object] = (),
    settings: Settings | None = None,
    store: MemoryArtifactStore | None = None,
    **fields: Any,
) -> StepRun:
    """Do what :func:`run_step` does in the running event loop, for async tests.

    Arguments, result and errors are the same.

    :raises InvalidStepResult: as there.
    :raises PluginError: as there.
    :raises SettingsError: as there.
    :raises InvalidInput: as there.
    :raises CodecError: as there.
    :raises Exception: whatever the step raises.
    """
    known = (settings or Settings()).evolve(**_SLICE)
    bench = Bench.of(engine, plugins=plugins, settings=known, store=store)
    if isinstance(snapshot, Snapshot):
        fields.setdefault("work_id", snapshot.work_id)
    item = await bench.enqueue(payload, **fields)
    if snapshot is not None and not isinstance(snapshot, Snapshot):
        snapshot = Snapshot.start(item, version=1, data=snapshot)
    if snapshot is not None:
        _plant(bench, item.work_id, snapshot)
    async with bench:
        await bench.work()
    stored = await bench.ledger.read(item.work_id)
    assert stored is not None
    if bench.raised.exception is not None:
        raise bench.raised.exception
    status = views.status(stored)
    if status.meta.error is not None:
        raise InvalidStepResult(status.meta.error.message)
    assert status.snapshot is not None
    events = await bench.ledger.events(work_id=item.work_id, limit=10**9)
    return StepRun(
        snapshot=status.snapshot,
        events=tuple(event.data for event in events if event.kind == "emitted"),
        store=bench.store,
    )


def _plant(bench: Bench, work_id: str, snapshot: Snapshot) -> None:
    """Let a work item stand as if its last step had brought this snapshot."""
    if (work_id, bench.engine_id) != (snapshot.work_id, snapshot.engine):
        raise InvalidInput(
            f"the snapshot is of {snapshot.work_id} ({snapshot.engine}), "
            f"the step of {work_id} ({bench.engine_id})"
        )
    version = max(1, snapshot.version)
    encoded = EncodedSnapshot.of(attrs.evolve(snapshot, version=version))

    def plant(state: MemoryState, now: int) -> None:
        work = state.works[work_id]
        work.version, work.step = version, snapshot.step
        work.snapshot, work.committed_ms = encoded.raw, now

    bench.ledger.run(plant)
