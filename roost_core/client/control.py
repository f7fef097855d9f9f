"""What people and programs do to work: orders on their way to the queue, and what they come to."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import attrs

from roost_core.backend.ledger import Ledger
from roost_core.backend.orders import Halt, Order, OrderAnswer, OrderOutcome
from roost_core.backend.reports import Purged
from roost_core.backend.server import Server
from roost_core.client.missing import not_found
from roost_core.client.requests import deadline_of, to_deadline_ms
from roost_core.client.waiting import PATIENCE_SECONDS, repeated
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord, RoostError, VerbUnfit
from roost_core.models.checks import MAX_ACTOR, check_count, check_seconds, milliseconds
from roost_core.models.control import Actor, HeldEngine, Verb
from roost_core.models.work import State
from roost_core.settings import Settings
from roost_core.shown import verbs, views
from roost_core.threads import run_in_thread
from roost_core.values import Value
from roost_core.wording.redaction import redacted_text

_T = TypeVar("_T")

#: How many orders are under way at a time when there are many.
AT_ONCE: Final = 32


@attrs.frozen(eq=False, repr=False)
class VerbResult(Value):
    """What has become of a work item for which a verb was used.

    :ivar outcome: ``done``; ``requested`` if its running step has to end first; ``already`` if it
        was so before, so that nothing has happened; or ``changed`` if it was not as expected.
    :ivar state: where it stands now; None if it is gone.
    :ivar wish: what its running step was asked for and has not done yet.
    :ivar left: after a drop, why something that it had outside of the queue is still there: a
        worker removes it later.
    """

    work_id: str
    verb: Verb
    outcome: OrderOutcome
    state: State | None = None
    wish: Verb | None = None
    left: str | None = None

    def __str__(self) -> str:
        """Say it in a few words."""
        return verbs.said(self.verb, self.outcome, self.state, self.wish)


@attrs.frozen(eq=False)
class Controlling:
    """What it takes to do what people want.

    ``forgetter`` makes what removes, and blocks meanwhile, what a dropped work item had outside of
    the queue; that returns why something is left.
    """

    settings: Settings
    server: Server
    ledger: Ledger
    forgetter: Callable[[], Callable[[Purged], list[Exception]]]

    def actor(self, actor: Actor | str | None, reason: str | None, tool: str = "python") -> Actor:
        """Return who acts: as given, else as set, else this process's user and host.

        Secrets in the reason, such as ``password=...``, are hidden: it is kept, and shown to all.

        :param tool: with what, unless that is given.
        :raises InvalidInput: a name or the reason is empty, too long or not printable.
        """
        if isinstance(actor, Actor):
            given = actor if reason is None else attrs.evolve(actor, reason=reason)
        else:
            who = self.settings.actor or _user_at_host() if actor is None else actor
            given = Actor(who, tool, reason)
        # What is checked first is checked as it was given.
        if given.reason is None:
            return given
        return attrs.evolve(given, reason=redacted_text(given.reason))

    async def retrying(
        self,
        actor: Actor,
        *,
        delay_seconds: float = 0,
        max_attempts: int | None = None,
        deadline_at: datetime | None = None,
        deadline_seconds: float | None = None,
        max_steps: int | None = None,
    ) -> Order:
        """Return an order to retry work; also for many: an order's id is unique to a work item.

        :raises InvalidInput: a value cannot be accepted.
        :raises BackendUnavailable: no answer about the server's clock, which a deadline needs.
        """
        deadline_ms = await self.deadline_ms(deadline_at, deadline_seconds)
        if max_attempts is not None:
            check_count(max_attempts, "max_attempts", least=1)
        if max_steps is not None:
            check_count(max_steps, "max_steps")
        return new_order(
            Verb.RETRY,
            actor,
            delay_ms=milliseconds(check_seconds(delay_seconds, "delay_seconds")),
            max_attempts=max_attempts,
            deadline_ms=deadline_ms,
            max_steps=max_steps,
        )

    async def deadline_ms(self, at: datetime | None, seconds: float | None) -> int | None:
        """Return the new deadline that is given as a time or in seconds from now on, if any is.

        :raises InvalidInput: it cannot be accepted, or has passed.
        :raises BackendUnavailable: no answer about the server's clock.
        """
        if at is None and seconds is None:
            return None
        now_ms = await repeated(self.server.now_ms, PATIENCE_SECONDS)
        return to_deadline_ms(deadline_of(at, seconds, now_ms), now_ms)

    async def carry_out(self, work_id: str, order: Order) -> VerbResult:
        """Do to a work item what an order says. One without an answer is repeated for a while.

        :raises WorkNotFound: no work item has this id.
        :raises VerbUnfit: it does not fit the state of the work.
        :raises WrittenByNewer: a newer Roost wrote the work item, and can do it.
        :raises CorruptRecord: its record does not decode; it can only be dropped.
        :raises BackendUnavailable: no answer; whether it was done is not known.
        :raises BackendError: the backend does not offer it.
        :raises PluginError: what a drop has to remove cannot be reached; nothing was done.
        """
        forget = None
        # What a preview has shown was there.
        was_seen = order.if_state is not None or order.life is not None
        if order.verb is Verb.DROP:
            forget = self.forgetter()
            if order.life is None:
                stored = await repeated(lambda: self.ledger.read(work_id), PATIENCE_SECONDS)
                if stored is None and not was_seen:
                    raise not_found(work_id, self.ledger.queue)
                # A record that does not decode has none.
                life = None if stored is None else stored.created_ms or None
                order, was_seen = attrs.evolve(order, life=life), True
        answer = await repeated(lambda: self.ledger.order(work_id, order), PATIENCE_SECONDS)
        if was_seen and answer.outcome is OrderOutcome.MISSING:
            # It was there a moment ago: by a first try whose answer was lost, or by somebody else,
            # it is dropped, and what it had elsewhere was removed before that was forgotten.
            is_drop = order.verb is Verb.DROP
            outcome = OrderOutcome.ALREADY if is_drop else OrderOutcome.CHANGED
            return VerbResult(work_id, order.verb, outcome)
        await self.refuse(work_id, answer, partial(verbs.unfit, work_id, order.verb))
        if forget is not None and answer.outcome in (OrderOutcome.DONE, OrderOutcome.ALREADY):
            # The queue keeps it on record until a worker has done the same: artifacts and
            # workspaces may be on the worker's machine, and not on this one.
            gone = answer.purged or Purged(work_id, order.life)
            errors = await run_in_thread(forget, gone)
            left = str(errors[0]) if errors else None
            return VerbResult(work_id, order.verb, answer.outcome, left=left)
        return VerbResult(work_id, order.verb, answer.outcome, answer.state, answer.wish)

    async def refuse(
        self, work_id: str, answer: OrderAnswer, unfit: Callable[[State, Verb | None], str]
    ) -> None:
        """Raise what an answer means if nothing was done.

        :param unfit: says why it does not fit, by the state and what is wished of a running step.
        :raises RoostError: as for :meth:`carry_out`.
        """
        if answer.outcome is OrderOutcome.MISSING:
            raise not_found(work_id, self.ledger.queue)
        if answer.outcome is OrderOutcome.UNFIT and answer.state is not None:
            raise VerbUnfit(unfit(answer.state, answer.wish))
        if answer.outcome is OrderOutcome.LATE:
            raise VerbUnfit(verbs.late(work_id))
        if answer.outcome is OrderOutcome.NEWER:
            stored = await self.ledger.read(work_id)
            if stored is not None:
                views.item(stored)  # It says which, and who can.
        if answer.outcome in (OrderOutcome.NEWER, OrderOutcome.CORRUPT):
            raise CorruptRecord(f"{work_id}: its record does not decode: it can only be dropped")

    # -- engines ---------------------------------------------------------------------------

    async def hold(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine; return whether that is new.

        :param request_id: of a request that may have been sent before; it counts once.
        """
        request = request_id or _new_request()
        return await repeated(lambda: self.ledger.halt(engine, actor, request), PATIENCE_SECONDS)

    async def release(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine no more; return whether it was held.

        :param request_id: as in :meth:`hold`.
        """
        request = request_id or _new_request()
        return await repeated(lambda: self.ledger.unhalt(engine, actor, request), PATIENCE_SECONDS)

    async def held(self) -> list[HeldEngine]:
        """Return the engines that are held, by name."""
        return [_held(one) for one in await repeated(self.ledger.halts, PATIENCE_SECONDS)]


def _new_request() -> str:
    return secrets.token_hex(8)


def new_order(
    verb: Verb,
    actor: Actor,
    *,
    delay_ms: int = 0,
    max_attempts: int | None = None,
    deadline_ms: int | None = None,
    max_steps: int | None = None,
) -> Order:
    """Return an order with an id of its own."""
    return Order(
        request_id=_new_request(),
        verb=verb,
        actor=actor,
        delay_ms=delay_ms,
        max_attempts=max_attempts,
        deadline_ms=deadline_ms,
        max_steps=max_steps,
    )


async def each(
    those: Iterable[_T],
    act: Callable[[_T], Awaitable[VerbResult]],
    *,
    at_once: int = AT_ONCE,
) -> AsyncGenerator[tuple[_T, VerbResult | RoostError], None]:
    """Use a verb on many work items, some at a time; yield each with what it came to, in order.

    An expected error of one is its outcome, and does not stop the rest. Whoever stops listening
    stops it: what is under way is cancelled, and may have been done.

    :param those: what to act on; taken only as far as there is room for more.
    :param act: does it to one.
    """
    waiting: deque[tuple[_T, asyncio.Task[VerbResult | RoostError]]] = deque()

    async def one(what: _T) -> VerbResult | RoostError:
        try:
            return await act(what)
        except RoostError as error:
            return error

    try:
        for what in those:
            waiting.append((what, asyncio.ensure_future(one(what))))
            if len(waiting) >= at_once:
                first, task = waiting[0]
                yield first, await task
                waiting.popleft()
        while waiting:
            first, task = waiting[0]
            yield first, await task
            waiting.popleft()
    finally:
        tasks = [task for _, task in waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _held(halt: Halt) -> HeldEngine:
    return HeldEngine(halt.engine, halt.actor, from_milliseconds(halt.since_ms))


def _user_at_host() -> str:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a user without a name, as in some containers
        user = str(uid)
    who = f"{user}@{socket.gethostname()}"
    return "".join(one if one.isprintable() else "?" for one in who)[:MAX_ACTOR]
