"""How far something long is: a bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from roost_core.cli import output
from roost_core.cli.progress import Progress, bar, on_stderr
from roost_core.shown.spans import span

#: How often the bar is drawn, and how often a line is printed, in seconds.
_BAR_EVERY: Final = 0.1
_LINE_EVERY: Final = 5.0


class BulkProgress(Progress):
    """A bar that is drawn on any terminal: nothing else is printed meanwhile but what hides it."""

    def __init__(
        self, what: str, total: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        :param what: what is done, in a word or two.
        :param total: None if it is not known.
        :param clock: monotonic, in seconds.
        """
        super().__init__(what, total or 0, clock=clock)
        self._is_shown = on_stderr()

    def advance(self, count: int = 1) -> None:
        """Count what was done since the last time, and tell of it now and then."""
        self._done += count
        now = self._clock()
        if now - self._drawn_at < (_BAR_EVERY if self._is_shown else _LINE_EVERY):
            return
        self._drawn_at = now
        if not self._is_shown:
            output.note(self._line())
        elif self._total:
            self._draw(bar(self._what, self._done, self._total, self.seconds))
        else:
            self._draw(self._line())

    def _line(self) -> str:
        if not self._total:
            return f"{self._what}: {self._done:,} so far"
        rate = self._done / max(self.seconds, 0.001)
        left = span(round((self._total - self._done) / max(rate, 0.001)))
        return f"{self._what}: {self._done:,} of {self._total:,}, {rate:,.0f}/s, {left} left"
