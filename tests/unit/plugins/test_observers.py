"""Calls of observers: one by one, isolated, none for too long."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from roost_core.models import WorkItem
from roost_core.plugins.kinds import OBSERVER_HOOKS
from roost_core.plugins.observers import Fresh, Observers
from tests.unit.plugins.calls_bench import ERRORS, FATAL, ITEM, PATIENCE, call, raising


async def notify(observers: Observers, snapshot: object = "snapshot") -> None:
    """Tell observers of a committed step."""
    await observers.notify("on_step_committed", item=ITEM, snapshot=snapshot)


def observers(*functions: Callable[..., Any], timeout: float = PATIENCE) -> Observers:
    """Return observers of committed steps, their plugins numbered from 0."""
    calls = [
        call("on_step_committed", function, str(number))
        for number, function in enumerate(functions)
    ]
    return Observers(calls, timeout=timeout)


async def test_observers_are_called_one_by_one_with_what_they_name() -> None:
    """Plain and async ones alike, in the given order, each with its arguments."""
    seen: list[object] = []

    def first(snapshot: object) -> None:
        seen.append(("first", snapshot, threading.get_ident()))

    async def second(snapshot: object, item: WorkItem) -> None:
        await asyncio.sleep(0)
        seen.append(("second", snapshot, item.work_id, threading.get_ident()))

    def third() -> None:
        seen.append("third")

    await notify(observers(first, second, third))
    here = threading.get_ident()
    assert ["first", "snapshot"] == list(seen[0][:2])
    assert here != seen[0][2]
    assert [("second", "snapshot", "w", here), "third"] == seen[1:]


def test_has_tells_whether_anybody_observes() -> None:
    """Without observers nothing is prepared; an unknown hook is a mistake of the caller."""
    some = observers(lambda: None)
    assert some.has("on_step_committed")
    assert not some.has("on_dead_letter")
    assert not any(map(Observers().has, OBSERVER_HOOKS))
    with pytest.raises(KeyError):
        some.has("on_step_commited")


async def test_observers_do_not_see_each_other() -> None:
    """Neither what one sets in its context, nor what it changes in place; nor the caller's own."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[object] = []

    async def first(snapshot: list[int]) -> None:
        seen.append((variable.get(), list(snapshot)))
        variable.set("first")
        snapshot.append(1)

    def second(snapshot: list[int]) -> None:
        seen.append((variable.get(), list(snapshot)))
        variable.set("second")
        snapshot.append(2)

    many = observers(first, second, first)
    variable.set("the caller")
    await many.notify("on_step_committed", item=ITEM, snapshot=Fresh(list))
    assert [("unset", [])] * 3 == seen


@pytest.mark.parametrize("kind", ["async", "def", "returned"])
@pytest.mark.parametrize("error", [*ERRORS, *FATAL], ids=lambda error: type(error).__name__)
async def test_t6_a_raising_observer_stops_nobody(
    error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T6: the others are still called, and the log names the plugin."""
    seen = []
    await notify(observers(lambda: seen.append(0), raising(error, kind), lambda: seen.append(2)))
    assert [0, 2] == seen
    (record,) = caplog.records
    expected = ("roost.hooks", logging.ERROR, "observer_failed", "1", "on_step_committed")
    found = (record.name, record.levelno, record.action, record.plugin, record.hook)
    assert expected == found
    assert record.getMessage().startswith("plugin 1: on_step_committed raised ")
    assert record.exc_info is not None


async def test_a_slow_observer_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """One that hangs in a thread, one that waits forever, one that resists cancelling."""
    release = threading.Event()
    seen = []

    def hangs() -> None:
        release.wait(PATIENCE)

    async def waits() -> None:
        await asyncio.Event().wait()

    resisted = []

    async def resists() -> None:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            resisted.append(1)
            if len(resisted) == 1:
                raise ValueError("after it was left behind")

    try:
        await notify(observers(hangs, waits, resists, lambda: seen.append(3), timeout=0.01))
    finally:
        release.set()
    # The last one is quick, but a busy machine may need longer than a hundredth of a second.
    late = [record.plugin for record in caplog.records]
    assert ["0", "1", "2"] == late[:3]
    assert {"observer_timed_out"} == {record.action for record in caplog.records}
    assert [1] == resisted
    assert [3] == seen or late[3:] == ["3"]


async def test_cancelling_the_caller_passes_through(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that is shut down does not wait for observers, and does not call more of them."""
    seen = []
    cancelled = []

    started = asyncio.Event()

    async def waits() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    many = observers(waits, lambda: seen.append("next"))
    task = asyncio.create_task(many.notify("on_step_committed", item=ITEM, snapshot=None))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [] == seen
    assert [True] == cancelled
    assert [] == caplog.records
