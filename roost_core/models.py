"""The words of Roost as frozen classes.

Nothing here does I/O or reads a clock. Times are aware ``datetime`` values in
UTC, taken from the server; delays and durations are ``float`` seconds. What is
persisted of a model, and how, is :mod:`roost_core.codec`'s business.
"""

from __future__ import annotations

import enum
import math
import operator
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.values import Value, unchecked

#: Anything that JSON can hold. Engines see what a JSON round trip leaves.
Json = Any

WORK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
ENGINE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
#: Visible ASCII characters without spaces: what stands in texts that spaces take apart.
WORD: Final = re.compile(r"[\x21-\x7e]{1,200}")
RESOURCE: Final = WORD
ARTIFACT_ID: Final = re.compile(r"[0-9a-f]{64}")
EXTENSION: Final = re.compile(r"[a-z0-9]{1,8}")
# What each of them asks for, for people.
_IN_WORDS: Final = {
    WORK_ID: "1 to 128 letters, digits, '_', '.' or '-', the first a letter or a digit",
    ENGINE_ID: "1 to 64 letters, digits, '_', '.' or '-', the first a letter or a digit",
    WORD: "1 to 200 visible ASCII characters, no spaces",
    ARTIFACT_ID: "64 hexadecimal digits in lower case",
    EXTENSION: "1 to 8 lower-case letters or digits",
}

#: Work items carry a priority between these two; higher runs first.
MIN_PRIORITY: Final = -1000
MAX_PRIORITY: Final = 1000
#: The longest delay, ten years in seconds: longer ones are mistakes.
MAX_DELAY_SECONDS: Final = 10 * 365 * 86400.0
#: A step is given up after this many seconds unless the work item says otherwise.
DEFAULT_STEP_TIMEOUT_SECONDS: Final = 3600.0
#: A work item is dead-lettered when so many workers have died that ran nothing else.
DEFAULT_MAX_RECOVERIES: Final = 3
#: So many steps may follow each other without a delay, unless the work item says otherwise.
DEFAULT_MAX_STEPS: Final = 10_000
#: The most resources that one work item may name.
MAX_RESOURCES: Final = 32
#: The longest short text (title, step label, idempotency key), in characters.
MAX_LABEL: Final = 200
#: What a short text must not hold: control characters, line separators, lone surrogates.
#: All else is text: joiners, unusual spaces and emoji of any script. No pattern yet, because
#: compiling it takes longer than anything else here, and what is printable never meets it.
_NOT_TEXT: Final = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
#: The highest number of attempts, recoveries or steps in a row that a new work item may ask for.
MAX_COUNT: Final = 1_000_000_000


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
        """Whether the work is at its end."""
        return self in TERMINAL_STATES


TERMINAL_STATES: Final = frozenset({State.DONE, State.FAILED, State.CANCELLED})


def in_words(pattern: re.Pattern[str]) -> str:
    """Return what one of the patterns above asks for, for people."""
    return _IN_WORDS[pattern]


def matching(pattern: re.Pattern[str], what: str) -> Any:
    """Return an attrs validator: the value is a string that the whole pattern matches."""

    def validate(_instance: object, _attribute: object, value: object) -> None:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise InvalidInput(f"{_shown(value)} is not a valid {what}: {in_words(pattern)}")

    return validate


def _label(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        check_label(value, attribute.name)


def check_label(value: object, what: str) -> None:
    """Check a short text that people are shown.

    :param what: its name in the error.
    :raises InvalidInput: it is no text, or empty, too long, or holds control characters.
    """
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_LABEL
        # Nearly all are printable, and that is told far faster.
        or not (value.isprintable() or re.search(_NOT_TEXT, value) is None)
    ):
        raise InvalidInput(
            f"{what} must be 1 to {MAX_LABEL} printable characters without "
            f"control characters and line breaks, not {_shown(value)}"
        )


def _shown(value: object) -> str:
    """Show a refused value in short; a whole number may be too large to print."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    try:
        return f"{value!r:.80}"
    except ValueError:  # a list, say, that holds such a number
        return f"a {type(value).__name__}"


def check_count(value: int, what: str, least: int = 0) -> int:
    """Return a number of attempts, recoveries or steps that a new work item asks for.

    :raises InvalidInput: it is below ``least`` or above :data:`MAX_COUNT`.
    """
    if value < least:
        raise InvalidInput(f"{what} must be at least {least}, not {_shown(value)}")
    if value > MAX_COUNT:
        raise InvalidInput(f"{what} must be at most {MAX_COUNT}, not {_shown(value)}")
    return value


def _instance(kind: type, wanted: str) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidInput(f"{attribute.name} must be {wanted}, not {_shown(value)}")

    return validate


def check_seconds(value: object, what: str) -> float:
    """Return ``value`` as a delay in seconds.

    :raises InvalidInput: it is not a finite number between 0 and ten years.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{what} must be a number of seconds, not {_shown(value)}")
    # NaN fails every comparison; a whole number may be too large to print, or to be a float.
    if not 0 <= value <= MAX_DELAY_SECONDS:
        shown = value if isinstance(value, float) or abs(value) < 10**20 else "a huge number"
        raise InvalidInput(
            f"{what} must be finite, not negative and at most {MAX_DELAY_SECONDS:.0f} s, "
            f"not {shown}"
        )
    return float(value)


def milliseconds(seconds: float) -> int:
    """Round a checked delay up to whole milliseconds: nothing comes early."""
    # The inner rounding takes 0.1 + 0.2 back to 300 ms before the ceiling makes it 301.
    return math.ceil(round(seconds * 1000, 6))


def _positive(_instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    if check_seconds(value, attribute.name) <= 0:
        raise InvalidInput(f"{attribute.name} must be more than 0 seconds")


def _at_least(minimum: int) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[int], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise InvalidInput(
                f"{attribute.name} must be a whole number of at least {minimum}, "
                f"not {_shown(value)}"
            )

    return validate


def _resources(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    if len(value) > MAX_RESOURCES:
        raise InvalidInput(f"a work item may name at most {MAX_RESOURCES} resources")
    for name in value:
        if not isinstance(name, str) or RESOURCE.fullmatch(name) is None:
            raise InvalidInput(f"{_shown(name)} is not a valid resource: {in_words(RESOURCE)}")
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
            f"not {_shown(value)}"
        )


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise InvalidInput("resources must be a list of names")
    return tuple(value)


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """How often a failing step is tried, and how long Roost waits in between.

    Attempts are counted per step: an accepted step starts the count anew. The
    wait before attempt *n* + 1 is ``base_seconds * factor ** (n - 1)``, at most
    ``max_seconds``, less a random share of up to ``jitter`` of it.
    """

    max_attempts: int = attrs.field(default=5, validator=_at_least(1))
    base_seconds: float = attrs.field(default=1.0, validator=_positive)
    factor: float = attrs.field(default=2.0, validator=_positive)
    max_seconds: float = attrs.field(default=300.0, validator=_positive)
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
class WorkItem(Value):
    """The durable unit of work, as it was accepted; it never changes afterwards.

    ``max_steps`` is how many steps may be accepted in a row without a delay between them;
    0 is any number, and what items have that were stored before there was a bound.
    ``extra`` holds fields that a newer Roost wrote and this one does not know;
    they survive a round trip.
    """

    work_id: str = attrs.field(validator=matching(WORK_ID, "work id"))
    engine: str = attrs.field(validator=matching(ENGINE_ID, "engine id"))
    payload: Json = None
    priority: int = attrs.field(default=0, validator=_priority)
    resources: tuple[str, ...] = attrs.field(default=(), converter=_names, validator=_resources)
    title: str | None = attrs.field(default=None, validator=_label)
    idempotency_key: str | None = attrs.field(default=None, validator=_label)
    deadline_at: datetime | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_instance(datetime, "a datetime with a time zone")),
    )
    retry: RetryPolicy = attrs.field(
        default=RetryPolicy(), validator=_instance(RetryPolicy, "a RetryPolicy")
    )
    max_recoveries: int = attrs.field(default=DEFAULT_MAX_RECOVERIES, validator=_at_least(0))
    max_steps: int = attrs.field(default=0, validator=_at_least(0))
    step_timeout_seconds: float = attrs.field(
        default=DEFAULT_STEP_TIMEOUT_SECONDS, validator=_positive
    )
    parent: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(matching(WORK_ID, "parent work id"))
    )
    created_at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class Artifact(Value):
    """Bytes that an engine produced, named by their SHA-256 in lower-case hex."""

    artifact_id: str = attrs.field(validator=matching(ARTIFACT_ID, "artifact id"))
    size_bytes: int = attrs.field(validator=_at_least(0))
    ext: str = attrs.field(default="bin", validator=matching(EXTENSION, "artifact extension"))
    name: str | None = attrs.field(default=None, validator=_label)
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class Snapshot(Value):
    """An engine's state after a step.

    Engines make the first with :meth:`start` and each next one with
    :meth:`evolve` or :meth:`finish`. The runtime alone numbers versions, checks
    the result and fills in the three times; whatever an engine writes there is
    replaced.
    """

    work_id: str
    engine: str
    version: int = 0
    step: str = attrs.field(default="init", validator=_label)
    data: Mapping[str, Json] = attrs.field(factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    is_finished: bool = False
    next_step_delay_seconds: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)

    @classmethod
    def start(cls, item: WorkItem, **fields: Any) -> Snapshot:
        """Make the first snapshot of a work item; ``fields`` are this class's own."""
        return cls(work_id=item.work_id, engine=item.engine, **fields)

    def evolve(self, **changes: Any) -> Snapshot:
        """Make the next snapshot: this one with ``changes``.

        A delay is not inherited: without ``next_step_delay_seconds`` the next
        step follows at once. The label ``step`` is, except that ``init`` becomes
        ``step``, and ``done`` if the work is finished.
        """
        is_labelled = "step" in changes
        changes.setdefault("next_step_delay_seconds", None)
        if changes.get("is_finished"):
            changes.setdefault("step", "done")
        elif self.step == "init":
            changes.setdefault("step", "step")
        fields = dict(zip(_SNAPSHOT_FIELDS, _snapshot_values(self), strict=True))
        fields.update(changes)
        if is_labelled or len(fields) > len(_SNAPSHOT_FIELDS):
            return Snapshot(**fields)
        # There is nothing new to check, and each step comes through here.
        return unchecked_snapshot(*fields.values())

    def finish(self, **changes: Any) -> Snapshot:
        """Make the last snapshot: finished, and labelled ``done`` unless given."""
        return self.evolve(is_finished=True, **changes)


_SNAPSHOT_FIELDS: Final = tuple(one.name for one in attrs.fields(Snapshot))
_snapshot_values: Final = operator.attrgetter(*_SNAPSHOT_FIELDS)
#: Makes a snapshot of values that have been checked: of all fields.
unchecked_snapshot: Final = unchecked(Snapshot)


@attrs.frozen(eq=False, repr=False)
class Lease(Value):
    """One worker's time-bound right to a work item.

    The server decides by ``token``; ``fence`` only grows, per work item, and is
    for systems outside Roost. ``expires_at`` is by the server's clock.
    """

    work_id: str
    worker_id: str
    token: str = attrs.field(repr=False)
    fence: int
    expires_at: datetime


@attrs.frozen(eq=False, repr=False)
class ErrorRecord(Value):
    """What went wrong, as it is kept with the work item and shown to people.

    ``kind`` is one of ``exception``, ``permanent``, ``timeout``,
    ``invalid_result``, ``hung`` (it blocked its worker), ``corrupt``, ``recoveries``
    (its worker died too often), ``steps`` (too many in a row without a delay) and
    ``deadline``.
    """

    kind: str
    message: str
    error_type: str | None = None
    traceback: str | None = None
    worker_id: str | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class Heartbeat(Value):
    """An engine's live word to people: how far it is, in 0 to 1, and what it does.

    ``at`` is when it said so, by the clock of the worker's machine, in UTC; all other times
    of a work item are the server's. None if a Roost stored it that did not note the time.
    """

    progress: float | None = None
    message: str = ""
    at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class WorkMeta(Value):
    """What the backend knows about a work item beside the item and its snapshot.

    ``attempts`` counts failed attempts of the current step, ``recoveries`` the workers
    that died over it while they ran nothing else, ``suspicions`` those that died, or are
    silent, over it and other work; an accepted step sets all to 0. ``steps_in_row`` counts
    steps since the last delay. ``leased_at`` and ``leased_version`` are when, and at which
    version, the newest lease began. ``reason`` is what ``RetryLater`` said, while the work
    sleeps for it; a long one is cut. Only :meth:`roost_core.Roost.status` looks it up.
    """

    work_id: str
    engine: str
    state: State
    priority: int
    version: int
    step: str | None
    attempts: int
    max_attempts: int
    recoveries: int
    max_recoveries: int
    suspicions: int
    steps_in_row: int
    max_steps: int
    fence: int
    lease: Lease | None
    leased_at: datetime | None
    leased_version: int
    due_at: datetime | None
    deadline_at: datetime | None
    blocked_on: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    error: ErrorRecord | None = None
    heartbeat: Heartbeat | None = None
    reason: str | None = None


@attrs.frozen(eq=False, repr=False)
class WorkStatus(Value):
    """All that is known of one work item: what ``roost status`` prints.

    ``stuck`` is what the worker hangs in that holds its lease, if it does.
    """

    meta: WorkMeta
    item: WorkItem
    snapshot: Snapshot | None
    stuck: Stuck | None = None


@attrs.frozen(eq=False, repr=False)
class DeadLetter(Value):
    """A work item that Roost has given up; ``error.kind`` says why."""

    item: WorkItem
    snapshot: Snapshot | None
    error: ErrorRecord
    failed_at: datetime


@attrs.frozen(eq=False, repr=False)
class Event(Value):
    """One accepted transition, or one event that was emitted with a commit.

    ``kind`` is one of ``enqueued``, ``claimed``, ``blocked``, ``unblocked``,
    ``committed``, ``attempt_failed``, ``interrupted``, ``recovered``,
    ``dead_lettered``, ``purged`` and ``emitted``; in what a work item itself keeps of its
    past a ``leased`` stands for a whole lease. ``state`` is the state after it.
    A stored event that is damaged is shown as one of the kind ``unreadable``, of work and
    engine ``?``.
    """

    event_id: str
    at: datetime
    kind: str
    work_id: str
    engine: str
    version: int
    state: State
    data: Mapping[str, Json] = attrs.field(factory=dict)


@attrs.frozen(eq=False, repr=False)
class Stuck(Value):
    """What a worker hangs in: since when, at which file, line and function, in whose step.

    ``since`` is by the worker's clock; ``work_id`` is None outside of any step.
    """

    since: datetime
    where: str
    work_id: str | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class WorkerInfo(Value):
    """A worker process as it announces itself; its id is new at every start.

    ``stuck`` says what its event loop hangs in, if it has not moved for one lease TTL.
    ``lost`` counts steps that go on although they were ended.
    """

    worker_id: str
    host: str
    pid: int
    engines: tuple[str, ...]
    concurrency: int
    lease_ttl_seconds: float
    roost_version: str
    started_at: datetime
    stuck: Stuck | None = None
    lost: int = 0
    seen_at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)
