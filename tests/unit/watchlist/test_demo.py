"""What the demo counts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from roost_core.models import Event, State
from roost_core.settings import without_settings
from roost_plugins.watchlist.demo import (
    PromiseBroken,
    Stage,
    Story,
    _tell,
    _until_held,
    worker_command,
)
from roost_plugins.watchlist.demo_page import DemoPage


def event(kind: str) -> Event:
    """Make an event of the demo's work item."""
    return Event("1-0", datetime(2026, 1, 1, tzinfo=UTC), kind, "w1", "watchlist", 2, State.RUNNING)


def test_the_first_workers_own_claim_is_no_takeover(capsys):
    """Its event may arrive after the kill; the claim after the recovery is what counts."""
    story = Story(killed_at=time.monotonic())

    _tell(story, event("claimed"))
    assert None is story.resumed_after
    _tell(story, event("recovered"))
    assert None is story.resumed_after
    _tell(story, event("claimed"))
    assert story.resumed_after is not None
    first = story.resumed_after
    _tell(story, event("claimed"))
    assert first == story.resumed_after
    assert 4 == len(capsys.readouterr().out.splitlines())


def test_the_current_folder_is_not_on_its_workers_path(tmp_path: Path) -> None:
    """A file there that is called like a library is not run."""
    ran = tmp_path / "ran"
    for name in ("click", "attrs", "roost_core"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    words = [*worker_command(Stage(tmp_path / "home", ())), "--version"]
    env = {**without_settings(), "PYTHONPATH": os.getcwd()}
    done = subprocess.run(words, cwd=tmp_path, env=env, check=False, capture_output=True)
    assert (2, False) == (done.returncode, ran.exists())
    assert b"No such option" in done.stderr


async def test_work_that_ends_before_the_kill_ends_the_demo() -> None:
    """Where 127.0.0.1 cannot be reached no look is ever held: it says so, and does not wait."""
    page = DemoPage(hold=2)
    page._server.server_close()
    ended = attrs.evolve(event("committed"), state=State.DONE)
    worker = SimpleNamespace(returncode=None)
    with pytest.raises(PromiseBroken, match=r"reach its own address 127\.0\.0\.1"):
        await asyncio.wait_for(_until_held(page, worker, Story(events=[ended])), 30)
