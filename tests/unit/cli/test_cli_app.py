"""The group itself: help, options, errors, plugins' commands, and what is imported when."""

from __future__ import annotations

from typing import ClassVar

import attrs
import click
import pytest
from click.testing import CliRunner

import roost_core
from roost_core import settings
from roost_core.cli.app import build
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.errors import RoostError, WorkNotFound
from roost_core.markers import hookimpl
from roost_core.plugins.registry import Plugins
from roost_core.settings.declaring import option
from tests.unit.cli.cli_harness import Bench, command_names

COMMANDS = command_names()
#: Those that take ``--plugin`` alone.
NO_SETTINGS = ("demo", "new")
#: The settings that are options of every command.
PLACES = [
    row["name"]
    for row in settings.table(*Plugins.load(strict=True).declarations())
    if row["on"] == "every command"
]


@pytest.fixture
def bench():
    """Give a queue in memory with a command line."""
    return Bench()


def ok(*words):
    """Run a command line with what is installed, which has to succeed; return what it prints."""
    result = CliRunner().invoke(build(), words, prog_name="roost")
    assert (0, "") == (result.exit_code, result.stderr)
    return result.stdout


class Commands:
    """A plugin that adds commands."""

    def __init__(self, error=None):
        self.error = error

    @hookimpl
    def register_commands(self, cli):
        """Add ``mine``."""

        @cli.command("mine", cls=RoostCommand)
        @roost_options("lease_ttl")
        @click.pass_obj
        def mine(session):
            """Do what I want."""
            if self.error is not None:
                raise self.error
            click.echo(f"{session.settings.queue} {session.settings.lease_ttl}")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name):
    """--help explains, shows an example, and names the options that all commands have."""
    out = ok(name, "--help")

    assert "\nExample:\n  " in out
    assert "roost " in out.partition("Example:")[2]
    assert out.index("Example:") < out.index("Options:")
    assert "--plugin P" in out
    for setting in PLACES:
        # The demo has a home of its own, and a new package needs none.
        assert (name not in NO_SETTINGS) == (option(setting) in out)


@pytest.mark.parametrize("words", [[], *([name] for name in sorted(COMMANDS))], ids=" ".join)
def test_help_fits_a_narrow_terminal(words):
    """No line of a help text is wider than 80 columns, and none names click's own types."""
    out = ok(*words, "--help")

    assert [] == [line for line in out.splitlines() if len(line) > 80]
    assert "RANGE" not in out


def test_help_of_all_lists_every_command(bench):
    """The group's help names all commands in their order, those of plugins too."""
    bench.plugins.register(Commands(), "commands")
    out = bench.ok("--help")

    found = [line.split()[0] for line in out.partition("Commands:")[2].splitlines()[1:] if line]
    own = [name for name in COMMANDS if name not in {"demo", "dev", "ui"}]  # these are plugins'
    assert [*own, "mine"] == found[: len(own) + 1]
    assert "Do what I want." in out
    assert "_ROOST_COMPLETE" in out


def test_version(bench):
    """--version prints name and version on stdout."""
    assert f"roost {roost_core.__version__}\n" == bench.ok("--version")


def test_unknown_command_has_a_suggestion(bench):
    """A typo exits with 2 and names the command that was meant."""
    result = bench.invoke("statsu")

    assert (2, "") == (result.exit_code, result.stdout)
    assert "No such command 'statsu'. Did you mean status?" in result.stderr


def test_a_setting_is_not_confused_with_an_option(bench):
    """A plugin's setting may be called like what a command has its own option's value in."""

    @attrs.frozen(kw_only=True)
    class Declared:
        namespace: ClassVar[str] = "as"
        json: str = settings.setting(
            "", settings.text, "A text.", "T", on=settings.On.EVERY_COMMAND
        )

    class Declaring:
        @hookimpl
        def register_settings(self):
            return Declared

        @hookimpl
        def register_commands(self, cli):
            @cli.command("mine", cls=RoostCommand)
            @click.option("--json", "as_json", is_flag=True)
            @roost_options()
            @click.pass_obj
            def mine(session, as_json):
                click.echo(f"{as_json} {session.settings.of(Declared).json!r}")

    bench.plugins.register(Declaring(), "declaring")
    assert "True ''\n" == bench.ok("mine", "--json")
    assert "False 'x'\n" == bench.ok("mine", "--as-json", "x")
    assert "True 'x'\n" == bench.ok("--as-json=x", "mine", "--json")


def test_options_stand_on_either_side(bench):
    """The shared options may come before or after the command; the later one wins."""
    bench.plugins.register(Commands(), "commands")

    assert "a 15.0\n" == bench.ok("--queue", "a", "mine")
    assert "b 2.0\n" == bench.ok("--queue", "a", "mine", "--queue", "b", "--lease-ttl", "2")


def test_settings_have_one_order(bench, tmp_path, monkeypatch):
    """The command line wins over the environment, which wins over the file, then the default."""
    bench.plugins.register(Commands(), "commands")
    file = tmp_path / "roost.toml"
    file.write_text('queue = "file"\nlease_ttl = 4\n')
    words = ("mine", "--config", str(file))

    assert "file 4.0\n" == bench.ok(*words)
    monkeypatch.setenv("ROOST_QUEUE", "env")
    assert "env 4.0\n" == bench.ok(*words)
    assert "option 4.0\n" == bench.ok(*words, "--queue", "option")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["list", "--queue", "a b"], "roost: --queue: expected 1 to 64 letters"),
        (["list", "--config", "missing.toml"], "roost: cannot read the settings file missing.toml"),
        (["list", "--plugin", "./missing.py"], "there is no file"),
        (["list", "--plugin", "no_such_module_x"], "no_such_module_x"),
        (["list", "--plugin", "no:"], "no:"),
        (["worker", "--engines", "ech"], "the engine 'ech'; did you mean echo?"),
        (["worker", "--engines", ","], "names no engine"),
        (["--queue"], "requires an argument"),
    ],
)
def test_wrong_words_exit_with_2(words, text, tmp_path, monkeypatch):
    """What was mistyped is named in one line; nothing goes to stdout."""
    monkeypatch.chdir(tmp_path)
    bench = Bench()
    fresh = [one for one in words if one.startswith(("./", "no"))]
    session = Session() if fresh else Session(plugins=bench.plugins)
    result = CliRunner().invoke(build(), words, obj=session, prog_name="roost")

    assert (2, "") == (result.exit_code, result.stdout)
    assert text in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_unknown_variables_are_told(bench, monkeypatch, caplog):
    """A misspelt ROOST_ variable causes a warning with the right name, and stops nothing."""
    monkeypatch.setattr("roost_core.settings.judging._warned", set())
    monkeypatch.setenv("ROOST_QUEU", "x")
    result = bench.invoke("list")

    assert 0 == result.exit_code
    assert "did you mean ROOST_QUEUE?" in caplog.text
    assert 0 == bench.invoke("list", "--help").exit_code


def test_a_plugin_that_does_not_import_stops_the_command(tmp_path, monkeypatch):
    """One line with the plugin and the cause; help still works, without its commands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    run = CliRunner().invoke
    result = run(build(), ["engines", "--plugin", "./broken.py"], prog_name="roost")

    assert (2, "") == (result.exit_code, result.stdout)
    assert 1 == result.stderr.count("\n")
    assert "broken (--plugin ./broken.py)" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    result = run(build(), ["--plugin", "./broken.py", "--help"], prog_name="roost")
    assert 0 == result.exit_code
    assert "plugins' commands are missing" in result.stderr


def test_two_engines_of_one_name_are_named(tmp_path, monkeypatch):
    """The error names both plugins."""
    monkeypatch.chdir(tmp_path)
    text = "from roost_core import hookimpl\nengine_id = 'same'\n@hookimpl\ndef step(snapshot):\n"
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(text + "    return snapshot.finish()\n")
    words = ["engines", "--plugin", "./one.py", "--plugin", "./two.py"]
    result = CliRunner().invoke(build(), words, prog_name="roost")

    assert (2, "") == (result.exit_code, result.stdout)
    assert "one (--plugin ./one.py) and two (--plugin ./two.py)" in result.stderr


def test_a_command_may_come_from_a_plugin_named_after_it(tmp_path, monkeypatch):
    """``roost mine --plugin ./commands.py`` works, though the plugin is named last."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "commands.py").write_text(
        "import click\nfrom roost_core import hookimpl\n@hookimpl\ndef register_commands(cli):\n"
        "    @cli.command('mine')\n"
        "    @click.option('--plugin', multiple=True)\n"
        "    def mine(plugin):\n"
        "        click.echo('mine')\n"
    )
    for words in (["mine", "--plugin", "./commands.py"], ["mine", "--plugin=./commands.py"]):
        result = CliRunner().invoke(build(), words, prog_name="roost")
        assert (0, "mine\n") == (result.exit_code, result.stdout)


def test_errors_are_one_clean_line(bench):
    """Expected errors lose control characters and passwords, and give their exit code."""
    error = WorkNotFound("no \x1b[31mwork\nat redis://u:hunter2@h/\x07")
    bench.plugins.register(Commands(error), "commands")
    result = bench.invoke("mine")

    assert (1, "roost: no work at redis://u:***@h/\n") == (result.exit_code, result.stderr)


def test_exit_codes_come_from_the_error(bench):
    """An error's class decides the exit code."""

    class Odd(RoostError):
        exit_code = 7

    bench.plugins.register(Commands(Odd("odd")), "commands")
    assert 7 == bench.invoke("mine").exit_code


def test_unexpected_errors_keep_their_traceback(bench):
    """A bug is not hidden behind one line."""
    bench.plugins.register(Commands(KeyError("bug")), "commands")
    with pytest.raises(KeyError, match="bug"):
        bench.invoke("mine")


def test_interrupt_is_quiet(bench):
    """Ctrl-C exits with 130 and says nothing."""
    bench.plugins.register(Commands(KeyboardInterrupt()), "commands")
    result = bench.invoke("mine")

    assert (130, "", "") == (result.exit_code, result.stdout, result.stderr)


def test_built_in_commands_stay(bench):
    """A plugin cannot replace a built-in command; it is refused with its name."""

    class Thief:
        @hookimpl
        def register_commands(self, cli):
            cli.add_command(click.Command("status"))

    bench.plugins.register(Thief(), "thief")
    result = bench.invoke("nothing-of-that-name")

    assert 2 == result.exit_code
    assert "thief" in result.stderr
    assert "the command status already exists" in result.stderr


def test_each_command_line_is_new(bench):
    """What a plugin adds to one command line is not in the next."""
    bench.plugins.register(Commands(), "commands")
    bench.ok("mine")

    assert 2 == Bench().invoke("mine").exit_code


def test_a_worker_cannot_tell_more_and_less(bench):
    """--verbose and --quiet together are a usage error, before anything else is done."""
    found = bench.invoke("worker", "-v", "-q")

    assert (2, "") == (found.exit_code, found.stdout)
    assert "Error: --verbose and --quiet: one or the other" == found.stderr.splitlines()[-1]
