"""What is read of a command line before it is parsed: no value is taken for an option."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from roost_core import hookimpl
from roost_core.cli import ahead
from roost_core.cli.app import build
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from tests.unit.cli.cli_harness import Bench

#: What some options of a group and of its command take.
OWN = {"--home": 1, "--version": 0, "--plugin": 1, "-h": 0}
COMMANDS = {"enqueue": {"--title": 1, "--pair": 2, "--wait": 0, "-v": 0, "-n": 1, "--plugin": 1}}


def read(*args: str) -> Session:
    """Return what a session has noted of a command line, whatever becomes of the command."""
    session = Session(plugins=Bench().plugins)
    CliRunner().invoke(build(), args, obj=session, prog_name="roost")
    return session


class Mine:
    """A plugin with a command that has a flag, and an option for a text."""

    @hookimpl
    def register_commands(self, cli):
        """Add it."""

        @cli.command("mine", cls=RoostCommand)
        @click.option("--fancy", is_flag=True)
        @click.option("--text")
        @roost_options()
        @click.pass_obj
        def mine(session, fancy, text):
            click.echo(f"{session.explicit} {fancy} {text}")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--home", "h", "enqueue", "--title=t"], [("--home", "h"), ("--title", "t")]),
        (["enqueue", "--title", "--plugin=x"], [("--title", "--plugin=x")]),
        (["enqueue", "--title", "--plugin", "x"], [("--title", "--plugin")]),
        (["--home", "--plugin=x", "enqueue"], [("--home", "--plugin=x")]),
        (["enqueue", "--wait", "--plugin", "x"], [("--wait", None), ("--plugin", "x")]),
        (["enqueue", "--pair", "a", "--plugin=x"], [("--pair", "a")]),
        (["enqueue", "--", "--plugin=x"], []),
        (["--", "enqueue", "--plugin=x"], [("--plugin", "x")]),
        (["enqueue", "word", "-", "--plugin=x"], [("--plugin", "x")]),
        (["enqueue", "-vn", "--plugin=x"], [("-v", None), ("-n", "--plugin=x")]),
        (["enqueue", "-nv", "--plugin=x"], [("-n", "v"), ("--plugin", "x")]),
        (["enqueue", "--unknown", "--plugin=x"], [("--unknown", "--plugin=x")]),
        (["enqueue", "--unknown=u", "--plugin=x"], [("--unknown", "u"), ("--plugin", "x")]),
        (["other", "-o", "--plugin=x"], [("-o", "--plugin=x")]),
        (["enqueue", "--plugin"], [("--plugin", None)]),
    ],
)
def test_options_are_read_as_click_reads_them(args, expected):
    """A value is no option, whatever it looks like; nor is what follows an unknown option."""
    found = list(ahead.options(args, OWN, lambda name: COMMANDS.get(name, {})))
    assert expected == found


@pytest.mark.parametrize(
    "args",
    [
        ["enqueue", "--engine", "echo", "--title", "--plugin=./evil.py"],
        ["enqueue", "--engine", "echo", "--title", "--plugin", "./evil.py"],
        ["enqueue", "--engine", "echo", "--idempotency-key", "--config=./evil.toml"],
        ["enqueue", "--payload", "--config", "./evil.toml"],
        ["status", "--", "--plugin=./evil.py"],
        ["events", "--work", "--plugin=./evil.py"],
        ["mine", "--text", "--plugin=./evil.py"],
    ],
)
def test_a_text_from_anywhere_names_no_plugin(args):
    """It may be a title that somebody else has written."""
    session = read(*args)
    assert ([], None) == (session.explicit, session.config)


def test_a_plugin_that_a_title_names_does_not_run(tmp_path: Path) -> None:
    """Help loads all plugins that are named: a title names none."""
    file, ran = tmp_path / "evil.py", tmp_path / "ran"
    file.write_text(f"open({str(ran)!r}, 'w').close()\n")
    words = ["enqueue", "--title", f"--plugin={file}", "--help"]
    done = CliRunner().invoke(build(), words, prog_name="roost")
    assert (0, False) == (done.exit_code, ran.exists())
    CliRunner().invoke(build(), ["enqueue", f"--plugin={file}", "--help"], prog_name="roost")
    assert ran.exists()


def test_plugins_are_named_on_either_side_of_the_command() -> None:
    """Before it and after it, in both spellings, in order; the last file of settings counts."""
    session = read("--plugin", "no:a", "list", "--json", "--plugin=no:b", "--limit", "1")
    assert ["no:a", "no:b"] == session.explicit
    session = read("--config", "/nowhere/a", "list", "--config=/nowhere/b")
    assert Path("/nowhere/b") == session.config


def test_a_plugin_named_too_late_is_refused() -> None:
    """After a flag of a plugin's command it might be a value, and is not silently left out."""
    bench = Bench()
    bench.plugins.register(Mine(), "mine")
    assert "['no:a'] True None\n" == bench.ok("--plugin", "no:a", "mine", "--fancy")
    assert "['no:a'] True x\n" == bench.ok("mine", "--plugin=no:a", "--fancy", "--text", "x")
    assert "[] False --plugin=no:a\n" == bench.ok("mine", "--text", "--plugin=no:a")
    for name, value in (("--plugin", "no:a"), ("--config", "/nowhere/at.all")):
        done = bench.invoke("mine", "--fancy", name, value)
        assert (2, "") == (done.exit_code, done.stdout)
        assert f"{name} '{value}': give it before the command's name" in done.stderr
