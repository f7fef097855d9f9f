"""All uses of verbs on many that a console knows: few, and each for a while only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from roost_core import Roost
from roost_core.backend import Order, OrderOutcome
from roost_core.errors import InvalidInput, RoostError
from roost_core.shown.verbs import PAST
from roost_plugins.console.acting.run import Phase, Run
from roost_plugins.console.acting.target import Target
from roost_plugins.console.connection import Connection

_log = logging.getLogger("roost.console")

#: How many that wait for a person, act at the same time, and have ended, are kept.
MOST_SEEN: Final = 8
MOST_ACTING: Final = 4
MOST_ENDED: Final = 30
#: For how long what was seen can be acted on, and what came of it is kept. Seconds.
SEEN_FOR: Final = 900.0
ENDED_FOR: Final = 3600.0
#: How long a page waits for a look before it shows how far that is. Seconds.
_WAIT: Final = 1.5
#: How long the end of the console waits for what is under way to stop. Seconds.
_LAST: Final = 3.0


class Runs:
    """Begins them, finds them by their keys, and ends them. Its methods are for any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def look(self, connection: Connection, target: Target) -> Run:
        """Begin to look, and wait for a moment for what that finds.

        :raises BackendUnavailable: the server is away.
        """
        run = Run(secrets.token_urlsafe(12), target)
        with self._lock:
            self._runs[run.key] = run
            self._forget()

        async def begin(roost: Roost) -> None:
            run.task = asyncio.create_task(run.look(roost))
            await asyncio.wait({run.task}, timeout=_WAIT)

        connection.ask(begin)
        return run

    def get(self, key: str) -> Run | None:
        """Return the one with a key, unless that is too long ago."""
        with self._lock:
            self._forget()
            return self._runs.get(key)

    @property
    def progress(self) -> Hashable:
        """How far all have come: it changes with each work item that something was done to."""
        with self._lock:
            return frozenset((key, run.finished, run.phase) for key, run in self._runs.items())

    def act(
        self,
        connection: Connection,
        run: Run,
        make_order: Callable[[Roost], Awaitable[Order]],
        over: float,
        command: str = "",
    ) -> None:
        """Let it act in the background. If it does so already, or has, nothing happens.

        :param make_order: called first.
        :param command: what does the same, with what was chosen.
        :raises InvalidInput: what was chosen cannot be; or too many are acting.
        :raises BackendUnavailable: the server is away; nothing was done.
        """
        with self._lock:
            if run.phase is not Phase.READY:
                return
            if sum(one.phase is Phase.ACTING for one in self._runs.values()) >= MOST_ACTING:
                raise InvalidInput(f"{MOST_ACTING} such acts are under way: wait for one of them")
            run.phase = Phase.ACTING

        async def begin(roost: Roost) -> None:
            order = await make_order(roost)
            run.command = command
            run.task = asyncio.create_task(run.act(roost, order, over))

        try:
            connection.ask(begin)
        except BaseException:
            if run.task is None or run.task.done():
                run.phase = Phase.READY
            raise

    def cancel(self, connection: Connection, run: Run) -> None:
        """End it. What was begun may have been done."""
        if not run.phase.is_under_way:
            return

        async def end(_roost: Roost) -> None:
            await _ended([run])

        connection.ask(end)

    def close(self, connection: Connection) -> None:
        """End all, and say what was not done."""
        with self._lock:
            runs = [one for one in self._runs.values() if one.phase.is_under_way]

        async def end(_roost: Roost) -> None:
            await _ended(runs)

        if not runs:
            return
        with contextlib.suppress(RoostError):
            connection.ask(end, _LAST)
        for run in runs:
            if run.phase is Phase.CANCELLED:
                _log.warning("the console ends: %s", so_far(run))

    def _forget(self) -> None:
        """Forget what is too old or too many; what acts is kept."""
        now = self._clock()
        seen = [one for one in self._runs.values() if one.phase in (Phase.LOOKING, Phase.READY)]
        ended = [
            one
            for one in self._runs.values()
            if one.phase in (Phase.DONE, Phase.CANCELLED, Phase.STOPPED)
        ]
        for runs, most, age in ((seen, MOST_SEEN, SEEN_FOR), (ended, MOST_ENDED, ENDED_FOR)):
            runs.sort(key=lambda one: one.touched_at, reverse=True)
            for place, run in enumerate(runs):
                if place >= most or now - run.touched_at > age:
                    del self._runs[run.key]
                    _let_go(run)


def so_far(run: Run) -> str:
    """Say in one line how far it came before it was ended."""
    done = run.counts[OrderOutcome.DONE]
    text = f"{PAST[run.verb]} {done:,} of {run.total:,}"
    if requested := run.counts[OrderOutcome.REQUESTED]:
        text += f", {requested:,} requested"
    if run.unsure:
        text += f", up to {run.unsure:,} more may be"
    return f"{text}, {run.untried:,} not tried; `{run.target.command}` continues with the rest"


def _let_go(run: Run) -> None:
    """Stop one that nobody can see any more; only a look can be under way."""
    task = run.task
    if task is not None and not task.done():
        task.get_loop().call_soon_threadsafe(task.cancel)


async def _ended(runs: list[Run]) -> None:
    tasks = [run.task for run in runs if run.task is not None and not run.task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for run in runs:
        if run.phase is Phase.LOOKING:
            run.phase = Phase.CANCELLED
