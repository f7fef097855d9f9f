"""Standard output is for what Roost itself prints, not for what plugins print while they load.

Otherwise a plugin that greets at import spoils ``ID=$(roost enqueue ...)`` and ``--json``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO

#: The file descriptor that C code and child processes know as standard output.
_STDOUT: Final = 1

#: What plugins have put in place of ``sys.stdout``: if dropped, it would close what it wraps, which
#: may be the stream that Roost itself prints to.
_replaced: list[Any] = []


@contextlib.contextmanager
def to_stderr() -> Iterator[None]:
    """Send whatever is printed in here to standard error.

    That is ``print``, what C code and child processes write to file descriptor 1, and
    ``sys.__stdout__``. Afterwards ``sys.stdout`` is what it was, even if a plugin has put
    something else in its place. What a plugin prints later, from a thread or when the process
    ends, is not covered, nor what C's own buffers hold back until then.
    """
    ours = sys.stdout
    _flush(ours, sys.__stdout__)
    # A separate stream: a plugin may wrap or close what it finds as sys.stdout.
    sys.stdout = theirs = _stream_to_stderr()
    saved = _redirect(ours)
    try:
        yield
    finally:
        found, sys.stdout = sys.stdout, ours
        _flush(found, theirs, sys.__stdout__)
        if found is not theirs:
            _replaced.append(found)
        if saved is not None:
            os.dup2(saved, _STDOUT)
            os.close(saved)


def _stream_to_stderr() -> TextIO:
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or a test's stream in memory
        return sys.stderr
    return open(
        descriptor,
        "w",
        buffering=1,
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
        closefd=False,
    )


def _redirect(stdout: Any) -> int | None:
    """Point file descriptor 1 at standard error; return a copy of what it was.

    Nothing is done, and None returned, where ``sys.stdout`` is not this descriptor: then whoever
    put another stream there has a reason.
    """
    try:
        if stdout.fileno() != _STDOUT:
            return None
        saved = os.dup(_STDOUT)
    except (AttributeError, OSError, ValueError):  # closed, or in memory
        return None
    try:
        os.dup2(sys.stderr.fileno(), _STDOUT)
    except (AttributeError, OSError, ValueError):  # without standard error they go nowhere
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDOUT)
        os.close(nowhere)
    return saved


def _flush(*streams: Any) -> None:
    for stream in streams:
        # Whatever a plugin has put there; a failed flush is not Roost's to report.
        with contextlib.suppress(Exception):
            stream.flush()
