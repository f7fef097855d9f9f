"""Whatever exists is documented, and what is documented exists."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import click
import pytest

from roost_core import errors, hookspecs, models, settings
from roost_core.cli.app import build
from roost_core.cli.options import SharedOption
from roost_core.cli.session import Session
from roost_core.models import Event
from roost_core.plugins.registry import Plugins
from tests.docs.pages import ROOT, page, prose, rows, sections


def context() -> click.Context:
    """Return the context of a command line that has all plugins that ship."""
    return click.Context(build(), obj=Session(plugins=Plugins.load(strict=True)))


COMMANDS = build().list_commands(context())


def hooks(module: ModuleType) -> dict[str, tuple[str, ...]]:
    """Return the hooks that are declared, and their arguments."""
    return {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
    }


def test_hooks_stand_with_their_exact_arguments():
    """Each hook has a section, headed by its name and arguments as they are declared."""
    documented = {}
    for heading in sections(page("hooks")):
        found = re.fullmatch(r"`(\w+)\((.*)\)`", heading)
        if found:
            documented[found[1]] = tuple(filter(None, found[2].split(", ")))
    assert hooks(hookspecs) == documented


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_stand_with_their_options(name):
    """Each command has a section, whose table has each of its own options and no other."""
    command = build().get_command(click.Context(build()), name)
    assert command is not None
    own = [
        one
        for one in command.get_params(context())
        if isinstance(one, click.Option)
        and not isinstance(one, SharedOption)
        and "--help" not in one.opts
    ]
    text = sections(page("commands"))[f"`roost {name}`"]
    documented = [re.findall(r"`(-[\w-]+)`", cells[0]) for cells in rows(text)]
    assert sorted(sorted(one.opts) for one in own) == sorted(map(sorted, filter(None, documented)))


def test_no_other_command_is_documented():
    """A command that is gone is gone from the page too."""
    found = re.findall(r"^## `roost ([\w-]+)`$", page("commands"), re.MULTILINE)
    assert list(COMMANDS) == found


def test_shared_options_stand():
    """The options of every command are in a table of their own."""
    shared = [one for one in build().get_params(context()) if isinstance(one, SharedOption)]
    text = sections(page("commands"))["Options of every command"]
    documented = [cells[0] for cells in rows(text)][1:]
    assert [one.opts[0] for one in shared] == [
        re.findall(r"`(-[\w-]+)`", one)[0] for one in documented
    ]


def test_settings_stand_as_they_are_declared():
    """The table of settings matches the declarations: variable, default and help."""
    declared = [
        [f"`{row['variable']}`", f"`{row['default']}`" if row["default"] else "none", row["help"]]
        for row in settings.table(*Plugins.load(strict=True).declarations())
    ]
    documented = [row for row in rows(page("settings")) if row[0].startswith("`ROOST_")]
    assert declared == documented


def test_errors_stand_with_their_exit_codes():
    """Each error class has its row, with the code that a command exits with."""
    text = sections(page("commands"))["Errors and exit codes"]
    documented = {row[0]: row[1] for row in rows(text)[1:]}
    declared = {f"`{name}`": str(getattr(errors, name).exit_code) for name in errors.__all__}
    assert declared == documented


def words_of(docstring: str | None, start: str) -> set[str]:
    """Return the double-quoted words of a docstring's sentence that begins with ``start``."""
    assert docstring is not None
    sentence = " ".join(docstring.split()).partition(start)[2].partition(". ")[0]
    return set(re.findall(r"``(\w+)``", sentence))


def test_event_kinds_stand():
    """Each kind of event has its row."""
    kinds = words_of(Event.__doc__, "``kind`` is one of")
    text = sections(page("operations"))["Events"]
    assert {f"`{kind}`" for kind in kinds} == {row[0] for row in rows(text)[1:]}


def test_event_kinds_are_those_of_the_scripts():
    """The model's docstring lists the kinds that the scripts write, and no other."""
    scripts = (ROOT / "roost_plugins/redis_saq/lua").rglob("*.lua")
    written = {
        kind
        for script in scripts
        for kind in re.findall(r"\b(?:event|noted)\('(\w+)'", script.read_text(encoding="utf-8"))
    }
    # A lease is not an event: it is only in what a work item keeps of its own past.
    assert words_of(Event.__doc__, "``kind`` is one of") == written | {"leased"}


def test_states_stand():
    """Each state is named on the first page."""
    text = page("index")
    assert [] == [state for state in models.State if f"`{state}`" not in text]


def test_only_states_that_nothing_reaches_are_called_reserved():
    """A verb or a worker brings work into every other one."""
    reserved = re.findall(r"[^.]*\breserved for\b", page("index"))
    assert {models.State.WAITING} == set(re.findall(r"`(\w+)`", "".join(reserved)))


def test_public_names_stand_in_the_reference():
    """Whatever ``roost_core`` exports is in the Python reference."""
    text = page("reference")
    assert "automodule:: roost_core.models" in text
    assert "automodule:: roost_core.errors" in text
    for name in ("client.roost.Roost", "settings.Settings", "context.StepContext"):
        assert f"autoclass:: roost_core.{name}" in text


LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets."""
    kept = re.sub(r"[^\w\s-]", "", heading.lower())
    return re.sub(r"\s+", "-", kept.strip())


@pytest.mark.parametrize(
    "path",
    [
        path
        for top in ("*.md", "docs/**/*.md", "examples/**/*.md")
        for path in sorted(ROOT.glob(top))
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_links_lead_somewhere(path):
    """Each link between pages names an existing file, and a heading in it."""
    broken = []
    for target, heading in LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file = path.parent / target if target else path
        if not file.exists():
            broken.append(target)
        elif heading and heading not in map(anchor, sections(file.read_text(encoding="utf-8"))):
            broken.append(f"{target}#{heading}")
    assert [] == broken
