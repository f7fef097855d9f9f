"""The outcome of a step, and what to request for it: pure rules.

Nothing here does I/O, reads a clock, rolls dice or needs an event loop.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from roost_core.backend.messages import (
    Ack,
    Commit,
    Failure,
    Finish,
    GoOn,
    Next,
    Sleep,
    Yield,
)
from roost_core.codec.moved import NO_VALUES
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.records import encode_model
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.codec.strict_json import MAX_EVENT_BYTES, dumps
from roost_core.codec.times import from_milliseconds
from roost_core.errors import (
    CodecError,
    EngineError,
    InvalidStepResult,
    RetryLater,
    StepTimeout,
)
from roost_core.models.checks import check_seconds, milliseconds
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import RetryPolicy, State, WorkItem
from roost_core.models.worker import Lease
from roost_core.retry import backoff_seconds, decisive, error_record, name_of, text_of
from roost_core.stepping.standstill import Standstill
from roost_core.values import Json, unchecked

#: The shortest wait that an engine can request with ``RetryLater``. Milliseconds.
LEAST_PAUSE_MS: Final = 100
#: With this id and reason a lease is given back whose work people want ended.
ENDED_ID: Final = "ended"
ENDED_BY_PEOPLE: Final = "its work is to be ended"
#: What follows most steps, made once.
_GO_ON: Final = GoOn()
_YIELD: Final = Yield()
_FINISH: Final = Finish()
#: Each step makes one, of values that need no check.
_new_commit: Final = unchecked(Commit)


class Ending(enum.Enum):
    """Why a lease will be used no further, although no step has ended it."""

    LOST = enum.auto()  #: it is not trusted any more
    WANTED = enum.auto()  #: people want its work cancelled or buried


@attrs.frozen(eq=False)
class Accepted:
    """A snapshot to commit, and the events that go with it.

    :ivar texts: the large texts that were stored for it, by their ids.
    """

    snapshot: Snapshot
    encoded: EncodedSnapshot | PiecedSnapshot
    events: tuple[bytes, ...]
    texts: Mapping[str, bytes] = NO_VALUES


#: Each step that succeeds makes one.
_new_accepted: Final = unchecked(Accepted)


@attrs.frozen(eq=False)
class Failed:
    """A failed attempt. Not the error itself: its frames would keep everything alive."""

    record: ErrorRecord


@attrs.frozen(eq=False)
class Later:
    """The engine wants to run again in this many milliseconds."""

    reason: str
    delay_ms: int


@attrs.frozen
class GivenBack:
    """The engine ended early, without a result, because it was asked to."""


@attrs.frozen
class Lost:
    """The lease was lost: whatever the engine returned is dropped."""


@attrs.frozen
class Unwanted:
    """People want the work cancelled or buried: whatever the engine returned is dropped."""


#: Makes bytes of a snapshot.
Encode = Callable[[Snapshot], EncodedSnapshot | PiecedSnapshot]
Outcome = Accepted | Failed | Later | GivenBack | Lost | Unwanted


# -- what it means -----------------------------------------------------------------------------


def accepted(
    snapshot: Snapshot, events: tuple[bytes, ...], encode: Encode = EncodedSnapshot.of
) -> Accepted:
    """Return the outcome of a snapshot that follows the rules.

    :param encode: makes bytes of it.
    :raises InvalidStepResult: its data is not JSON, too deep or too large.
    """
    try:
        return _new_accepted(snapshot, encode(snapshot), events, NO_VALUES)
    except Exception as error:
        known = isinstance(error, CodecError)
        said = error if known else f"the snapshot is not JSON: {name_of(error)}"
        raise InvalidStepResult(f"engine {snapshot.engine}: {said}") from error


def judged(error: BaseException, worker_id: str) -> Failed | Later:
    """Return what an engine's error means."""
    # Not where it is caught, so that no frame in the error's own traceback holds the error.
    deciding = decisive(error)
    if not issubclass(type(deciding), RetryLater):
        return failed(error, worker_id)
    try:
        seconds = check_seconds(deciding.seconds, "RetryLater(seconds)")  # type: ignore[attr-defined] # mypy does not follow issubclass
    except BaseException as invalid:  # noqa: BLE001 - reading it may run the engine's code
        return failed(invalid, worker_id)
    # Without a pause, a step that never gets what it needs would keep worker and server busy.
    return Later(text_of(deciding), max(LEAST_PAUSE_MS, milliseconds(seconds)))


def failed(error: BaseException, worker_id: str) -> Failed:
    """Return the failed attempt for an error, with its record."""
    return Failed(error_record(error, worker_id))


def of_attempt(
    brought: Outcome | None,
    *,
    ending: Ending | None,
    is_ended: bool,
    item: WorkItem,
    lease: Lease,
) -> Outcome:
    """Return the outcome of an attempt whose task has ended.

    :param brought: the task's outcome, or None if it was cancelled.
    :param ending: why the lease will be used no further, if so: then nothing else counts.
    :param is_ended: whether the step was ended because its time was over.
    """
    if ending is not None:
        return Lost() if ending is Ending.LOST else Unwanted()
    if is_ended:
        error = f"the step took longer than {item.step_timeout_seconds:g} s"
        return failed(StepTimeout(error), lease.worker_id)
    if brought is None:
        error = "the step's own task was cancelled, by the engine or a library that it uses"
        return failed(EngineError(error), lease.worker_id)
    return brought


def is_dropped(ack: Ack, version: int, attempts: int) -> bool:
    """Return whether people have ended the work, so that nothing of the step is kept.

    :param version: the one that the step started from.
    :param attempts: how many had failed before.
    """
    if ack.state is State.CANCELLED:
        return True
    # A dead letter of the step's own has a version or an attempt more.
    return ack.state is State.FAILED and ack.version == version and ack.attempts == attempts


# -- what to request for it --------------------------------------------------------------------


def commit_of(
    step: Accepted,
    version: int,
    *,
    is_last: bool,
    lease_ttl_ms: int,
    warning: bytes | None = None,
    took_ms: int = 0,
) -> Commit:
    """Return the commit of an accepted step.

    :param version: the one that the step started from.
    :param is_last: whether the slice is over.
    :param lease_ttl_ms: by how much a continued lease is extended; 0 for not at all.
    :param warning: an event of the runtime's own.
    :param took_ms: how long the step took, in milliseconds.
    """
    snapshot, encoded = step.snapshot, step.encoded
    delay = snapshot.next_step_delay_seconds
    following: Next
    if snapshot.is_finished:
        following = _FINISH
    elif delay is not None:
        following = Sleep(milliseconds(delay))
    elif is_last:
        following = _YIELD
    else:
        following = GoOn(lease_ttl_ms) if lease_ttl_ms else _GO_ON
    return _new_commit(
        f"c{version}",
        version,
        encoded.raw if encoded.is_whole else b"",
        snapshot.step,
        following,
        step.events if warning is None else (*step.events, warning),
        encoded.change,
        encoded.is_base,
        took_ms,
    )


def failure_of(
    record: ErrorRecord, retry: RetryPolicy, *, version: int, attempt: int, dice: float
) -> Failure:
    """Return the failed attempt for an error record.

    :param attempt: its number, from 1.
    :param dice: in 0 to 1, for the jitter of the wait.
    """
    return Failure(
        commit_id=f"f{version}",
        error=encode_model(record),
        permanent=record.kind == "permanent",
        delay_ms=milliseconds(backoff_seconds(retry, attempt, dice)),
    )


def corrupt(error: Exception, worker_id: str) -> Failure:
    """Return the failure that ends work whose stored bytes do not decode."""
    record = ErrorRecord("corrupt", str(error), worker_id=worker_id)
    return Failure("f0", encode_model(record), permanent=True, delay_ms=0)


def standstill(row: Standstill) -> bytes:
    """Return the event that says that an engine makes no progress, and since when."""
    version, at_ms = row.since
    word: dict[str, Json] = {"warning": idle_words(row), "steps": row.unchanged}
    if version:
        word["since_version"] = version
    if at_ms is not None:
        word["since"] = from_milliseconds(at_ms).isoformat()
    return dumps(word, "the event", MAX_EVENT_BYTES)


def idle_words(row: Standstill) -> str:
    """Say what steps that get nowhere do."""
    if row.is_alternating:
        return "steps in a row have gone back and forth between two states"
    return "steps in a row have changed no data"
