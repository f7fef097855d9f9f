"""What a shell completes from the queue."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from roost_core.cli.app import build
from roost_core.cli.session import Session
from roost_core.models import State
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue with some work."""
    found = Bench()
    found.enqueue(work_id="w-12", title="Refund", labels={"team": "search"})
    found.enqueue(work_id="w-13", labels={"team": "ops", "env": "prod"})
    found.enqueue(work_id="x")
    return found


def completed(bench, *words, begin=""):
    """Return what a shell is offered behind these words, for a word that begins so."""
    context = {"obj": Session(plugins=bench.plugins)}
    shell = ShellComplete(build(), context, "roost", "_ROOST_COMPLETE")
    return [one.value for one in shell.get_completions(list(words), begin)]


@pytest.mark.parametrize(
    "words", [("status",), ("watch",), ("workspace-path",), ("events", "--work"), ("cancel",)]
)
def test_ids(bench, words):
    """The newest first; those that begin so; none that cannot be one."""
    assert ["x", "w-13", "w-12"] == completed(bench, *words)
    assert ["w-13", "w-12"] == completed(bench, *words, begin="w")
    assert [] == completed(bench, *words, begin="w/")


def test_engines_and_labels(bench):
    """Engines that are installed or have work; labels that work has."""
    assert ["echo"] == completed(bench, "enqueue", "--engine")
    assert ["echo"] == completed(bench, "list", "--engine", begin="e")
    labels = ["env=prod", "team=ops", "team=search"]
    assert labels == completed(bench, "enqueue", "--label")
    assert labels[1:] == completed(bench, "enqueue", "--label", begin="team=")


@pytest.mark.parametrize("command", ["list", "count"])
def test_words_of_a_query(bench, command):
    """States, engines and labels, also behind what stands there already."""
    assert [f"state:{one}" for one in State] == completed(bench, command, begin="state:")
    assert ["state:failed"] == completed(bench, command, "x", begin="state:f")
    assert ["engine:echo"] == completed(bench, command, "-state:done", begin="e")
    assert ["label:team=ops", "label:team=search"] == completed(bench, command, begin="label:t")


def test_words_that_a_shell_has_split(bench):
    """Bash splits at colons and equals signs: only the rest is wanted."""
    assert ["failed"] == completed(bench, "list", "state", ":", begin="f")
    assert [":done"] == [one for one in completed(bench, "list", "state", begin=":") if "do" in one]
    assert ["search"] == completed(bench, "list", "label", ":", "team", "=", begin="s")


def test_plugins(bench):
    """Those that are installed, to load or to block; a path is left to the shell."""
    assert ["echo", "memory"] == completed(bench, "list", "--plugin")
    assert ["no:echo"] == completed(bench, "--plugin", begin="no:e")
    context = {"obj": Session(plugins=bench.plugins)}
    shell = ShellComplete(build(), context, "roost", "_ROOST_COMPLETE")
    (one,) = shell.get_completions(["list", "--plugin"], "./my")
    assert ("file", "./my") == (one.type, one.value)


def test_states(bench):
    """An option with choices offers them."""
    assert ["failed"] == completed(bench, "list", "--state", begin="f")


def test_a_queue_that_cannot_be_asked(bench, monkeypatch):
    """It silently completes to nothing; what is installed is known anyway."""
    monkeypatch.setattr(bench.server, "nothing_here", lambda: "nothing here")
    assert [] == completed(bench, "status")
    assert ["echo"] == completed(bench, "list", "--engine")
