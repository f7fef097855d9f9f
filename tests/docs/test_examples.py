"""The examples: listed, made of public names, and run by the commands that they give."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from roost_core import RetryLater, Settings
from roost_core.testing import run_to_end
from tests.docs.pages import ROOT, blocks, page
from tests.docs.public import names_of_roost, public_names
from tests.docs.shell import LIMIT, environment, metadata_of, wait_for_the_server

EXAMPLES = ROOT / "examples"
PACKAGE = EXAMPLES / "roost-wordcount"
FILES = sorted(EXAMPLES.glob("*.py"))


def commands(name: str) -> str:
    """Return the commands at the end of an example's docstring."""
    docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8")))
    assert docstring is not None
    _, _, script = docstring.partition("::\n\n")
    return "\n".join(line.removeprefix("    ") for line in script.splitlines())


def run_example(name: str, folder: Path) -> str:
    """Run an example's commands in a copy of the folder; return what they print."""
    for path in FILES:
        shutil.copy(path, folder)
    return run_script(commands(name), folder)


def run_script(script: str, folder: Path, **more: str) -> str:
    """Run commands as a person would type them; a failure or a warning fails the test."""
    around = environment(folder) | more
    try:
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=folder,
            env=around,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    finally:
        if (folder / ".roost").exists():
            wait_for_the_server(folder)
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def rows_of(listing: str) -> list[list[str]]:
    """Return the cells of a table that a command printed into a pipe."""
    return [line.split("\t") for line in listing.splitlines() if "\t" in line]


@functools.cache
def module(name: str):
    """Import an example, as ``--plugin`` would."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


# -- what there is -------------------------------------------------------------------------------


def examples() -> set[str]:
    """Return each example: a file, or a folder with a page of its own."""
    folders = (one.name for one in EXAMPLES.iterdir() if (one / "README.md").is_file())
    return {path.name for path in FILES} | set(folders)


def test_each_example_is_listed():
    """The folder's README and the documentation's page have each, and no other."""
    listed = re.findall(
        r"^\| \[([\w.-]+)\]", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(examples()) == sorted(listed)
    included = re.findall(r"\.\./examples/([\w.-]+)", page("examples"))
    assert examples() == set(included)


def test_each_example_is_run():
    """A test in this file runs each by its own commands."""
    tests = Path(__file__).read_text("utf-8")
    run = {f"{name}.py" for name in re.findall(r'run_example\("(\w+)"', tests)}
    assert examples() == run | {PACKAGE.name}


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda one: one.stem)
def test_examples_use_public_names_only(path):
    """What people copy must not break when a module moves."""
    assert set() == names_of_roost(path) - public_names()


# -- each, as its docstring says -------------------------------------------------------------------


def test_countdown(folder):
    """Three steps after the first snapshot, and the end."""
    found = json.loads(run_example("countdown", folder))
    assert ("done", 4) == (found["meta"]["state"], found["meta"]["version"])


def test_web(folder):
    """Work is enqueued and cancelled over the web, and an id that nobody has is one line."""
    enqueued, cancelled, error = run_example("web", folder).splitlines()
    assert ("queued", "cancelled") == (enqueued, cancelled)
    assert error.startswith("no work item 'w-nobody'")


def test_agent(folder):
    """The task is done and its mail sent once; nonsense is a dead letter at once."""
    states = {row[1]: row for row in rows_of(run_example("agent", folder))}
    assert {"done", "failed"} == states.keys() & {"done", "failed"}
    (mail,) = (folder / "outbox").glob("*.json")
    assert "Prime: 97, 7919." == json.loads(mail.read_text())["text"]


def test_agent_is_not_blamed_for_the_rate_limit(folder, monkeypatch):
    """It sleeps as long as the model says, no attempt is counted, and the transcript is kept."""
    monkeypatch.chdir(folder)
    run = run_to_end(module("agent"), {"task": "Is 3 or 4 prime?"})
    assert "done" == run.status.meta.state
    assert 0.2 == pytest.approx(run.elapsed_seconds)
    assert "attempt_failed" not in {event.kind for event in run.events}
    snapshot = run.status.snapshot
    (artifact,) = snapshot.artifacts
    assert snapshot.data["transcript"] == json.loads(run.store.get(artifact.artifact_id))
    assert "Prime: 3." == snapshot.data["answer"]


def test_agent_refuses_nonsense():
    """Neither a payload without a task nor a tool that does not exist is tried again."""
    agent = module("agent")
    assert [
        'the payload needs a task: {"task": "..."}',
        "the model asked for 'improvise', and there is no such tool",
    ] == [run_to_end(agent, {key: "Sing!"}).status.meta.error.message for key in ("do", "task")]


@attrs.define
class Given:
    """What the agent's tools ask of a step's context."""

    stopping: bool = False
    cancelled: bool = False
    idempotency_key: str = "default/default/w-1/4"
    beats: list = attrs.field(factory=list)

    def heartbeat(self, progress, message):
        """Note how far it is."""
        self.beats.append((progress, message))


@pytest.mark.parametrize("why", ["stopping", "cancelled"])
def test_agent_gives_way(why):
    """A long tool ends early if the worker stops or the run is void, and reports its progress."""
    agent = module("agent")
    given = Given()
    assert agent.is_prime(given, 7)
    assert (2 / 7, "dividing 7") == given.beats[0]
    setattr(given, why, True)
    with pytest.raises(agent.GaveWay):
        agent.is_prime(given, 7)


def test_agent_sends_a_mail_once(folder, monkeypatch):
    """A step that runs twice uses the same key, and the mail system drops what it has seen."""
    monkeypatch.chdir(folder)
    for text in ("first", "again"):
        module("agent").send_mail(Given(), text)
    (mail,) = (folder / "outbox").iterdir()
    assert "first" == json.loads(mail.read_text())["text"]


def test_one_at_a_time(folder):
    """Visits to one site never overlap, those to two sites do."""
    run_example("one_at_a_time", folder)
    lines = [line.split() for line in (folder / "visits.log").read_text().splitlines()]
    assert 10 == len(lines)
    for site in ("a.example", "b.example"):
        words = [word for name, _, word in lines if name == site]
        assert ["begins", "ends"] * (len(words) // 2) == words
    assert "begins begins" in " ".join(word for *_, word in lines)


def test_dead_letters(folder):
    """The letter is a line of the file."""
    found = json.loads(run_example("dead_letters", folder).splitlines()[-1])
    assert "countdown" == found["engine"]
    assert "TypeError" in found["error"] or "str" in found["error"]


def test_dead_letters_reach_a_function():
    """A program hands the observer a function of its own."""
    told = []
    observer = module("dead_letters").DeadLetters(told.append)
    run_to_end(module("countdown"), {}, plugins=[observer])
    assert ["countdown"] == [one["engine"] for one in told]


def test_rate_limit(folder):
    """Ten steps at ten a second get through."""
    run_example("rate_limit", folder)


def test_rate_limit_has_a_setting():
    """Each step goes through the limit that the setting gives."""
    settings = Settings(extra={"rate_per_second": 50})
    plugin = module("rate_limit")
    limit = plugin.limit_of(settings.of(plugin.RateSettings))
    taken = []
    limit.take = lambda: taken.append(True) or 0.0
    run = run_to_end(module("countdown"), {"from": 2}, plugins=[plugin], settings=settings)
    assert ("done", 3) == (run.status.meta.state, run.status.meta.version)
    assert [True] * 3 == taken


def test_rate_limit_spaces_steps():
    """A short wait is spent in the lane, a long one outside it, and no place is lost."""
    limit = module("rate_limit").RateLimit(4, patience=0.5, clock=lambda: 100.0)
    assert [0.0, 0.25, 0.5] == [limit.take() for _ in range(3)]
    with pytest.raises(RetryLater) as refused:
        limit.take()
    assert 0.75 == refused.value.seconds
    with pytest.raises(RetryLater):
        limit.take()


def test_summary_command(folder):
    """The command counts, and has the options of every command."""
    printed = run_example("summary_command", folder)
    assert ["countdown", "done", "2"] in rows_of(printed)
    assert "--redis-url" in printed


def test_program(folder):
    """Running it again does nothing twice, and prints the same."""
    lines = run_example("program", folder).splitlines()
    assert 6 == len(lines)
    assert lines[:3] == lines[3:]
    assert [["fox", "done", "9"], ["rose", "done", "8"], ["roost", "done", "11"]] == [
        line.split()[:3] for line in lines[:3]
    ]


# -- the package ---------------------------------------------------------------------------------


@pytest.fixture
def site(folder) -> Path:
    """Give a folder in which the package is installed: by pip in CI, else from its sources."""
    found = folder / "site"
    if os.environ.get("CI"):  # pip fetches the build tools
        source = shutil.copytree(PACKAGE, folder / "source")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--target", found, source], check=True)
    else:
        shutil.copytree(PACKAGE / "src", found)
        metadata_of(PACKAGE / "pyproject.toml", found)
    return found


def test_package(folder, site):
    """Installed, both its engines are found, and its page's commands run."""
    (script,) = [one.text for one in blocks((PACKAGE / "README.md").read_text("utf-8"))]
    install, *rest = script.splitlines()
    assert "pip install ." == install
    printed = run_script("\n".join(rest), folder, PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    table = rows_of(printed)
    assert {"wordcount", "linecount"} <= {row[0] for row in table}
    assert [["done", "linecount"], ["done", "wordcount"]] == sorted(
        row[1:3] for row in table if row[1] == "done"
    )


def test_package_tests(folder, site):
    """Its own tests pass, with nothing but what is installed."""
    shutil.copytree(PACKAGE / "tests", folder / "tests")
    script = f'"{sys.executable}" -m pytest -q -p no:cacheprovider tests'
    assert "3 passed" in run_script(script, folder, PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
