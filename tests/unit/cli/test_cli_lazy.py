"""Commands that are imported when they are typed, and the core's, which all are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from roost_core import hookimpl
from roost_core.cli.app import CORE, build
from roost_core.cli.lazy import LazyCommand
from roost_core.errors import PluginError, PluginLoadError
from roost_core.plugins.registry import Plugins
from tests.unit.cli.cli_harness import Bench, command_names

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]

MINE = """
import click
from roost_core.cli.options import RoostCommand, roost_options

@click.command("mine", cls=RoostCommand, example=("roost mine x",))
@click.argument("word")
@roost_options("lease_ttl")
@click.pass_obj
def command(session, word):
    "Say a word."
    click.echo(f"{word} {session.settings.queue} {session.settings.lease_ttl}")
"""


def adding(*commands: click.Command) -> object:
    """Return a plugin that adds commands."""

    class Adding:
        @hookimpl
        def register_commands(self, cli):
            for command in commands:
                cli.add_command(command)

    return Adding()


def test_it_runs_what_it_stands_for(write_module: Write) -> None:
    """Arguments, options before and after the name, help and completion are the command's own."""
    write_module("acme_mine.py", MINE)
    bench = Bench()
    bench.plugins.register(adding(LazyCommand("mine", "acme_mine:command", "Say it.")), "mine")
    assert "hello q 2.0\n" == bench.ok("--queue", "q", "mine", "hello", "--lease-ttl", "2")
    assert "  mine  " in bench.ok("--help")
    assert "Say it." in bench.ok("--help")
    out = bench.ok("mine", "--help")
    assert ("Say a word." in out, "roost mine x" in out, "--queue NAME" in out) == (True,) * 3


def test_it_imports_nothing_before(write_module: Write) -> None:
    """The list of commands and another command's run leave it alone."""
    write_module("acme_mine.py", "raise RuntimeError('imported')\n")
    bench = Bench()
    bench.plugins.register(adding(LazyCommand("mine", "acme_mine:command", "Say it.")), "mine")
    assert "Say it." in bench.ok("--help")
    bench.ok("engines")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('broken')\n", r"RuntimeError: broken \(.*acme_mine.py:1\)$"),
        ("", "AttributeError: .*no attribute 'command'$"),
        ("import no_such_module_x\n", "ModuleNotFoundError: .*no_such_module_x"),
        ("raise SystemExit(0)\n", r"SystemExit: 0 \(.*acme_mine.py:1\)$"),
        ("raise KeyboardInterrupt\n", r"KeyboardInterrupt \(.*acme_mine.py:1\)$"),
        ("def command(): pass\n", "acme_mine:command is function, not a click.Command$"),
    ],
)
def test_one_that_cannot_be_imported(write_module: Write, text: str, message: str) -> None:
    """One line with the command's name, the cause and its place."""
    write_module("acme_mine.py", text)
    command = LazyCommand("mine", "acme_mine:command", "Say it.")
    with pytest.raises(PluginLoadError, match=rf"^cannot load the command mine: .*{message}"):
        command.loaded()
    bench = Bench()
    bench.plugins.register(adding(command), "mine")
    done = bench.invoke("mine", "hello")
    assert (2, "", 1) == (done.exit_code, done.stdout, done.stderr.count("\n"))
    assert "roost: cannot load the command mine" in done.stderr


def test_what_it_prints_at_import_is_not_data(
    write_module: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with plugins: standard output is what the command itself prints."""
    write_module("acme_loud.py", "print('hello')\n" + MINE)
    LazyCommand("mine", "acme_loud:command", "Say it.").loaded()
    assert ("", "hello\n") == capsys.readouterr()


def test_a_broken_one_does_not_disturb_completion(write_module: Write) -> None:
    """A shell gets no traceback while somebody types its arguments, and others still complete."""
    write_module("acme_mine.py", "raise RuntimeError('broken')\n")
    group = click.Group("roost")
    group.add_command(LazyCommand("mine", "acme_mine:command", "Say it."))
    group.add_command(click.Command("mint"))
    for words, expected in (("roost mi", "mine"), ("roost mine -", "--help")):
        environ = {
            "_ROOST_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        done = CliRunner().invoke(group, env=environ, prog_name="roost")
        assert (None, True) == (done.exception, expected in done.stdout)


def test_it_works_in_any_group(write_module: Write) -> None:
    """A plugin's group of its own has lazy commands as well."""
    write_module(
        "acme_sub.py", "import click\n@click.command()\ndef command():\n  click.echo('x')\n"
    )
    group = click.Group("group", commands=[LazyCommand("sub", "acme_sub:command", "Say x.")])
    assert "x\n" == CliRunner().invoke(group, ["sub"]).stdout
    assert "Say x." in CliRunner().invoke(group, ["--help"]).stdout


def test_the_cores_commands_come_through_the_hook() -> None:
    """Plugins like any other have them, and each stands for a command of its name."""
    plugins = Plugins.empty()
    for name, plugin in CORE.items():
        plugins.register(plugin, name)
    assert {("register_commands",)} == {report.hooks for report in plugins.reports()}
    group = click.Group("roost")
    plugins.register_commands(group)
    lazies = list(group.commands.values())
    assert [one.name for one in lazies] == [one.loaded().name for one in lazies]
    own = [name for name in command_names() if name in group.commands]
    assert own == command_names()[: len(own)]
    shorts = {one.name for one in lazies if one.is_short}
    verbs = {"cancel", "pause", "resume", "retry", "bury"}
    names = "status why list count events watch workers artifacts overview history diff"
    looks = set(names.split())
    assert looks | verbs == shorts


def test_a_later_plugin_cannot_replace_a_command() -> None:
    """Not with a lazy one, either: the error names the plugin, and the command stays."""
    plugins = Plugins.empty()
    plugins.register(adding(LazyCommand("status", "acme_mine:command", "Steal.")), "thief")
    group = build()
    group.get_command(click.Context(group), "status")
    with pytest.raises(PluginError, match=r"thief .*the command status already exists"):
        plugins.register_commands(group)
    assert "roost_core.cli.work.status:command" == group.commands["status"].target


def test_the_demo_comes_from_the_watchlist() -> None:
    """Where its plugin is blocked there is no demo."""
    run = CliRunner().invoke
    assert 0 == run(build(), ["demo", "--help"], prog_name="roost").exit_code
    done = run(build(), ["--plugin", "no:watchlist", "demo"], prog_name="roost")
    assert (2, True) == (done.exit_code, "No such command 'demo'" in done.stderr)


def test_registering_imports_no_framework() -> None:
    """All shipped plugins register commands and settings without what only some commands need."""
    program = """
import sys
import click
from roost_core.cli.app import build
from roost_core.cli.session import Session
group = build()
context = click.Context(group, obj=Session())
assert "demo" in group.list_commands(context)
assert context.obj.all_plugins().declarations()
heavy = ("flask", "aiohttp", "rich", "saq", "redis", "roost_core.worker")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ("[]\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("bears", [True, False])
def test_a_command_that_bears_broken_plugins(
    write_module: Write, tmp_path, monkeypatch, bears: bool
) -> None:
    """A named plugin that is broken stops any other command."""
    write_module("acme_mine.py", MINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def step(\n")
    own = f"""
from roost_core import hookimpl
from roost_core.cli.lazy import LazyCommand

@hookimpl
def register_commands(cli):
    cli.add_command(LazyCommand("mine", "acme_mine:command", "Say it.", bears_broken={bears}))
"""
    (tmp_path / "adds.py").write_text(own)
    words = ["--plugin", "./broken.py", "--plugin", "./adds.py", "mine", "hello"]
    result = CliRunner().invoke(build(), words, prog_name="roost")
    assert (0 if bears else 2) == result.exit_code
    assert bears == ("hello" in result.stdout)
