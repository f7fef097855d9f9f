"""The watchlist's engine against a real site, from the first check to the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roost_core.context import Artifacts, StepContext
from roost_core.errors import PermanentError
from roost_core.models import Artifact, Heartbeat, Lease, Snapshot, WorkItem
from roost_core.settings import Settings
from roost_plugins import watchlist
from tests.integration.site_bench import Handler, Site


class Shelf:
    """As much of an artifact store as the engine uses."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(
        self,
        data: bytes,
        *,
        work_id: str,
        life: int | None = None,
        ext: str = "bin",
        name: str | None = None,
    ) -> Artifact:
        """Keep the bytes."""
        artifact_id = hashlib.sha256(data).hexdigest()
        self.blobs[artifact_id] = data
        return Artifact(artifact_id, len(data), ext, name)


class InFlight:
    """A step in flight that nothing ends."""

    def is_stopping(self) -> bool:
        """Return that it continues."""
        return False

    def is_cancelled(self) -> bool:
        """Return that it continues."""
        return False

    def beat(self, _heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""

    def fresh_item(self) -> WorkItem:
        """Fail."""
        pytest.fail("a watch is given its item")

    def workspace(self) -> Path:
        """Fail."""
        pytest.fail("a watch needs no workspace")


async def run_watch(payload: dict[str, Any], *, allow: bool = True) -> tuple[list[Snapshot], Shelf]:
    """Run a watch to its end as a worker would, without the waits between the steps."""
    item = WorkItem(work_id="w1", engine=watchlist.engine_id, payload=payload)
    shelf: Any = Shelf()
    context = StepContext(
        lease=Lease("w1", "worker", "token", 1, datetime(2030, 1, 1, tzinfo=UTC)),
        version=1,
        attempt=1,
        settings=Settings(extra={"watchlist_allow_private_addresses": allow}),
        artifacts=Artifacts(shelf, "w1"),
        step=InFlight(),
    )
    history = [await watchlist.init_snapshot(item)]
    while not history[-1].is_finished:
        history.append(await watchlist.step(history[-1], item, context))
    return history, shelf


async def test_three_checks_end_at_version_four_with_a_report(site: Site):
    """One fetch a step, a delay between checks and none after the last, and the evidence."""
    site.pages["/"] = lambda h: h.answer(200, b"We are\nOPEN today", Content_Type="text/plain")
    payload = {"url": site.url, "claim": "are open", "delay_seconds": 7}
    history, shelf = await run_watch(payload)
    assert ["init", "check 1 of 3", "check 2 of 3", "done"] == [one.step for one in history]
    assert [None, 7.0, 7.0, None] == [one.next_step_delay_seconds for one in history]
    assert [0, 1, 2, 3] == [one.data["checks_completed"] for one in history]
    assert ["pending"] + ["confirmed"] * 3 == [one.data["verdict"] for one in history]
    assert len(site.seen) == 3
    (artifact,) = history[-1].artifacts
    assert ("json", "evidence report") == (artifact.ext, artifact.name)
    report = json.loads(shelf.blobs[artifact.artifact_id])
    assert {**payload, "checks_required": 3, "delay_seconds": 7.0} == report["watch"]
    assert history[-1].data["observations"] == report["observations"]
    assert ("w1", "confirmed", 3) == (
        report["work_id"],
        report["verdict"],
        report["checks_completed"],
    )


async def test_a_site_that_is_down_for_a_while_does_not_fail_the_watch(site: Site):
    """Each fetch counts; the failed one says why."""
    answers: Iterator[SimpleNamespace] = iter(
        [
            SimpleNamespace(status=200, body=b"open"),
            SimpleNamespace(status=503, body=b"back soon"),
            SimpleNamespace(status=200, body=b"shut"),
        ]
    )

    def page(handler: Handler) -> None:
        answer = next(answers)
        handler.answer(answer.status, answer.body)

    site.pages["/"] = page
    history, _ = await run_watch({"url": site.url, "claim": "open"})
    data = history[-1].data
    assert [True, False, True] == [seen["ok"] for seen in data["observations"]]
    assert "the site answered with HTTP status 503" == data["observations"][1]["error"]
    assert ["confirmed", "confirmed", "mixed"] == [one.data["verdict"] for one in history[1:]]


async def test_only_the_operator_lets_a_watch_inside(site: Site):
    """By default this machine's addresses are refused for good, with the setting's name."""
    with pytest.raises(PermanentError) as caught:
        await run_watch({"url": site.url}, allow=False)
    assert "ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert site.seen == []
