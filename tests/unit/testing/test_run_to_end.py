"""The kit's way to run an engine from payload to end."""

from __future__ import annotations

import traceback
from typing import Any, ClassVar

import attrs
import pytest

from roost_core import PermanentError, RetryPolicy, Settings, Snapshot, State, WorkItem, hookimpl
from roost_core.context import StepContext
from roost_core.errors import PluginLoadError, SettingsError
from roost_core.models import DeadLetter
from roost_core.settings import setting, whole
from roost_core.testing import arun_to_end, run_to_end


class Counter:
    """Counts to the payload, an hour between steps."""

    engine_id = "counter"

    @hookimpl
    def step(self, snapshot: Snapshot, context: StepContext) -> Snapshot:
        """Count one further; keep the total as an artifact at the end."""
        count = snapshot.data.get("count", 0) + 1
        context.emit({"count": count})
        if count < snapshot.data["payload"]:
            data = {**snapshot.data, "count": count}
            return snapshot.evolve(data=data, next_step_delay_seconds=3600)
        report = context.artifacts.put_json({"total": count})
        return snapshot.finish(data={"count": count}, artifacts=(report,))


class Unmarked:
    """An engine as a factory returns it: without marks."""

    engine_id = "unmarked"

    async def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Start."""
        return Snapshot.start(item)

    async def step(self, snapshot: Snapshot) -> Snapshot:
        """End."""
        return snapshot.finish()


class Failing:
    """Fails as it is told, without an id of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @hookimpl
    def step(self, snapshot: Snapshot) -> Snapshot:
        """Fail."""
        raise self.error


class Endless:
    """Never ends."""

    @hookimpl
    async def step(self, snapshot: Snapshot) -> Snapshot:
        """Sleep a second."""
        return snapshot.evolve(next_step_delay_seconds=1)


def test_an_engine_runs_to_its_end() -> None:
    """Hours of delay take no time, and everything that happened can be looked at."""
    run = run_to_end(Counter(), 3, title="Three")
    assert run.status.snapshot is not None
    assert (State.DONE, 4, "done") == (
        run.status.meta.state,
        run.status.snapshot.version,
        run.status.snapshot.step,
    )
    assert ("Three", {"count": 3}) == (run.status.item.title, run.status.snapshot.data)
    assert 7200 == run.elapsed_seconds
    counts = [event.data["count"] for event in run.events if event.kind == "emitted"]
    assert [1, 2, 3] == counts
    (artifact,) = run.status.snapshot.artifacts
    assert b'{\n  "total": 3\n}\n' == run.store.get(artifact.artifact_id)


def test_an_engine_needs_no_marks() -> None:
    """What a factory of engines returns runs as it is."""
    run = run_to_end(Unmarked())
    assert (State.DONE, 2) == (run.status.meta.state, run.status.meta.version)


def test_failures_are_retried_and_dead_lettered() -> None:
    """The waits between attempts are skipped, too; observers are told of the end."""
    letters: list[DeadLetter] = []

    class Observer:
        @hookimpl
        def on_dead_letter(self, letter: DeadLetter) -> None:
            letters.append(letter)

    retry = RetryPolicy(max_attempts=3, base_seconds=10, jitter=0)
    run = run_to_end(Failing(ValueError("no")), plugins=[Observer()], retry=retry)
    assert (State.FAILED, 3) == (run.status.meta.state, run.status.meta.attempts)
    assert 30 == run.elapsed_seconds
    assert ["no"] == [letter.error.message for letter in letters]


def test_permanent_errors_end_it_at_once() -> None:
    """What the engine raises is in the status, and does not come out."""
    run = run_to_end(Failing(PermanentError("never")))
    assert run.status.meta.error is not None
    assert ("permanent", "never") == (run.status.meta.error.kind, run.status.meta.error.message)
    assert 1 == run.status.meta.attempts


def test_late_work_is_dead_lettered() -> None:
    """A deadline passes while the work sleeps."""
    run = run_to_end(Endless(), deadline_seconds=5)
    assert run.status.meta.error is not None
    assert "deadline" == run.status.meta.error.kind


def test_an_endless_engine_is_stopped() -> None:
    """A test of an engine that never ends does end."""
    with pytest.raises(RuntimeError, match="has not ended after 20 claims"):
        run_to_end(Endless(), max_claims=20)


@pytest.mark.parametrize("engine", [object(), type("Empty", (), {"init_snapshot": print})()])
def test_what_is_no_engine_is_refused(engine: Any) -> None:
    """Without a step there is nothing to run."""
    with pytest.raises(PluginLoadError, match="no step"):
        run_to_end(engine)


async def test_in_a_running_loop():
    """An async test awaits the other form; this one says so in one line and leaves no coroutine."""
    with pytest.raises(RuntimeError, match="await arun_to_end"):
        run_to_end(Counter(), 3)
    run = await arun_to_end(Counter(), 3, title="Three")
    assert ("done", "Three") == (run.status.meta.state, run.status.item.title)


def test_a_payload_that_nests_64_deep_runs_to_its_end():
    """What is not an object becomes a value in the data, which is nested one deeper."""
    payload: Any = []
    for _ in range(63):
        payload = [payload]

    class Deep:
        engine_id = "deep"

        def step(self, snapshot, context):
            context.emit({"deep": payload[0]})
            if snapshot.version == 1:
                return snapshot.evolve(step="again")
            return snapshot.finish()

    run = run_to_end(Deep(), payload)

    assert (State.DONE, None) == (run.status.meta.state, run.status.meta.error)
    assert run.status.snapshot is not None
    assert {"payload": payload} == run.status.snapshot.data
    emitted = [event.data for event in run.events if event.kind == "emitted"]
    assert 2 * [{"deep": payload[0]}] == emitted


class Paying:
    """Calls an outside system in each step, and keeps what it was told."""

    engine_id = "paying"

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    def step(self, snapshot: Snapshot, context: StepContext) -> Snapshot:
        """Pay; end after three."""
        self.calls.append(context.idempotency_key)
        context.emit({"paid": snapshot.version})
        return snapshot.evolve(data={}, is_finished=snapshot.version == 3)


def test_every_step_runs_twice() -> None:
    """As if each worker had died before its commit: the end is the same, and nobody is blamed."""
    once, twice = Paying(), Paying()
    runs = (
        run_to_end(once, work_id="w-1"),
        run_to_end(twice, work_id="w-1", every_step_twice=True),
    )
    assert [one.status.meta.version for one in runs] == [4, 4]
    assert twice.calls == [key for key in once.calls for _ in range(2)]
    emitted = [[event.data for event in one.events if event.kind == "emitted"] for one in runs]
    assert emitted[0] == emitted[1]
    meta = runs[1].status.meta
    assert (State.DONE, 0, 0, 0) == (meta.state, meta.attempts, meta.recoveries, meta.suspicions)
    kinds = [event.kind for event in runs[1].events]
    assert kinds.count("committed") == kinds.count("recovered") == 4


def test_what_a_step_raised_is_kept() -> None:
    """It is the error itself, with the frames that led to it; without one there is none."""
    error = ValueError("no")
    run = run_to_end(Failing(error), retry=RetryPolicy(max_attempts=2))
    assert run.exception is error
    frames = [one.name for one in traceback.extract_tb(error.__traceback__)]
    assert "step" in frames
    assert run_to_end(Counter(), 1).exception is None


@attrs.frozen(kw_only=True)
class StrideSettings:
    """A setting of an engine's own."""

    namespace: ClassVar[str] = "stride"

    length: int = setting(1, whole(1, 100), "How far a step goes.", "N")


class Strider:
    """An engine with a setting."""

    @hookimpl
    def register_settings(self):
        """Declare it."""
        return StrideSettings

    @hookimpl
    def step(self, snapshot, context):
        """Go as far as the setting says."""
        return snapshot.finish(data={"at": context.settings.of(StrideSettings).length})


def test_settings_are_what_the_engine_sees():
    """They are read as an operator's are; those of plugins that are not here are left alone."""
    settings = Settings(extra={"stride_length": "4", "redis_url": "redis://localhost"})
    assert {"at": 4} == run_to_end(Strider(), settings=settings).status.snapshot.data


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("stride_lenght", "4", "unknown setting; did you mean stride_length"),
        ("stride_length", "0", "stride_length: expected 1 to 100, found 0"),
    ],
)
def test_settings_that_no_worker_would_start_with_are_refused(name, value, text):
    """A test with a typo would otherwise pass, with the default."""
    with pytest.raises(SettingsError, match=text):
        run_to_end(Strider(), settings=Settings(extra={name: value}))
