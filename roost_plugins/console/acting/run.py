"""One use of a verb on many: it looks, waits for a person, acts, and counts what came of it.

It changes in the connection's loop only; pages may read it in any thread meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import attrs

from roost_core import Roost
from roost_core.backend import Order, OrderOutcome
from roost_core.client.control import VerbResult, each
from roost_core.client.preview import Preview, Previewing
from roost_core.client.select import previewed
from roost_core.errors import BackendError, PluginError, RoostError
from roost_core.models import Verb
from roost_plugins.console.acting.target import Target

_log = logging.getLogger("roost.console")

#: On no more than this many at once: they are remembered.
MOST: Final = 200_000
#: This many that failed are named.
MOST_NAMED: Final = 10
#: How many ids are looked up at the same time.
_AT_ONCE: Final = 32
#: After one of these the others would fail in the same way.
_FINAL: Final = (BackendError, PluginError)


class Phase(enum.StrEnum):
    """How far it is."""

    LOOKING = "looking"
    READY = "ready"  #: seen, and not begun
    ACTING = "acting"
    DONE = "done"
    CANCELLED = "cancelled"  #: by a person, or because the console ended
    STOPPED = "stopped"  #: it could not continue; or could not look

    @property
    def is_under_way(self) -> bool:
        """Whether it changes by itself."""
        return self in (Phase.LOOKING, Phase.ACTING)


@attrs.define(eq=False)
class Run:
    """One use of a verb on many.

    :ivar key: what names it in URLs.
    :ivar looked: how many of the query were found so far, while it looks.
    :ivar preview: what it is for, once it has looked.
    :ivar missing: selected ids that do not exist.
    :ivar counts: outcomes so far; ``failed`` more have failed, of which ``failures`` are the first.
    :ivar left: after drops, how many have left something for a worker to remove.
    :ivar begun: how many were begun, with those of which nothing is known yet.
    :ivar problem: why it has stopped.
    :ivar command: what does the same, with what was chosen for it.
    """

    key: str
    target: Target
    phase: Phase = Phase.LOOKING
    looked: int = 0
    preview: Preview | None = None
    missing: tuple[str, ...] = ()
    counts: Counter[OrderOutcome] = attrs.field(
        factory=lambda: Counter(dict.fromkeys(OrderOutcome, 0))
    )
    failed: int = 0
    failures: list[tuple[str, str]] = attrs.field(factory=list)
    left: int = 0
    begun: int = 0
    problem: str = ""
    command: str = ""
    seconds: float = 0.0
    touched_at: float = attrs.field(factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    _found: Previewing | None = None

    @property
    def verb(self) -> Verb:
        """The verb."""
        return self.target.verb

    @property
    def total(self) -> int:
        """How many it is for."""
        return 0 if self.preview is None else self.preview.total

    @property
    def finished(self) -> int:
        """Of how many it is known what has come of them."""
        return self.failed + sum(self.counts.values())

    @property
    def unsure(self) -> int:
        """How many were begun, and may have been done, when it ended."""
        return self.begun - self.finished

    @property
    def untried(self) -> int:
        """How many were not begun."""
        return self.total - self.begun

    # -- looking ---------------------------------------------------------------------------

    async def look(self, roost: Roost) -> None:
        """Find out what it is for."""
        try:
            query = self.target.query
            if query is None:
                self._found = await self._of_ids(roost)
            else:
                self._found = await previewed(roost, query, self.verb, MOST, self._tell)
        except RoostError as error:
            self._end(Phase.STOPPED, str(error))
            return
        except Exception:  # noqa: BLE001 - as below
            self._fail()
            return
        self.preview = self._found.done()
        self._end(Phase.READY)

    async def _of_ids(self, roost: Roost) -> Previewing:
        found = Previewing(self.verb)
        missing: list[str] = []
        ids = self.target.ids
        for first in range(0, len(ids), _AT_ONCE):
            some = ids[first : first + _AT_ONCE]
            for work_id, facts in zip(
                some, await asyncio.gather(*map(roost.ledger.facts, some)), strict=True
            ):
                if facts is None:
                    missing.append(work_id)
                else:
                    found.add(facts.work)
            self._tell(len(some))
        self.missing = tuple(missing)
        return found

    def _tell(self, count: int) -> None:
        self.looked += count

    # -- acting ----------------------------------------------------------------------------

    async def act(self, roost: Roost, order: Order, over: float) -> None:
        """Do it. What has changed since it was seen is left alone, and counted.

        :param over: seconds over which what is retried is spread.
        """
        assert self._found is not None
        begin = time.monotonic()
        orders = self._counted(self._found.chosen.orders(order, over))
        control = roost.controlling
        results = each(orders, lambda one: control.carry_out(*one))
        try:
            async with contextlib.aclosing(results):
                async for (work_id, _), result in results:
                    self.seconds = time.monotonic() - begin
                    if isinstance(result, _FINAL):
                        self._end(Phase.STOPPED, str(result))
                        return
                    self._note(work_id, result)
        except asyncio.CancelledError:
            self._end(Phase.CANCELLED)
            raise
        except Exception:  # noqa: BLE001 - nobody awaits this task: the page and the log tell
            self._fail()
            return
        self._end(Phase.DONE)

    def _counted(self, orders: Iterator[tuple[str, Order]]) -> Iterator[tuple[str, Order]]:
        for one in orders:
            self.begun += 1
            yield one

    def _note(self, work_id: str, result: VerbResult | RoostError) -> None:
        if isinstance(result, RoostError):
            self.failed += 1
            if len(self.failures) < MOST_NAMED:
                self.failures.append((work_id, str(result)))
            return
        self.counts[result.outcome] += 1
        self.left += result.left is not None

    def _fail(self) -> None:
        _log.exception("%s has failed", self.target.command)
        self._end(Phase.STOPPED, "a fault in Roost or in a plugin: the console's log has it")

    def _end(self, phase: Phase, problem: str = "") -> None:
        self.phase, self.problem = phase, problem
        self.touched_at = time.monotonic()
        if phase is not Phase.READY:
            self._found = None  # it can be large
