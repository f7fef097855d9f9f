"""What people need of a stored traceback: where in their own code it was. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from roost_core.models.standing import ErrorRecord

#: A frame's first line; a group's frames stand behind bars.
_FRAME: Final = re.compile(r'^(?P<bar>[ |]*)File "(?P<path>[^"\n]+)", line (?P<line>\d+)')
#: Files of the runtime, and of what calls an engine's hooks.
_RUNTIME: Final = re.compile(r"[/\\](?:roost_core|roost_plugins[/\\]redis_saq|pluggy)[/\\]")
#: Files of libraries, installed or Python's own.
_LIBRARY: Final = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python\d[^/\\]*)[/\\]")


def place(traceback: str | None) -> str | None:
    """Return the innermost line of the engine's code, such as ``flaky.py:8``.

    Where a library has raised, that is the line that called it.
    """
    frames = _frames(traceback or "")
    for is_foreign in (_is_library, _is_runtime):
        own = [one for one in frames if not is_foreign(one["path"])]
        if own:
            return f"{PurePath(own[-1]['path']).name}:{own[-1]['line']}"
    return None


def without_runtime(traceback: str) -> str:
    """Return a traceback without the runtime's own frames; unchanged if there are no others."""
    if all(_is_runtime(found["path"]) for found in _frames(traceback)):
        return traceback
    return "\n".join(text for text, frames in runs(traceback) if not frames)


def runs(traceback: str) -> Sequence[tuple[str, int]]:
    """Return a traceback's parts: lines that stand together, and how many frames of the runtime.

    That is 0 for the frames of the engine and its libraries, and for what is between frames.
    """
    parts: list[tuple[list[str], int]] = []
    hidden: int | None = None
    for line in traceback.splitlines():
        found = _FRAME.match(line)
        is_new = found is not None and _is_runtime(found["path"])
        if found is not None:
            hidden = len(found["bar"]) if is_new else None
        elif hidden is not None and not _is_within(line, hidden):
            hidden = None
        if not parts or (parts[-1][1] > 0) is not (hidden is not None):
            parts.append(([], 0))
        lines, frames = parts[-1]
        lines.append(line)
        parts[-1] = (lines, frames + is_new)
    return [("\n".join(lines), frames) for lines, frames in parts]


def brief(error: ErrorRecord) -> str:
    """Return an error in one line: ``RuntimeError: upstream said 500 (flaky.py:8)``."""
    return told(error.error_type or error.kind, error.message, error.traceback)


def whole(error: ErrorRecord) -> str:
    """Return an error with its traceback, without the runtime's own frames; several lines."""
    if error.traceback is None:
        return brief(error)
    return without_runtime(error.traceback)


def told(name: str, message: str, traceback: str | None) -> str:
    """Return the same of its parts."""
    text = " ".join(message.split())
    text = name if not text or text == name else f"{name}: {text}"
    where = place(traceback)
    return text if where is None else f"{text} ({where})"


def _frames(traceback: str) -> list[re.Match[str]]:
    return [found for line in traceback.splitlines() if (found := _FRAME.match(line))]


def _is_library(path: str) -> bool:
    return _is_runtime(path) or _LIBRARY.search(path) is not None


def _is_runtime(path: str) -> bool:
    return path.startswith("<frozen ") or _RUNTIME.search(path) is not None


def _is_within(line: str, bar: int) -> bool:
    """Return whether a line belongs to the frame above it: it is further in."""
    return len(line) > bar and line[: bar + 1].strip(" |") == "" and line[bar : bar + 1] == " "
