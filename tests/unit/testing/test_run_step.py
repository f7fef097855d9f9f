"""The kit's way to run one step."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest

from roost_core import PermanentError, RetryLater, Snapshot, WorkItem, hookimpl
from roost_core.context import StepContext
from roost_core.errors import CodecError, InvalidInput, InvalidStepResult
from roost_core.testing import MemoryArtifactStore, arun_step, run_step


class Reader:
    """Reads what its payload names, a page a step."""

    engine_id = "reader"

    @hookimpl
    def init_snapshot(self, item: WorkItem) -> Snapshot:
        """Begin with nothing read."""
        if "pages" not in item.payload:
            raise PermanentError("the payload names no pages")
        return Snapshot.start(item, data={"read": 0})

    @hookimpl
    def step(self, snapshot: Snapshot, item: WorkItem, context: StepContext) -> Snapshot:
        """Read a page; keep it."""
        number = snapshot.data["read"]
        page = item.payload["pages"][number]
        if page == "busy":
            raise RetryLater(30, "too many requests")
        context.emit({"page": number})
        kept = context.artifacts.put_text(page, name=f"page {number}")
        return snapshot.evolve(
            step="read", data={"read": number + 1}, artifacts=(*snapshot.artifacts, kept)
        )


PAGES = {"pages": ["one", "two", "busy"]}


def test_without_a_snapshot_the_first_is_made() -> None:
    """It is `init_snapshot` that runs."""
    ran = run_step(Reader(), payload=PAGES)
    assert (1, "init", {"read": 0}) == (ran.snapshot.version, ran.snapshot.step, ran.snapshot.data)
    assert () == ran.events


def test_a_step_from_data() -> None:
    """The data of a snapshot is enough, and what came of the step can be looked at."""
    ran = run_step(Reader(), {"read": 1}, PAGES)
    assert (2, "read", {"read": 2}) == (ran.snapshot.version, ran.snapshot.step, ran.snapshot.data)
    assert ({"page": 1},) == ran.events
    assert b"two" == ran.store.get(ran.snapshot.artifacts[0].artifact_id)


def test_a_step_from_the_one_before() -> None:
    """What a step returned is where the next begins: its id, version and artifacts."""
    first = run_step(Reader(), {"read": 0}, PAGES)
    second = run_step(Reader(), first.snapshot, PAGES, store=first.store)
    assert (3, {"read": 2}) == (second.snapshot.version, second.snapshot.data)
    assert first.snapshot.work_id == second.snapshot.work_id
    kept = [first.store.get(one.artifact_id) for one in second.snapshot.artifacts]
    assert [b"one", b"two"] == kept


@pytest.mark.parametrize(
    ("start", "payload", "error"),
    [
        (None, {}, PermanentError),
        ({"read": 2}, PAGES, RetryLater),
        ({"read": 7}, PAGES, IndexError),
        ({"read": object()}, PAGES, CodecError),
    ],
)
def test_what_the_step_raises_comes_out(start: Any, payload: Any, error: type[Exception]) -> None:
    """A test sees the engine's own error, not an attempt that failed."""
    with pytest.raises(error):
        run_step(Reader(), start, payload)


def test_what_is_no_snapshot_is_refused() -> None:
    """As a worker would refuse it."""

    class Forgetful:
        engine_id = "forgetful"

        def step(self, snapshot: Snapshot) -> None:
            """Forget to return."""

    with pytest.raises(InvalidStepResult, match="did a branch forget its return"):
        run_step(Forgetful(), {})


def test_a_snapshot_of_another_engine_is_refused() -> None:
    """One line names both."""
    with pytest.raises(InvalidInput, match=r"the snapshot is of w-1 \(other\)"):
        run_step(Reader(), Snapshot("w-1", "other"), PAGES)


async def test_in_a_running_loop() -> None:
    """An async test awaits the other form, also with plugins around the step."""
    entered: list[int] = []

    class Around:
        @hookimpl
        def around_step(self, context: StepContext) -> Any:
            @asynccontextmanager
            async def noting() -> Any:
                entered.append(context.version)
                yield

            return noting()

    with pytest.raises(RuntimeError, match="await arun_step"):
        run_step(Reader(), {"read": 0}, PAGES)
    ran = await arun_step(Reader(), {"read": 0}, PAGES, plugins=[Around()])
    assert ([1], 2) == (entered, ran.snapshot.version)


def test_a_store_may_be_shared() -> None:
    """An artifact that the snapshot names has to be there."""
    store = MemoryArtifactStore()
    ran = run_step(Reader(), {"read": 0}, PAGES, store=store)
    assert store is ran.store
