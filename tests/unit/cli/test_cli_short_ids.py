"""Ids that are typed in part: enough to read, never to change anything."""

from __future__ import annotations

import click
import pytest

from roost_core.cli import output
from roost_core.cli.app import build
from roost_core.cli.arguments import TargetType, WorkIdType
from tests.unit.cli.cli_harness import Bench

#: What changes something: work, or what is on the disk.
CHANGING = {"bury", "cancel", "drop", "pause", "replay", "resume", "retry", "workspace-path"}
#: What some commands need besides an id.
MORE = {"drop": ["--yes"], "replay": ["--from-version", "1"]}
GONE = "roost: no work item 'job-1' any more: `roost events --work job-1` tells what became of it\n"


@pytest.fixture
def bench():
    """Give a queue in memory with work whose ids begin alike."""
    found = Bench()
    for work_id in ("w-12a", "w-12b", "w-3", "job-10"):
        found.enqueue(work_id=work_id)
    return found


def takes_an_id(*, is_changing):
    """Return the commands that take the id of a work item that is there, as they are typed."""
    group = build()
    # A command keeps the names of its help option from the first context that it meets.
    context = click.Context(group, **group.context_settings)
    found = []
    for name in group.list_commands(context):
        for param in group.get_command(context, name).get_params(context):
            is_new = name == "enqueue" or "new_id" == param.name
            if isinstance(param.type, WorkIdType | TargetType) and not is_new:
                option = [param.opts[0]] if isinstance(param, click.Option) else []
                found.append((name, *option))
    return [words for words in found if (words[0] in CHANGING) == is_changing]


def standing(bench):
    """Return all work as it stands."""
    return bench.json("list", "--json")


def gone(bench, work_id):
    """Let a work item come and go."""
    bench.enqueue(work_id=work_id)
    bench.ok("cancel", work_id)
    bench.ok("drop", work_id, "--yes")


# -- to read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "events --work", "watch"])
def test_short_ids(bench, command):
    """The beginning is enough if only one begins so; an exact id wins."""
    bench.enqueue(work_id="w-12")
    words = command.split()
    if command != "watch":  # which waits for the end
        for typed, full in (("w-3", "w-3"), ("w-12", "w-12"), ("w-12b", "w-12b")):
            assert full in bench.ok(*words, typed)
    result = bench.invoke(*words, "w-1")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "several work items begin with 'w-1': w-12, w-12a, w-12b" in result.stderr
    result = bench.invoke(*words, "nobody")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "no work item 'nobody'" in result.stderr


@pytest.mark.parametrize("words", takes_an_id(is_changing=False), ids=" ".join)
def test_each_command_that_reads_takes_short_ids(bench, words):
    """None is left out: each says which work items an id may mean that several begin with."""
    result = bench.invoke(*words, "w-1")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "several work items begin with 'w-1': w-12a, w-12b" in result.stderr


@pytest.mark.parametrize("words", takes_an_id(is_changing=False), ids=" ".join)
def test_it_says_which_one_it_took(bench, words):
    """On standard error, so that what goes into a pipe stays the same."""
    bench.finish("w-12a")
    bench.ok("cancel", "w-12b")
    result = bench.invoke(*words, "w-12a")
    assert "stands for" not in result.stderr
    bench.ok("drop", "w-12b", "--yes")
    short = bench.invoke(*words, "w-12")
    assert "roost: w-12 stands for w-12a" == short.stderr.splitlines()[0]
    assert (result.exit_code, result.stdout) == (short.exit_code, short.stdout)


@pytest.mark.parametrize("is_on_terminal", [True, False])
def test_what_is_gone_is_not_taken_for_another(bench, monkeypatch, is_on_terminal):
    """Its events tell who dropped it, and they can still be read."""
    gone(bench, "job-1")
    monkeypatch.setattr(output, "on_terminal", lambda: is_on_terminal)
    for command in ("why", "history", "status", "diff", "artifacts", "watch"):
        result = bench.invoke(command, "job-1")
        assert (1, "", GONE) == (result.exit_code, result.stdout, result.stderr), command
    assert "dropped" in bench.ok("events", "--work", "job-1")


# -- to change ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", takes_an_id(is_changing=True), ids=" ".join)
def test_what_changes_work_takes_whole_ids(bench, words):
    """None is left out: nothing is done to the only one that begins so, which is named."""
    before = standing(bench)
    result = bench.invoke(*words, "job-1", *MORE.get(words[0], []))
    assert (1, "") == (result.exit_code, result.stdout)
    said = "no work item 'job-1': what changes work takes a whole id, and job-10 begins so\n"
    assert f"roost: {said}" == result.stderr
    result = bench.invoke(*words, "w-1", *MORE.get(words[0], []))
    assert "takes a whole id, and w-12a, w-12b begin so" in result.stderr
    assert before == standing(bench)


@pytest.mark.parametrize("words", takes_an_id(is_changing=True), ids=" ".join)
def test_a_command_that_is_repeated_is_harmless(bench, words):
    """After the work has gone, the same line does nothing to other work."""
    gone(bench, "job-1")
    before = standing(bench)
    result = bench.invoke(*words, "job-1", *MORE.get(words[0], []))
    assert (1, "", GONE) == (result.exit_code, result.stdout, result.stderr)
    assert before == standing(bench)


def test_several_at_once(bench):
    """Nor is any of several taken for another."""
    result = bench.invoke("cancel", "job-1", "w-3")
    assert (1, "w-3: cancelled\n") == (result.exit_code, result.stdout)
    assert "no work item 'job-1'" in result.stderr
    assert "queued" == bench.json("status", "job-10")["meta"]["state"]


def test_json_calls_it_missing(bench):
    """A program reads the same as of any other id that nothing has."""
    result = bench.invoke("cancel", "job-1", "--json")
    assert 1 == result.exit_code
    assert '"outcome": "missing"' in result.stdout
