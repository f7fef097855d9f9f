"""The work items that a query is true of, to be read, counted, and acted on together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.orders import Order
from roost_core.backend.server import Server
from roost_core.client import finding
from roost_core.client.control import Controlling, VerbResult, each, new_order
from roost_core.client.finding import Count
from roost_core.errors import RoostError
from roost_core.models.checks import check_seconds, milliseconds
from roost_core.models.control import Actor, Verb
from roost_core.models.standing import WorkRow
from roost_core.query.grouping import By
from roost_core.query.terms import Query
from roost_core.shown import views

#: How many work items come in one page.
_PAGE: Final = 500


class Connected(Protocol):
    """What is needed of a connection."""

    @property
    def server(self) -> Server:
        """The server of the queue."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the queue."""

    @property
    def controlling(self) -> Controlling:
        """What it takes to use verbs."""


@attrs.frozen
class Selection:
    """The work items that a query is true of: :meth:`Roost.select` makes it. It sends no request.

    The verbs are those of a :class:`~roost_core.client.work.Work`, used on all of them, some at a
    time. Each reads first what is selected, and leaves alone what has changed by the time its turn
    comes: its outcome is ``changed``. Each returns what has become of every work item by its id:
    a :class:`~roost_core.client.control.VerbResult`, or the error that the verb of a single one
    would have raised, which does not stop the rest. Each can raise
    :class:`~roost_core.errors.InvalidInput` for a value that cannot be accepted, and
    :class:`~roost_core.errors.BackendUnavailable` if there is no answer while it reads.

    :ivar query: what is selected.
    """

    _roost: Connected = attrs.field(repr=False)
    query: Query

    async def count(self, by: By | str | None = None) -> Count:
        """Count them, all together and in groups; see :meth:`Roost.count`.

        :raises InvalidInput: it cannot be counted by this.
        :raises BackendUnavailable: no answer.
        """
        return await finding.count(self._roost, self.query, by)

    async def rows(self) -> AsyncIterator[WorkRow]:
        """Yield all of them, however many must be looked at; each once.

        What changes meanwhile may be missed, so read all before you change any.

        :raises BackendUnavailable: no answer.
        """
        now_ms = await finding.now_at(self._roost, self.query)
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self._roost.ledger.find(
                self.query, now_ms=now_ms, limit=_PAGE, cursor=cursor
            )
            for stored in page.works:
                if stored.work_id not in seen:
                    seen.add(stored.work_id)
                    yield views.row(stored)
            cursor = page.cursor
            if cursor is None:
                return

    async def cancel(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Cancel them."""
        return await self._use(Verb.CANCEL, reason, actor)

    async def pause(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Let them rest until they are resumed."""
        return await self._use(Verb.PAUSE, reason, actor)

    async def resume(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Let those that are paused continue."""
        return await self._use(Verb.RESUME, reason, actor)

    async def retry(
        self,
        *,
        over_seconds: float = 0,
        delay_seconds: float = 0,
        max_attempts: int | None = None,
        deadline_at: datetime | None = None,
        deadline_seconds: float | None = None,
        max_steps: int | None = None,
        reason: str | None = None,
        actor: Actor | str | None = None,
    ) -> dict[str, VerbResult | RoostError]:
        """Put those back that are dead letters or cancelled.

        :param over_seconds: spread them evenly over this time, so that they do not all run at once.
        :raises InvalidInput: a value cannot be accepted.
        """
        control = self._roost.controlling
        order = await control.retrying(
            control.actor(actor, reason),
            delay_seconds=delay_seconds,
            max_attempts=max_attempts,
            deadline=deadline_at,
            deadline_seconds=deadline_seconds,
            max_steps=max_steps,
        )
        return await self._carry_out(order, check_seconds(over_seconds, "over_seconds"))

    async def bury(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Make dead letters of them."""
        return await self._use(Verb.BURY, reason, actor)

    async def drop(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Remove those that have ended for good."""
        return await self._use(Verb.DROP, reason, actor)

    async def _use(
        self, verb: Verb, reason: str | None, actor: Actor | str | None
    ) -> dict[str, VerbResult | RoostError]:
        actor = self._roost.controlling.actor(actor, reason)
        return await self._carry_out(new_order(verb, actor), 0)

    async def _carry_out(
        self, order: Order, over_seconds: float
    ) -> dict[str, VerbResult | RoostError]:
        rows = [row async for row in self.rows()]
        carry_out = self._roost.controlling.carry_out
        results = each(as_seen(rows, order, over_seconds), lambda one: carry_out(*one))
        return {work_id: result async for (work_id, _), result in results}


def as_seen(
    rows: Sequence[WorkRow], order: Order, over_seconds: float = 0
) -> Iterator[tuple[str, Order]]:
    """Yield an order for each work item, to be carried out only if it is still as it was seen.

    :param over_seconds: spread their delays evenly over this time.
    """
    for place, row in enumerate(rows):
        meta = row.meta
        delay_ms = order.delay_ms + milliseconds(over_seconds * place / len(rows))
        yield (
            meta.work_id,
            attrs.evolve(order, delay_ms=delay_ms, if_state=meta.state, if_fence=meta.fence),
        )
