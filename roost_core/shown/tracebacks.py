"""What people need of a stored traceback: where in their own code it was. Pure."""

from __future__ import annotations

import re
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
    frames = [found for line in (traceback or "").splitlines() if (found := _FRAME.match(line))]
    for is_foreign in (_is_library, _is_runtime):
        own = [one for one in frames if not is_foreign(one["path"])]
        if own:
            return f"{PurePath(own[-1]['path']).name}:{own[-1]['line']}"
    return None


def without_runtime(traceback: str) -> str:
    """Return a traceback without the runtime's own frames; unchanged if there are no others."""
    kept: list[str] = []
    hidden: int | None = None
    is_own = False
    for line in traceback.splitlines():
        found = _FRAME.match(line)
        if found is not None:
            hidden = len(found["bar"]) if _is_runtime(found["path"]) else None
            is_own |= hidden is None
        elif hidden is not None and not _is_within(line, hidden):
            hidden = None
        if hidden is None:
            kept.append(line)
    return "\n".join(kept) if is_own else traceback


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


def _is_library(path: str) -> bool:
    return _is_runtime(path) or _LIBRARY.search(path) is not None


def _is_runtime(path: str) -> bool:
    return path.startswith("<frozen ") or _RUNTIME.search(path) is not None


def _is_within(line: str, bar: int) -> bool:
    """Return whether a line belongs to the frame above it: it is further in."""
    return len(line) > bar and line[: bar + 1].strip(" |") == "" and line[bar : bar + 1] == " "
