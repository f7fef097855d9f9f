"""``roost dev`` with real processes: code that changes, is broken, and is mended."""

from __future__ import annotations

import json

import pytest

from tests.integration.cli_bench import Shell, until
from tests.integration.dev_bench import ENGINE, developing, save


@pytest.fixture
def agent(shell: Shell):
    """Write the engine; return its file."""
    path = shell.folder / "agent.py"
    path.write_text(ENGINE)
    return path


WORDS = ("agent.py", "--remote", "--no-console")


def enqueue(shell: Shell, **more) -> str:
    """Give it work."""
    return shell.enqueue("agent", {"folder": str(shell.folder), **more})


def done(shell: Shell, work_id: str) -> dict:
    """Wait until work is done; return what it has brought."""
    shell.run("watch", work_id)
    found = json.loads(shell.ok("status", work_id))
    assert ("done", 0) == (found["meta"]["state"], found["meta"]["attempts"])
    return found["snapshot"]["data"]


def test_a_save_reloads_again_and_again(shell, agent):
    """Each time the next work meets the new code; also two saves of one size within a second."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        assert "one" == done(shell, enqueue(shell))["mark"]
        for number, mark in enumerate(("two", "six", "ten"), 1):
            save(agent, ENGINE.replace('"one"', f'"{mark}"'))
            dev.wait_for("reloaded", number)
            assert mark == done(shell, enqueue(shell))["mark"]
        assert 0 == dev.end()


def test_steps_in_flight_end_first(shell, agent):
    """A step that runs when the file changes ends with the code that it began with."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        old = enqueue(shell, waits=True)
        until((shell.folder / "began-one").exists, "the step")
        save(agent, ENGINE.replace('"one"', '"two"'))
        until(lambda: any("waiting for the steps" in line for line in dev.raw), "the drain")
        new = enqueue(shell)
        (shell.folder / "go").touch()
        assert {"mark": "one", "attempt": 1} == done(shell, old)
        assert {"mark": "two", "attempt": 1} == done(shell, new)
        assert any(f"waiting for the steps of {old}" in line for line in dev.raw)
        assert 0 == dev.end()


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (ENGINE.replace("step(snapshot, item, context):", "step("), "SyntaxError"),
        (ENGINE + "import nothing_of_that_name\n", "ModuleNotFoundError"),
        (ENGINE.replace("def step(snapshot", "def step(snapshoot"), "unknown argument snapshoot"),
        (ENGINE.replace("@hookimpl\n", ""), "mark its step"),
        (ENGINE + "import os\nos._exit(7)\n", "exit code 7"),
        ("", "it implements no hook"),
    ],
    ids=["syntax", "import", "hook", "mark", "exit", "empty"],
)
def test_a_broken_edit_costs_nothing(shell, agent, broken, what):
    """It is shown with its line, work continues with the old code, and the next save mends it."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        worker = dev.worker()
        save(agent, broken)
        action = "died" if "exit code" in what else "broken"
        said = dev.wait_for(action)
        assert what in said["message"]
        if what not in ("mark its step", "it implements no hook", "exit code 7"):
            assert "agent.py:" in said["message"]
        assert {"mark": "one", "attempt": 1} == done(shell, enqueue(shell))
        assert [worker] == dev.workers()
        save(agent, ENGINE.replace('"one"', '"two"'))
        dev.wait_for("reloaded")
        assert {"mark": "two", "attempt": 1} == done(shell, enqueue(shell))
        assert 0 == dev.end()


def test_broken_from_the_start(shell, agent):
    """It waits for the save that mends it; Ctrl-C ends it anyway."""
    agent.write_text("def step(\n")
    with developing(shell, *WORDS) as dev:
        assert "no worker runs" in dev.wait_for("broken")["more"]
        work_id = enqueue(shell)
        save(agent, ENGINE)
        dev.wait_for("running")
        assert {"mark": "one", "attempt": 1} == done(shell, work_id)
    agent.write_text("def step(\n")
    with developing(shell, *WORDS) as dev:
        dev.wait_for("broken")
        assert 0 == dev.end()


def test_a_missing_module_comes(shell):
    """The package's new file mends what its absence broke."""
    package = shell.folder / "agents_of_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "engine.py").write_text(f"{ENGINE}\nfrom agents_of_test.tools import add\n")
    with developing(shell, "agents_of_test.engine", *WORDS[1:]) as dev:
        said = dev.wait_for("broken")["message"]
        assert "agents_of_test/engine.py:17: ModuleNotFoundError" in said
        (package / "tools.py").write_text("add = 1\n")
        dev.wait_for("running")
        (package / "tools.py").write_text("add = 2  # imported, so it counts\n")
        dev.wait_for("reloaded")
        assert 0 == dev.end()


def test_a_prompt_that_is_read_at_import_counts(shell, agent):
    """And a file that a step writes does not: there is no loop of reloads."""
    prompt = shell.folder / "prompt.md"
    prompt.write_text("one")
    agent.write_text(
        ENGINE.replace('MARK = "one"', f"MARK = Path({str(prompt)!r}).read_text()").replace(
            "    return", '    (folder / "state.json").write_text("{}")\n    return'
        )
    )
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        assert "one" == done(shell, enqueue(shell))["mark"]
        assert (shell.folder / "state.json").exists()
        prompt.write_text("two")
        dev.wait_for("reloaded")
        assert "two" == done(shell, enqueue(shell))["mark"]
        assert (1, 1) == (dev.count("changed"), dev.count("reloaded"))
        assert 0 == dev.end()


def test_an_engine_that_is_renamed(shell, agent):
    """Its work waits, and that is said."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        work_id = shell.enqueue("agent", {"folder": str(shell.folder)}, "--delay-seconds", "1h")
        save(agent, ENGINE.replace('engine_id = "agent"', 'engine_id = "renamed"'))
        said = dev.wait_for("gone")["message"]
        assert "the engine agent is gone; 1 of its work items would wait" in said
        assert "sleeping" == shell.meta(work_id)["state"]
        assert 0 == dev.end()


def test_several_files(shell, agent):
    """Both engines run, and a change to either counts."""
    other = shell.folder / "other.py"
    other.write_text(ENGINE.replace('engine_id = "agent"', 'engine_id = "other"'))
    with developing(shell, "agent.py", *WORDS[1:], "--plugin", "./other.py") as dev:
        said = dev.wait_for("running")["message"]
        assert "agent, other" in said
        save(other, other.read_text().replace('"one"', '"two"'))
        dev.wait_for("reloaded")
        work_id = shell.enqueue("other", {"folder": str(shell.folder)})
        assert "two" == done(shell, work_id)["mark"]
        assert 0 == dev.end()


def test_loading_that_hangs(shell, agent):
    """The line is said, the code before continues, and the next save does not wait for it."""
    with developing(shell, *WORDS) as dev:
        dev.wait_for("running")
        save(agent, ENGINE + "import time\ntime.sleep(600)\n")
        assert "agent.py:" in dev.wait_for("loading")["message"]
        assert "one" == done(shell, enqueue(shell))["mark"]
        save(agent, ENGINE.replace('"one"', '"two"'))
        dev.wait_for("reloaded")
        assert "two" == done(shell, enqueue(shell))["mark"]
        assert 0 == dev.end()
