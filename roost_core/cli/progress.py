"""A bar on standard error while much is done: how far, how fast, how long it will take."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Final, Self

import click

from roost_core.cli import output
from roost_core.shown.spans import span

_BAR_WIDTH: Final = 20
#: It is drawn at most this often, in seconds.
_EVERY: Final = 0.1
#: Rates and times left are guesses before this many seconds.
_SURE_AFTER: Final = 0.5


def on_stderr() -> bool:
    """Return whether a person reads standard error."""
    # It is missing if it was closed before the start.
    return sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """Counts what is done, and draws a bar where a person sees it and nothing else is printed.

    A context that takes the bar away at its end.
    """

    def __init__(
        self, what: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        :param what: a word in front of the bar, such as ``enqueue``.
        :param clock: monotonic, in seconds.
        """
        self._what, self._total, self._clock = what, total, clock
        self._done = 0
        self._began = self._drawn_at = clock()
        # Lines on the same terminal are progress enough, and would break the bar.
        self._is_shown = on_stderr() and not output.on_terminal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()

    def hide(self) -> None:
        """Take the bar away until it is drawn again, so that a line can be printed."""
        self._draw("")

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._clock() - self._began

    def advance(self, count: int = 1) -> None:
        """Count what was done since the last time."""
        self._done += count
        now = self._clock()
        if now - self._drawn_at >= _EVERY:
            self._drawn_at = now
            self._draw(bar(self._what, self._done, self._total, self.seconds))

    def _draw(self, text: str) -> None:
        # Where nobody can read it, the work still counts.
        if self._is_shown:
            with contextlib.suppress(OSError):
                click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def bar(what: str, done: int, total: int, seconds: float) -> str:
    """Return ``enqueue ██████░░░░░░░░░░░░░░ 1,200 of 3,000  850/s  2 s left``."""
    full = _BAR_WIDTH * done // max(1, total)
    text = f"{what} {'█' * full}{'░' * (_BAR_WIDTH - full)} {done:,} of {total:,}"
    if seconds < _SURE_AFTER or not done:
        return text
    rate = done / seconds
    return f"{text}  {rate:,.0f}/s  {span(round((total - done) / rate))} left"
