"""Every command line of the documentation names commands and options that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from roost_core.cli.app import build
from roost_core.cli.session import Session
from roost_core.plugins.registry import Plugins
from tests.docs.pages import ROOT, blocks, prose

PAGES = [
    path
    for top in ("*.md", "docs/**/*.md", "examples/**/*.md", "changes/*.md", "benchmarks/*.md")
    for path in sorted(ROOT.glob(top))
    # What is released keeps its words.
    if path.name != "CHANGELOG.md"
]
#: Languages of blocks whose lines are typed, and of those where only lines behind a ``$`` are.
_TYPED, _SHOWN = ("", "sh", "bash"), ("console", "text", "")
_SPAN = re.compile(r"`((?:env/bin/)?roost [^`]+)`")
#: Commands that examples and recipes add.
_OF_EXAMPLES = {"backlog", "outbox"}


@cache
def commands() -> tuple[click.Group, click.Context]:
    """Return the command line with all plugins that ship."""
    group = build()
    return group, click.Context(group, obj=Session(plugins=Plugins.load(strict=True)))


def lines(text: str) -> Iterator[str]:
    """Yield whatever is typed on a page: lines of blocks, and spans in sentences."""
    for block in blocks(text):
        joined = block.text.replace("\\\n", " ")
        for line in joined.splitlines():
            if line.startswith("$ ") and block.language in _SHOWN:
                yield line[2:]
            elif block.language in _TYPED and not line.startswith("$"):
                yield line
    yield from (" ".join(found.split()) for found in _SPAN.findall(prose(text)))


def calls(line: str) -> Iterator[list[str]]:
    """Yield the words behind each ``roost`` of a line."""
    for found in re.finditer(r"(?:^|\$\(|[;|&/] ?)roost (?=[a-z-])", line):
        lexer = shlex.shlex(line[found.end() :], posix=True, punctuation_chars=";|&<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            for word in lexer:
                if word and set(word) <= set(";|&<>()"):
                    break
                words.append(word)
        except ValueError:
            pass  # A quote that ends on another line.
        yield words


def wrong(words: list[str]) -> str | None:
    """Return what of a command there is not, if anything."""
    group, context = commands()
    name, *rest = words
    if name.startswith("-") or name in _OF_EXAMPLES:
        return None
    command = group.get_command(context, name)
    if command is None:
        return f"no command {name}"
    known = {"--help", "--"} | {
        one
        for holder in (command, group)
        for option in holder.get_params(context)
        if isinstance(option, click.Option)
        for one in (*option.opts, *option.secondary_opts)
    }
    typed = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]|-[a-z]$", word)]
    lacking = [one for one in typed if one not in known]
    return f"{name} has no {', '.join(lacking)}" if lacking else None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_command_is_there(path: Path) -> None:
    """No page tells to type what is refused."""
    text = path.read_text(encoding="utf-8")
    found = {line: wrong(words) for line in lines(text) for words in calls(line)}
    assert {} == {line: why for line, why in found.items() if why is not None}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ID=$(roost enqueue --engine x --payload '{\"a\": 1}') && roost lst", "no command lst"),
        ("roost list --sort age | head", "list has no --sort"),
        ("echo 1 | roost enqueue -x", "enqueue has no -x"),
        ("env/bin/roost worker --plugin ./x.py -q", None),
        ("roost retry state:failed --over=10m  # --not-this", None),
        ("roost list -state:done", None),
    ],
)
def test_what_is_wrong_is_found(line: str, why: str | None) -> None:
    """Unknown commands and options, behind operators and in substitutions, too."""
    found = [one for words in calls(line) if (one := wrong(words)) is not None]
    assert ([] if why is None else [why]) == found
