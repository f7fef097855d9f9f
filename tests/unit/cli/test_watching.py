"""Heartbeats of a live view."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from roost_core.cli.work import watching
from roost_core.errors import BackendUnavailable
from roost_core.models import State
from tests.event_loops import leaping


@leaping()
async def test_a_break_does_not_end_the_heartbeats(monkeypatch):
    """A server that is away for a moment costs one look, and no more."""
    row = SimpleNamespace(meta=SimpleNamespace(state=State.RUNNING))
    answers = [row, BackendUnavailable("away"), row, row]
    shown = []

    async def look(_work):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, None

    monkeypatch.setattr(watching, "_standing", look)
    view = SimpleNamespace(is_live=True, standing=lambda found, _: shown.append(found))
    async with watching._heartbeats(SimpleNamespace(), view):
        await asyncio.sleep(4.5 * watching.HEARTBEAT_SECONDS)
    assert [row] * 3 == shown
