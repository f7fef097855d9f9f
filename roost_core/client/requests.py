"""A request to enqueue, its checks, and the errors for a refusal."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import attrs

from roost_core.backend.messages import Enqueued, EnqueueOutcome, NewWork
from roost_core.codec.records import encode_item
from roost_core.codec.strict_json import digest
from roost_core.codec.times import from_milliseconds, to_milliseconds
from roost_core.errors import (
    IdempotencyConflict,
    InvalidInput,
    RoostError,
    UnknownEngine,
    WorkIdTaken,
)
from roost_core.models.checks import check_count, check_seconds, milliseconds
from roost_core.models.work import (
    DEFAULT_MAX_RECOVERIES,
    DEFAULT_MAX_STEPS,
    DEFAULT_STEP_TIMEOUT_SECONDS,
    RetryPolicy,
    WorkItem,
)
from roost_core.values import Json, Value
from roost_core.wording.suggestions import close_matches

_T = TypeVar("_T")

#: No deadline is at or after this: the year 9999, in milliseconds since the epoch.
_LATEST_MS: Final = 253_370_764_800_000


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EnqueueRequest(Value):
    """One work item to enqueue.

    :ivar engine: its id.
    :ivar payload: JSON, at most 1 MiB.
    :ivar work_id: a random one if not given.
    :ivar idempotency_key: the same key with the same engine and payload
        returns the work item that is already stored.
    :ivar priority: from -1000 to 1000; higher runs first.
    :ivar resources: at most 32 names; one work item at a time has each.
    :ivar labels: keys and values for people to find and group by, at most 16.
    :ivar delay_seconds: start after this delay, ten years at most.
    :ivar deadline_at: an aware time; no step begins after it, and work not done by then is
        dead-lettered.
    :ivar deadline_seconds: the same from now on, by the server's clock.
    :ivar title: a text for people, at most 200 characters.
    :ivar retry: how often a failing step is tried, and when.
    :ivar max_recoveries: dead-letter it when this many workers have died over one step while they
        ran nothing else; 3 if not given.
    :ivar max_steps: how many steps may follow each other without a delay, 0 for any number;
        if not given, the engine's own bound if it is installed here, else 10,000.
    :ivar step_timeout_seconds: a step's longest time; an hour if not given.
    """

    engine: str
    payload: Json = attrs.field(default=None, repr=False)
    work_id: str | None = None
    idempotency_key: str | None = None
    priority: int = 0
    resources: Sequence[str] = ()
    labels: Mapping[str, str] = attrs.field(factory=dict)
    delay_seconds: float = 0
    deadline_at: datetime | None = None
    deadline_seconds: float | None = None
    title: str | None = None
    retry: RetryPolicy | None = None
    max_recoveries: int | None = None
    max_steps: int | None = None
    step_timeout_seconds: float | None = None

    def build(
        self, now_ms: int | None = None, engine_max_steps: int | None = None
    ) -> tuple[WorkItem, NewWork]:
        """Check everything and return the work item, and its stored form.

        :param now_ms: the server's clock, needed for ``deadline_seconds``; if given, a deadline
            that has passed is refused.
        :param engine_max_steps: the engine's own bound on steps in a row, if it has one.
        :raises InvalidInput: a value cannot be accepted; the text says which.
        """
        item = WorkItem(
            work_id=new_work_id() if self.work_id is None else self.work_id,
            engine=self.engine,
            payload=self.payload,
            priority=self.priority,
            resources=self.resources,
            labels=self.labels,
            title=self.title,
            idempotency_key=self.idempotency_key,
            deadline_at=deadline_of(self.deadline_at, self.deadline_seconds, now_ms),
            retry=RetryPolicy() if self.retry is None else self.retry,
            max_recoveries=_or(self.max_recoveries, DEFAULT_MAX_RECOVERIES),
            max_steps=_or(self.max_steps, _or(engine_max_steps, DEFAULT_MAX_STEPS)),
            step_timeout_seconds=_or(self.step_timeout_seconds, DEFAULT_STEP_TIMEOUT_SECONDS),
        )
        deadline_ms = to_deadline_ms(item.deadline_at, now_ms)
        check_count(item.retry.max_attempts, "max_attempts")
        check_count(item.max_recoveries, "max_recoveries", least=1)
        check_count(item.max_steps, "max_steps")
        delay_ms = milliseconds(check_seconds(self.delay_seconds, "delay_seconds"))
        return item, to_store(item, deadline_ms=deadline_ms, delay_ms=delay_ms)


def to_store(item: WorkItem, *, deadline_ms: int | None, delay_ms: int = 0) -> NewWork:
    """Return a checked work item as it is stored.

    :param deadline_ms: its deadline, by the server's clock.
    :param delay_ms: how long until it is due.
    """
    return NewWork(
        work_id=item.work_id,
        engine=item.engine,
        item=encode_item(item),
        nonce=secrets.token_hex(8),
        digest=digest(item.engine, item.payload),
        priority=item.priority,
        resources=item.resources,
        labels=item.labels,
        idempotency_key=item.idempotency_key,
        delay_ms=delay_ms,
        deadline_ms=deadline_ms,
        max_attempts=item.retry.max_attempts,
        max_recoveries=item.max_recoveries,
        max_steps=item.max_steps,
    )


def deadline_of(at: datetime | None, seconds: float | None, now_ms: int | None) -> datetime | None:
    """Return the deadline that is given as a time or in seconds from now on, if any is.

    :raises InvalidInput: both are given, or the seconds cannot be accepted.
    """
    if seconds is None:
        return at
    if at is not None:
        raise InvalidInput("give deadline_at or deadline_seconds, not both")
    if check_seconds(seconds, "deadline_seconds") == 0:
        raise InvalidInput("deadline_seconds must be above 0: no work is done at once")
    return from_milliseconds((now_ms or 0) + milliseconds(seconds))


def new_work_id() -> str:
    """Make an id for a work item without one."""
    return f"w-{secrets.token_hex(8)}"


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def to_deadline_ms(value: datetime | None, now_ms: int | None) -> int | None:
    """Return a deadline as the backend stores it.

    :param now_ms: the server's clock; if given, a deadline that has passed is refused.
    :raises InvalidInput: it cannot be accepted.
    """
    if value is None:
        return None
    at_ms = to_milliseconds(value)
    # A zone's offset may push a time outside what UTC can express, and 0 means no deadline.
    if not 0 < at_ms < _LATEST_MS:
        raise InvalidInput(f"deadline_at must lie between 1970 and 9999, not at {value}")
    if now_ms is not None and at_ms <= now_ms:
        raise InvalidInput(f"the deadline {value} has passed by the server's clock: give another")
    return at_ms


def refusal(new: NewWork, answer: Enqueued) -> RoostError | None:
    """Return the error that an answer means, or None if the work is stored."""
    if answer.outcome is EnqueueOutcome.TAKEN:
        return WorkIdTaken(
            f"work id {new.work_id} is taken by another work item, which was left as it is"
        )
    if answer.outcome is EnqueueOutcome.CONFLICT:
        return IdempotencyConflict(
            f"idempotency key {new.idempotency_key!r} was used before, "
            f"for another engine or payload ({answer.work_id})"
        )
    return None


def unknown_engine(
    engine: str,
    offered: Collection[str],
    by: str = "no installed plugin and no live worker offers",
) -> UnknownEngine:
    """Return the error for an engine that is not offered, with similar names."""
    close = close_matches(engine, sorted(offered))
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    else:
        known = f"offered are: {', '.join(sorted(offered)[:10])}" if offered else "none is offered"
        hint = f"name its plugin with --plugin or ROOST_PLUGINS ({known})"
    return UnknownEngine(f"{by} the engine {engine!r}; {hint}")
