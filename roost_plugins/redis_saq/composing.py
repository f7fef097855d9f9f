"""A script's text, with the shared functions of ``lua/lib`` that it reaches put in front.

A line of a file's first comment names the files whose functions it uses, ``-- USES: record line``,
so only these are read. Of them come the functions that the script reaches, directly or through
others, and no more: the server creates them in every call, which takes longer the more of them
refer to each other. So those whose comment begins with ``-- Seldom.`` are put into one function,
``seldom``, that creates each when it is first called, and no other; each call of one becomes
``seldom('name')(…)``.

A short command composes a script while a person waits. So texts are taken apart by their lines and
words: regular expressions would take ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Final, NamedTuple

from roost_core.errors import BackendError
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.lua import expanded

FOLDER: Final = Path(__file__).parent / "lua"
#: The comment of a function that is created when it is first called begins with it.
_SELDOM: Final = "-- Seldom."
_FUNCTION: Final = "local function "
#: The name of a function that is called, and not the one that is being defined.
_CALLED: Final = re.compile(r"(?<!function )\b(\w+)(?=\()")
#: Puts a space in place of whatever is no part of a word.
_APART: Final = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}


class _Piece(NamedTuple):
    """A part of a shared file without comments: a function, or what is between two.

    :param name: the function's; empty between two.
    :param raw: its text, with placeholders.
    :param is_seldom: whether it is created when it is first called.
    """

    name: str
    raw: str
    is_seldom: bool = False

    @property
    def text(self) -> str:
        """The text for the server."""
        return _expanded(self.raw, fields.RECORD)

    @property
    def as_value(self) -> str:
        """The function's text as an assignment to the variable ``one``."""
        return self.text.replace(f"{_FUNCTION}{self.name}(", "one = function(", 1)


@cache
def text_of(name: str) -> str:
    """Return the text of a file of ``lua``, by its name without the suffix.

    :raises BackendError: it cannot be read.
    """
    # importlib.resources would import archives and mail parsing into every short command.
    path = FOLDER / f"{name}.lua"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        # Too many open files, for example.
        raise BackendError(f"cannot read {path}: {error.strerror}") from error


def header(text: str, word: str) -> list[str]:
    """Return the names after a word in a file's first comment, as in ``-- KEYS: work ready``."""
    start = f"-- {word}: "
    for line in text.splitlines():
        if line.startswith(start):
            return line.removeprefix(start).split()
        if not line.startswith("--"):
            break
    return []


def composed(body: str) -> str:
    """Return a script's text after the shared text that it uses, all without comments."""
    used = _used(body)
    body = expanded("".join(filter(_is_code, body.splitlines(keepends=True))), fields.RECORD)
    pieces = _reached(body, used)
    often = "\n".join(one.text for one in pieces if not one.is_seldom)
    seldom = {one.name: one for one in pieces if one.is_seldom}
    if not seldom:
        return f"{often}\n{body}"

    def called(found: re.Match[str]) -> str:
        return f"seldom('{found[1]}')" if found[1] in seldom else found[1]

    often, body = (_CALLED.sub(called, text) for text in (often, body))
    makers = "".join(
        f"  {'elseif' if number else 'if'} name == '{name}' then\n"
        + indent(_CALLED.sub(called, one.as_value), "    ")
        for number, (name, one) in enumerate(seldom.items())
    )
    return (
        f"local seldom\n{often}\nlocal made\nseldom = function(name)\n"
        "  if not made then made = {} end\n  local one = made[name]\n"
        f"  if one then return one end\n{makers}  end\n"
        f"  made[name] = one\n  return one\nend\n\n{body}"
    )


def _used(text: str) -> list[str]:
    """Return the names of the shared files that a text uses, each after those that it uses."""
    found: dict[str, None] = {}

    def look(text: str) -> None:
        for name in header(text, "USES"):
            if name not in found:
                look(text_of(f"lib/{name}"))
                found[name] = None

    look(text)
    return list(found)


def _reached(body: str, used: Iterable[str]) -> list[_Piece]:
    """Return the functions of the files that ``body`` uses, and what is between them."""
    pieces = [piece for name in used for piece in _pieces(name)]
    functions = {piece.name: piece for piece in pieces if piece.name}
    reached: set[str] = set()
    to_read = [body, *(piece.text for piece in pieces if not piece.name)]
    while to_read:
        new = (_words(to_read.pop()) & functions.keys()) - reached
        reached |= new
        to_read.extend(functions[name].text for name in new)
    return [one for one in pieces if not one.name or one.name in reached]


@cache
def _pieces(name: str) -> list[_Piece]:
    return list(_parted(text_of(f"lib/{name}")))


def _parted(text: str) -> Iterator[_Piece]:
    """Yield a file's functions, and the lines between them if there are any."""
    name, is_seldom = "", False
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(_FUNCTION):
            if lines:
                yield _Piece("", "".join(lines))
            name, lines = line.removeprefix(_FUNCTION).partition("(")[0], [line]
        elif line == "end\n":
            yield _Piece(name, "".join([*lines, line]), is_seldom)
            name, is_seldom, lines = "", False, []
        elif line.startswith(_SELDOM):
            is_seldom = True
        elif _is_code(line):
            lines.append(line)
    if lines:
        yield _Piece("", "".join(lines))


def _is_code(line: str) -> bool:
    return not (line.isspace() or line.lstrip().startswith("--"))


@cache
def _expanded(text: str, table: fields.Table) -> str:
    return expanded(text, table)


@cache
def _words(text: str) -> frozenset[str]:
    code = "\n".join(line.partition("--")[0] for line in text.split("\n"))
    return frozenset(code.translate(_APART).split())
