"""The pages' examples of a plugin's setting and command do what the pages say."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from roost_core.settings import Settings, load
from roost_core.testing import run_to_end
from tests.docs.pages import blocks, page, sections
from tests.docs.shell import LIMIT, environment, wait_for_the_server


def example(name: str, heading: str) -> str:
    """Return the first Python example of a section."""
    return next(
        one.text for one in blocks(sections(page(name))[heading]) if one.language == "python"
    )


def roost(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line."""
    return subprocess.run(
        ["roost", *words],
        cwd=folder,
        env=environment(folder) | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.fixture
def mail(folder: Path) -> ModuleType:
    """Give the module of the example with settings."""
    path = folder / "mail.py"
    path.write_text(example("settings", "Settings of a plugin"))
    spec = importlib.util.spec_from_file_location("mail_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_setting(folder, mail, caplog):
    """It has its option on the worker, its variable and its key; help, doctor and logs show it."""
    plugin = ("--plugin", "./mail.py")
    worker = roost(folder, "worker", *plugin, "--help").stdout
    assert "--mail-server URL" in worker
    assert "[ROOST_MAIL_SERVER]" in worker
    assert "--mail-patience" not in worker
    assert "--mail-server" not in roost(folder, "list", *plugin, "--help").stdout

    variables = {"ROOST_MAIL_SERVER": "smtp://me:pw1234@h", "ROOST_MAIL_PASSWORD": "word1234"}
    doctor = roost(folder, "doctor", *plugin, **variables).stdout
    assert "mail_server smtp://me:***@h" in doctor
    assert "mail_password ***" in doctor
    wrong = roost(folder, "engines", *plugin, ROOST_MAIL_PATIENCE="-1")
    assert (2, 1) == (wrong.returncode, wrong.stderr.count("\n"))
    assert "ROOST_MAIL_PATIENCE: expected 0 to" in wrong.stderr

    file = folder / "roost.toml"
    file.write_text("mail_patience = 5\n")
    assert 5.0 == load(environ={}, config=file).of(mail.MailSettings).patience
    with caplog.at_level("INFO"):
        run = run_to_end(mail, {}, settings=Settings(extra={"mail_server": "smtp://localhost"}))
    assert "done" == run.status.meta.state
    assert "sends through smtp://localhost, waits 10.0 s" in caplog.text


def test_a_command(folder):
    """It takes the options of every command, and prints what there is."""
    (folder / "states.py").write_text(example("commands", "Commands of a plugin"))
    plugin = ("--plugin", "./states.py")
    enqueued = roost(folder, "enqueue", "--engine", "none", "--any-engine", "--queue", "mine")
    assert 0 == enqueued.returncode
    found = roost(folder, "states", *plugin, "--queue", "mine")
    wait_for_the_server(folder)
    assert (0, "") == (found.returncode, found.stderr)
    assert "queued\t1" in found.stdout.splitlines()
    text = roost(folder, "states", *plugin, "--help").stdout
    assert "roost states --plugin ./states.py" in text
    assert "--redis-url URL" in text
