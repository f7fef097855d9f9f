"""What keeps work from running, and the command that would change it: one source for all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import attrs
import pytest
from rich.console import Console

from roost_core.backend.orders import Halt
from roost_core.cli.look import listing, screen
from roost_core.models import Actor, ErrorRecord, State
from roost_core.plugins.registry import Plugins
from roost_core.shown.mending import bar, next_command, worker_command
from tests.unit.cli.cli_harness import Bench
from tests.unit.cli.test_look_listing import ID, row

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "command"),
    [
        (None, "roost worker --plugin PATH --engines crawl"),
        ((), "roost worker --engines crawl"),
        (("--plugin", "./a b.py"), "roost worker --plugin './a b.py' --engines crawl"),
    ],
)
def test_what_starts_a_worker(known, command):
    """With what is known here of the engine's plugin."""
    assert command == worker_command("crawl", known)
    found = bar("crawl", None, 0, NOW, known)
    assert ("no live worker offers engine crawl", command) == (found.words, found.command)
    assert f"no live worker offers engine crawl; try `{command}`" == found.hint


def test_what_bars_an_engine():
    """Nothing if a worker offers it; that it is held comes first."""
    assert None is bar("crawl", None, 1, NOW)
    since_ms = round((NOW - timedelta(seconds=3)).timestamp() * 1000)
    held = Halt("crawl", Actor("alice", "roost pause", "password=hunter2"), since_ms)
    for offering in (0, 1):
        found = bar("crawl", held, offering, NOW)
        assert "engine crawl has been held by alice for 3 s: password=***" == found.words
        assert "roost resume --engine crawl" == found.command


@pytest.mark.parametrize(
    ("state", "kind", "command"),
    [
        (State.FAILED, "exception", f"roost retry {ID}"),
        (State.FAILED, "deadline", f"roost retry {ID} --deadline 2h"),
        (State.FAILED, "steps", f"roost retry {ID} --max-steps 0"),
        (State.CANCELLED, "steps", f"roost retry {ID}"),
        (State.PAUSED, "deadline", f"roost resume {ID}"),
    ],
)
def test_what_people_type_next(state, kind, command):
    """A listing and a screen have it from the same place: with the new limit that it needs."""
    found = row(state=state, error=ErrorRecord(kind, "no"))
    assert command == next_command(found.meta)[1]
    assert f"{command.split()[1]}: {command}" == screen.hints(found.meta)[0]
    if state is not State.CANCELLED:
        assert listing.hints([found])[0].startswith(f"{command.split()[1]}: {command}")


def test_what_continues_by_itself():
    """Nothing is to be typed."""
    for state in (State.QUEUED, State.RUNNING, State.DONE):
        assert None is next_command(row(state=state).meta)


def test_one_answer_everywhere(tmp_path):
    """From a plugin that is named by a path: why, and what is told after enqueueing, agree."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import roost_core\n\n"
        "@roost_core.hookimpl\ndef step(snapshot):\n    return snapshot.finish()\n"
    )
    plugins = Plugins.load(explicit=[str(path)], installed=False, strict=True)
    assert ("--plugin", str(path)) == plugins.options_for("mine")
    assert None is plugins.options_for("other")
    installed = Plugins.load(strict=True)
    assert () == installed.options_for("watchlist")
    # By its name alone: nothing was imported for that.
    few = Plugins.for_backend(())
    assert "watchlist" not in few.engines()
    assert () == few.options_for("watchlist")
    assert None is few.options_for("mine")


def test_a_program_that_registers_an_engine():
    """Nobody can name it on a command line."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    assert None is bench.plugins.options_for("echo")


def test_a_listing_ends_with_what_bars_its_work():
    """After what people can do about single items."""
    one = bar("echo", None, 0, NOW, ())
    found = attrs.evolve(row(), meta=attrs.evolve(row().meta, state=State.QUEUED))
    console = Console(file=StringIO(), width=80)
    listing.show(console, [found], NOW, bars=[one])
    last = console.file.getvalue().splitlines()[-1]
    assert "no live worker offers engine echo; try `roost worker --engines echo`" == last
