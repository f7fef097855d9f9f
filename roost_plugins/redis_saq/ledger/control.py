"""What people do to work: the scripts behind the verbs, and behind engines that are held."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from roost_core.backend import Halt, Order, OrderAnswer, OrderOutcome, Purged, Rewind
from roost_core.codec.strict_json import parse
from roost_core.errors import BackendError
from roost_core.models import Actor, Verb
from roost_plugins.redis_saq.ledger.envelope import entries
from roost_plugins.redis_saq.ledger.one_queue import Part
from roost_plugins.redis_saq.record.acts import actor_json, actor_of
from roost_plugins.redis_saq.record.answers import time_of
from roost_plugins.redis_saq.record.kinds import STATES, UNKNOWN, WISH

#: About how many leases one call checks when an engine is held.
_STEP: Final = 200


class RedisControl(Part):
    """Does to the work of one queue what people want, each time with one script."""

    async def order(self, work_id: str, order: Order) -> OrderAnswer:
        """Do to a work item what a person wants."""
        if order.verb is Verb.DROP:
            return await self._drop(work_id, order)
        answer = await self._call(
            "control",
            work_id,
            order.verb.value,
            order.request_id,
            *_conditions(order),
            actor_json(order.actor),
            order.delay_ms,
            _or_nothing(order.max_attempts),
            _or_nothing(None if order.deadline_ms is None else max(1, order.deadline_ms)),
            _or_nothing(order.max_steps),
            _or_nothing(order.life),
        )
        return _answered(answer, work_id)

    async def rewind(self, work_id: str, rewind: Rewind) -> OrderAnswer:
        """Put a work item back to an earlier version."""
        past = rewind.past
        answer = await self._call(
            "rewind",
            work_id,
            rewind.request_id,
            *_conditions(rewind),
            actor_json(rewind.actor),
            _or_nothing(None if rewind.deadline_ms is None else max(1, rewind.deadline_ms)),
            _or_nothing(rewind.life),
            past.version,
            past.snapshot,
            past.step,
            past.who,
            past.back,
            past.from_version,
            *entries(rewind.mended),
        )
        return _answered(answer, work_id)

    async def _drop(self, work_id: str, order: Order) -> OrderAnswer:
        answer = await self._call(
            "drop", work_id, *_conditions(order), actor_json(order.actor), order.life or ""
        )
        words = answer.split(b" ")
        found = _answered(b" ".join(words[:4]), work_id)
        if len(words) < 5:
            return found
        gone = Purged(work_id, int(words[4]) or None)
        return OrderAnswer(found.outcome, found.state, found.version, purged=gone)

    async def halt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Hold an engine, and let the steps that run be the last of their leases."""
        first = (actor_json(actor), request_id or _new_request())
        is_new, cursor = await self._call("halt", engine, "0", _STEP, *first)
        while cursor != b"0":
            _, cursor = await self._call("halt", engine, cursor, _STEP)
        return bool(is_new)

    async def unhalt(self, engine: str, actor: Actor, request_id: str | None = None) -> bool:
        """Let the work of a held engine continue."""
        request = request_id or _new_request()
        return bool(await self._call("unhalt", engine, actor_json(actor), request))

    async def halts(self) -> Sequence[Halt]:
        """Return the engines that are held, by name."""
        found = await self.queue.plain("HGETALL", self.queue.keys.key("halted"))
        held = zip(found[::2], found[1::2], strict=True)
        return sorted((halt_of(engine, raw) for engine, raw in held), key=lambda one: one.engine)


def _new_request() -> str:
    return secrets.token_hex(8)


def _or_nothing(value: int | None) -> int | str:
    return "" if value is None else value


def _conditions(order: Order | Rewind) -> tuple[int | str, int | str]:
    return ("" if order.if_state is None else order.if_state.value, _or_nothing(order.if_fence))


def _answered(answer: bytes, work_id: str) -> OrderAnswer:
    try:
        outcome, *rest = answer.split(b" ")
        if not rest:
            return OrderAnswer(OrderOutcome(outcome.decode()))
        state, version, wish = rest
        return OrderAnswer(
            OrderOutcome(outcome.decode()),
            None if state == b"-" else STATES[state],
            int(version),
            WISH.read(wish),
        )
    except (KeyError, ValueError) as error:
        raise BackendError(f"unexpected answer about {work_id}: {answer!r:.200}") from error


def halt_of(engine: bytes, raw: bytes) -> Halt:
    """Read who holds an engine, and since when; what is damaged is nobody, and 1970."""
    try:
        plain: Any = parse(raw)
        since_ms = time_of(plain["at"])
    except (ValueError, KeyError, TypeError):
        since_ms = 0
    return Halt(engine.decode(errors="replace") or UNKNOWN, actor_of(raw), since_ms)
