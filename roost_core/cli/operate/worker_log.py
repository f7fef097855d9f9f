"""Where a worker's log goes, in which form, and how much of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import attrs

from roost_core.cli.operate.log_format import JsonFormatter, TextFormatter, said_as_json
from roost_core.cli.operate.outcomes import Outcomes
from roost_core.cli.stderr import Stderr, StderrHandler
from roost_core.errors import RoostError
from roost_core.models.work import State
from roost_core.shown.redaction import clean

#: How often the last line on a terminal is drawn anew, in seconds.
_FOOTER_SECONDS: Final = 1.0
#: How long its last request may take to let go when the worker ends, in seconds.
_LAST_SECONDS: Final = 1.0

Counts = Mapping[State, int]


@attrs.define(eq=False)
class WorkerLog:
    """A worker's log on standard error.

    :ivar verbosity: -1 for warnings and errors only, 0, 1 for Roost's own details, 2 for SAQ's.
    :ivar is_json: a line of JSON a record, instead of text.
    """

    stderr: Stderr
    verbosity: int = 0
    is_json: bool = False
    _handler: logging.Handler = attrs.field(init=False)
    _is_terminal: bool = attrs.field(init=False, default=False)

    def open(self) -> None:
        """Take over the process's logging."""
        self._handler = StderrHandler(self.stderr, self._formatter())
        logging.basicConfig(handlers=[self._handler], level=logging.WARNING, force=True)
        # Otherwise Python itself writes them to standard error, and blocks on it.
        logging.captureWarnings(True)
        levels = {-1: logging.WARNING, 0: logging.INFO}
        logging.getLogger("roost").setLevel(levels.get(self.verbosity, logging.DEBUG))
        # What it logs is about the lanes' machinery, not about the work.
        logging.getLogger("saq").setLevel(logging.DEBUG if self.verbosity > 1 else logging.ERROR)

    def close(self) -> None:
        """Give it back, as far as that is possible."""
        logging.captureWarnings(False)
        self.stderr.close()

    def say(self, text: str) -> None:
        """Write a line about the worker itself, such as one about a stop. It never waits."""
        if self.is_json:
            self.stderr.line(said_as_json(text))
        else:
            self.stderr.note(text)

    def begin(self, worker_id: str, engines: Sequence[str], place: str) -> None:
        """Write who works here, on what."""
        if self.verbosity < 0:
            return
        who = f"worker {worker_id} runs {', '.join(engines)}"
        where = f"data: {clean(place)}"
        if self.is_json:
            self.stderr.line(said_as_json(f"{who}; {where}"))
        else:
            self.stderr.line(who)
            self.stderr.line(f"  {where}")

    def outcomes(self) -> Outcomes | None:
        """Return what hears of steps, in the running loop; None if nobody wants to."""
        if self.verbosity < 0:
            return None
        found = Outcomes(asyncio.get_running_loop())
        self._handler.addFilter(found)
        return found

    @contextlib.asynccontextmanager
    async def footer(
        self,
        running: Callable[[], int],
        counts: Callable[[], Awaitable[Sequence[Counts]]],
        outcomes: Outcomes | None,
    ) -> AsyncIterator[None]:
        """Keep a line with what runs, waits and is done below all others, on a terminal.

        :param counts: asks each queue; nobody asks where there is no terminal.
        """
        if not self._is_terminal or outcomes is None:
            yield
            return

        is_over = False

        async def draw() -> None:
            # A cancellation that a connection has turned into an error of its own ends it, too.
            while not is_over:
                with contextlib.suppress(RoostError):
                    queued = sum(one.get(State.QUEUED, 0) for one in await counts())
                    if not is_over:
                        self.stderr.footer(_footer(running(), queued, outcomes))
                if not is_over:
                    await asyncio.sleep(_FOOTER_SECONDS)

        task = asyncio.create_task(draw())
        try:
            yield
        finally:
            is_over = True
            task.cancel()
            # A connection that hangs up slowly does not keep the worker.
            await asyncio.wait([task], timeout=_LAST_SECONDS)
            self.stderr.footer("")

    def _formatter(self) -> logging.Formatter:
        if self.is_json:
            return JsonFormatter()
        if sys.stderr is not None and sys.stderr.isatty():
            from roost_core.cli.look import log

            self._is_terminal = log.is_terminal(sys.stderr)
            return log.TerminalFormatter(sys.stderr)
        return TextFormatter()


def _footer(running: int, queued: int, outcomes: Outcomes) -> str:
    parts = [f"{running} running", f"{queued} queued", f"{outcomes.done} done"]
    parts += [f"{outcomes.failed} failed"] if outcomes.failed else []
    return " · ".join(parts)
