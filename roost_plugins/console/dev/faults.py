"""What is wrong with code that does not load: file, line and cause, in one block."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Final

from roost_core.errors import PluginLoadError
from roost_core.shown.redaction import clean

#: How many lines of code are shown before the one in question, and after it.
_AROUND: Final = 2
#: Longer lines of code are cut. Characters.
_WIDTH: Final = 64
#: Longer texts of errors are cut. Characters.
_LONGEST: Final = 300


def block(
    error: BaseException, is_own: Callable[[str], bool], without: Callable[[str], str] = str
) -> list[str]:
    """Return the lines about an error; the first has file, line and cause, then comes the code.

    :param error: what stopped the worker, with its causes.
    :param is_own: whether a file is a person's own, who can mend it.
    :param without: takes secrets out of texts.
    """
    chain = _chain(error)
    places = [_place(one, is_own) for one in chain]
    at = next((at for at, place in enumerate(places) if place is not None), None)
    if at is None or (where := places[at]) is None:
        return [clean(without(str(error)) or type(error).__name__)]
    path, line = where
    first = chain[at]
    # The outermost only adds the plugin's name; one between has advice.
    advice = chain[at - 1] if at > 1 else None
    if isinstance(advice, PluginLoadError):
        what = str(advice)
    else:
        what = str(first) if isinstance(first, PluginLoadError) else _cause(first)
    return [f"{_short(path)}:{line}: {clean(without(what))}", *_code(path, line)]


def _cause(error: BaseException) -> str:
    # A syntax error's text has its place, which is told already.
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def missing(error: BaseException) -> list[str]:
    """Return the names of modules that were not found."""
    return [
        one.name
        for one in _chain(error)
        if isinstance(one, ModuleNotFoundError) and isinstance(one.name, str)
    ]


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error, what it was raised from, what that was raised from, and so on."""
    found: list[BaseException] = []
    left: BaseException | None = error
    while left is not None and left not in found:
        found.append(left)
        left = left.__cause__
    return found


def _place(error: BaseException, is_own: Callable[[str], bool]) -> tuple[str, int] | None:
    """Return the innermost line of a person's own code that an error has to do with."""
    if isinstance(error, PluginLoadError):
        return error.at
    if isinstance(error, SyntaxError) and error.filename and os.path.isfile(error.filename):
        return error.filename, error.lineno or 1
    lines = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [one for one in lines if os.path.isfile(one[0]) and is_own(one[0])]
    return own[-1] if own else None


def _short(path: str) -> str:
    """Return a path as a person in the current folder would type it, if that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


def _code(path: str, line: int) -> Iterator[str]:
    linecache.checkcache(path)
    lines = linecache.getlines(path)
    shown = range(max(1, line - _AROUND), min(len(lines), line + _AROUND) + 1)
    for number in shown:
        mark = ">" if number == line else " "
        text = clean(lines[number - 1].rstrip("\n").expandtabs(4))
        cut = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
        yield f"{mark} {number:>{len(str(shown[-1]))}} | {cut}".rstrip()
