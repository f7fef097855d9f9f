"""The durable unit of work, where it stands, and how often its steps are tried."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.models.checks import (
    ENGINE_ID,
    RESOURCE,
    WORK_ID,
    at_least,
    check_seconds,
    in_words,
    instance,
    label,
    labels,
    matching,
    positive,
    shown,
)
from roost_core.values import Json, Value

#: Work items carry a priority between these two; higher runs first.
MIN_PRIORITY: Final = -1000
MAX_PRIORITY: Final = 1000
#: A step is given up after this many seconds unless the work item says otherwise.
DEFAULT_STEP_TIMEOUT_SECONDS: Final = 3600.0
#: A work item is dead-lettered when this many workers that ran nothing else have died.
DEFAULT_MAX_RECOVERIES: Final = 3
#: This many steps may follow each other without a delay, unless the work item says otherwise.
DEFAULT_MAX_STEPS: Final = 10_000
#: The most resources that one work item may name.
MAX_RESOURCES: Final = 32


class State(enum.StrEnum):
    """Where a work item stands. Each one that is not terminal is exactly one place."""

    QUEUED = "queued"
    SLEEPING = "sleeping"
    RUNNING = "running"
    RETRY_WAIT = "retry_wait"
    BLOCKED = "blocked"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the work has ended."""
        return self in TERMINAL_STATES


TERMINAL_STATES: Final = frozenset({State.DONE, State.FAILED, State.CANCELLED})


def state_of(value: State | str | None) -> State | None:
    """Return the state that somebody has named, or None if none is.

    :raises InvalidInput: there is no such state.
    """
    try:
        return None if value is None else State(value)
    except ValueError:
        raise InvalidInput(f"unknown state {value!r}: {', '.join(State)}") from None


def _resources(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    if len(value) > MAX_RESOURCES:
        raise InvalidInput(f"a work item may name at most {MAX_RESOURCES} resources")
    for name in value:
        if not isinstance(name, str) or RESOURCE.fullmatch(name) is None:
            raise InvalidInput(f"{shown(name)} is not a valid resource: {in_words(RESOURCE)}")
    if len(set(value)) != len(value):
        raise InvalidInput("a work item may name each resource once")


def _priority(_instance: object, _attribute: object, value: object) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not MIN_PRIORITY <= value <= MAX_PRIORITY
    ):
        raise InvalidInput(
            f"priority must be a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, "
            f"not {shown(value)}"
        )


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise InvalidInput("resources must be a list of names")
    return tuple(value)


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """How often a failing step is tried, and how long Roost waits in between.

    Attempts are counted per step: an accepted step resets the count. The
    wait before attempt *n* + 1 is ``base_seconds * factor ** (n - 1)``, at most
    ``max_seconds``, less a random share of up to ``jitter`` of it.
    """

    max_attempts: int = attrs.field(default=5, validator=at_least(1))
    base_seconds: float = attrs.field(default=1.0, validator=positive)
    factor: float = attrs.field(default=2.0, validator=positive)
    max_seconds: float = attrs.field(default=300.0, validator=positive)
    jitter: float = attrs.field(default=0.2)
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)

    @jitter.validator
    def _share(self, _attribute: object, value: float) -> None:
        if not 0 <= check_seconds(value, "jitter") <= 1:
            raise InvalidInput("jitter must be a share between 0 and 1")

    @factor.validator
    def _grows(self, _attribute: object, value: float) -> None:
        if value < 1:
            raise InvalidInput("factor must be at least 1: waits do not shrink")


@attrs.frozen(eq=False, repr=False)
class ForkedFrom(Value):
    """The version of another work item that one began with."""

    work_id: str = attrs.field(validator=matching(WORK_ID, "work id"))
    version: int = attrs.field(validator=at_least(1))
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class WorkItem(Value):
    """The durable unit of work, as it was accepted; it never changes.

    ``max_steps`` is how many steps may be accepted in a row without a delay between them;
    0 means any number, which items stored before there was a bound have. ``labels`` are for people
    to find and group by, at most 16. ``forked_from`` is there if it began with a version of another
    work item, by a replay.
    ``extra`` holds fields that a newer Roost wrote and this one does not know;
    they survive a round trip.
    """

    work_id: str = attrs.field(validator=matching(WORK_ID, "work id"))
    engine: str = attrs.field(validator=matching(ENGINE_ID, "engine id"))
    payload: Json = None
    priority: int = attrs.field(default=0, validator=_priority)
    resources: tuple[str, ...] = attrs.field(default=(), converter=_names, validator=_resources)
    labels: Mapping[str, str] = attrs.field(factory=dict, validator=labels)
    title: str | None = attrs.field(default=None, validator=label)
    idempotency_key: str | None = attrs.field(default=None, validator=label)
    deadline_at: datetime | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(instance(datetime, "a datetime with a time zone")),
    )
    retry: RetryPolicy = attrs.field(
        default=RetryPolicy(), validator=instance(RetryPolicy, "a RetryPolicy")
    )
    max_recoveries: int = attrs.field(default=DEFAULT_MAX_RECOVERIES, validator=at_least(0))
    max_steps: int = attrs.field(default=0, validator=at_least(0))
    step_timeout_seconds: float = attrs.field(
        default=DEFAULT_STEP_TIMEOUT_SECONDS, validator=positive
    )
    parent: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(matching(WORK_ID, "parent work id"))
    )
    forked_from: ForkedFrom | None = None
    created_at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)
