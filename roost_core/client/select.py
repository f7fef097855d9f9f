"""The work items that a query is true of, to be read, counted, and acted on together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Final

import attrs

from roost_core.backend.finding import Found
from roost_core.backend.orders import Order
from roost_core.client import finding
from roost_core.client.connection import Connection
from roost_core.client.control import VerbResult, each, new_order
from roost_core.client.finding import Count
from roost_core.client.preview import Chosen, Preview, Previewing
from roost_core.client.waiting import PATIENCE_SECONDS, repeated
from roost_core.errors import BackendUnavailable, InvalidInput, RoostError
from roost_core.models.checks import check_count, check_seconds
from roost_core.models.control import Actor, Verb
from roost_core.models.standing import WorkRow
from roost_core.query.grouping import By
from roost_core.query.terms import Query
from roost_core.shown import views

#: How many work items come in one page.
_PAGE: Final = 500


@attrs.frozen
class Selection:
    """The work items that a query is true of: :meth:`Roost.select` makes it. It sends no request.

    The verbs are those of a :class:`~roost_core.client.work.Work`, used on all of them, some at a
    time. Each reads first what is selected, and leaves alone what has changed by the time its turn
    comes: its outcome is ``changed``. Each returns what has become of every work item by its id:
    a :class:`~roost_core.client.control.VerbResult`, or the error that the verb of a single one
    would have raised, which does not stop the rest. Only if the server goes away, none is tried any
    more: the error of those says so, and that it took no effect. Each can raise
    :class:`~roost_core.errors.InvalidInput` for a value that cannot be accepted, and
    :class:`~roost_core.errors.BackendUnavailable` if there is no answer while it reads.

    :ivar query: what is selected.
    """

    _roost: Connection = attrs.field(repr=False)
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
        async for page in _pages(self._roost, self.query):
            for stored in page.works:
                yield views.row(stored)

    async def preview(self, verb: Verb | str, *, limit: int | None = None) -> Preview:
        """Return what a verb would be used on: those of them that it fits. Nothing is done.

        :param verb: such as ``retry``.
        :param limit: no more than this many.
        :raises InvalidInput: there is no such verb, or the limit is negative.
        :raises BackendUnavailable: no answer.
        """
        try:
            known = Verb(verb)
        except ValueError:
            raise InvalidInput(f"no verb {verb!r:.80}; there are {', '.join(Verb)}") from None
        if limit is not None:
            check_count(limit, "limit")
        return (await previewed(self._roost, self.query, known, limit)).done()

    async def cancel(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Cancel them.

        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
        return await self._use(Verb.CANCEL, reason, actor)

    async def pause(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Let them rest until they are resumed.

        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
        return await self._use(Verb.PAUSE, reason, actor)

    async def resume(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Let those that are paused continue.

        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
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
        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
        control = self._roost.controlling
        order = await control.retrying(
            control.actor(actor, reason),
            delay_seconds=delay_seconds,
            max_attempts=max_attempts,
            deadline_at=deadline_at,
            deadline_seconds=deadline_seconds,
            max_steps=max_steps,
        )
        return await self._carry_out(order, check_seconds(over_seconds, "over_seconds"))

    async def bury(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Make dead letters of them.

        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
        return await self._use(Verb.BURY, reason, actor)

    async def drop(
        self, *, reason: str | None = None, actor: Actor | str | None = None
    ) -> dict[str, VerbResult | RoostError]:
        """Remove those that have ended for good.

        :raises BackendUnavailable: no answer while it reads; nothing was done.
        """
        return await self._use(Verb.DROP, reason, actor)

    async def _use(
        self, verb: Verb, reason: str | None, actor: Actor | str | None
    ) -> dict[str, VerbResult | RoostError]:
        actor = self._roost.controlling.actor(actor, reason)
        return await self._carry_out(new_order(verb, actor), 0)

    async def _carry_out(
        self, order: Order, over_seconds: float
    ) -> dict[str, VerbResult | RoostError]:
        chosen = Chosen()
        async for page in _pages(self._roost, self.query):
            for stored in page.works:
                chosen.add(stored)
        carry_out = self._roost.controlling.carry_out
        found: dict[str, VerbResult | RoostError] = {}
        silence: BackendUnavailable | None = None
        left = chosen.orders(order, over_seconds)

        def until_it_fails() -> Iterator[tuple[str, Order]]:
            while silence is None and (one := next(left, None)) is not None:
                yield one

        async for (work_id, _), result in each(until_it_fails(), lambda one: carry_out(*one)):
            found[work_id] = result
            if isinstance(result, BackendUnavailable):
                silence = silence or result
        for work_id, _ in left:
            # Each would fail in the same way, after seconds.
            untried = found[work_id] = BackendUnavailable(f"not tried: {silence}")
            untried.took_no_effect = True
        return found


async def previewed(
    roost: Connection,
    query: Query,
    verb: Verb,
    limit: int | None,
    tell: Callable[[int], None] = lambda _: None,
) -> Previewing:
    """Return a preview with all that it takes to act on it.

    :param tell: told how many more were found, page by page.
    :raises BackendUnavailable: no answer.
    """
    found = Previewing(verb, limit)
    async with contextlib.aclosing(_pages(roost, query)) as pages:
        async for page in pages:
            found.look(page)
            if not all(map(found.add, page.works)):
                break
            tell(len(page.works))
    return found


async def _pages(roost: Connection, query: Query) -> AsyncGenerator[Found, None]:
    """Yield pages of what a query finds, as it is stored; each work item once."""
    now_ms = await repeated(lambda: finding.now_at(roost, query), PATIENCE_SECONDS)
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        page = await _page(roost, query, now_ms, cursor)
        works = [one for one in page.works if one.work_id not in seen]
        seen.update(one.work_id for one in works)
        yield attrs.evolve(page, works=tuple(works))
        cursor = page.cursor
        if cursor is None:
            return


async def _page(roost: Connection, query: Query, now_ms: int, cursor: str | None) -> Found:
    return await repeated(
        lambda: roost.ledger.find(query, now_ms=now_ms, limit=_PAGE, cursor=cursor),
        PATIENCE_SECONDS,
    )
