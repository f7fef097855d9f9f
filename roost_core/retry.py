"""What a failed attempt leaves on record, and when the step runs again.

Pure rules, without a clock or randomness of their own.
"""

from __future__ import annotations

import math
import traceback
from typing import Final

from roost_core.errors import (
    EngineError,
    InvalidStepResult,
    PermanentError,
    RetryLater,
    StepTimeout,
)
from roost_core.models.checks import check_seconds
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import RetryPolicy
from roost_core.wording.redaction import redacted_text

#: The longest traceback that is kept, in characters; its end is the most useful part.
_TRACEBACK: Final = 8_000
#: The longest error message that is kept, in characters.
_MESSAGE: Final = 2_000
#: More of a text than this is not even looked at, in characters.
_LOOKED_AT: Final = 32_000
_KINDS: Final = {
    PermanentError: "permanent",
    StepTimeout: "timeout",
    InvalidStepResult: "invalid_result",
}


def backoff_seconds(policy: RetryPolicy, attempt: int, dice: float) -> float:
    """Return how long to wait after failed attempt number ``attempt`` (from 1), in seconds.

    Exponential backoff with jitter: ``dice``, from 0 to 1, takes away up to the policy's share, so
    that work that failed together does not retry together.
    """
    # Compared as logarithms, because a large attempt number would overflow a float.
    exponent = attempt - 1
    room = math.log(policy.max_seconds) - math.log(policy.base_seconds)
    if exponent * math.log(policy.factor) >= room:
        grown = policy.max_seconds
    else:
        grown = policy.base_seconds * policy.factor**exponent
    return grown * (1 - policy.jitter * dice)


def decisive(error: BaseException) -> BaseException:
    """Return the error that decides the attempt's outcome; for a group, one of its members.

    A ``PermanentError`` anywhere in a group, however deep, comes first; then the ``RetryLater``
    with the longest wait, whatever else the group holds: what fails alongside it mostly fails for
    the same reason. Any other group counts as itself.
    """
    later: list[RetryLater] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue  # A group may hold the same one in many places.
        seen.add(id(one))
        # By its type, because isinstance() asks the object, whose code may be the engine's.
        kind = type(one)
        if issubclass(kind, PermanentError):
            return one
        if issubclass(kind, RetryLater):
            later.append(one)  # type: ignore[arg-type] # mypy does not follow issubclass
        elif issubclass(kind, BaseExceptionGroup):
            waiting.extend(_held(one))
        elif kind is EngineError and isinstance(one.__cause__, BaseExceptionGroup):
            waiting.append(one.__cause__)  # what was wrapped on its way out of the engine
    return max(later, key=_wait) if later else error


def _held(group: BaseException) -> tuple[BaseException, ...]:
    # Not by the attribute, which a class of the engine's may have replaced.
    found: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(group)
    return found


def _wait(error: RetryLater) -> float:
    """Return its requested wait; an invalid one sorts first, so that it is reported."""
    try:
        return check_seconds(error.seconds, "RetryLater(seconds)")
    except BaseException:  # noqa: BLE001 - reading it may run the engine's code
        return math.inf


def error_record(error: BaseException, worker_id: str) -> ErrorRecord:
    """Describe what an engine raised, short and printable in any case."""
    deciding = decisive(error)
    kind = next(
        (word for cls, word in _KINDS.items() if issubclass(type(deciding), cls)), "exception"
    )
    name = name_of(deciding)
    return ErrorRecord(
        kind=kind,
        message=text_of(deciding)[:_MESSAGE] or name,
        error_type=name,
        traceback=_traceback(error) if kind in ("exception", "permanent") else None,
        worker_id=worker_id,
    )


def text_of(error: BaseException) -> str:
    """Return an error's text without secrets, even if the engine's own code for it fails.

    It is for people, and is cut if it is far longer than anybody reads.
    """
    try:
        return redacted_text(_clean(str(error)[:_LOOKED_AT]))
    except BaseException as inner:  # noqa: BLE001 - str() runs the engine's code
        return f"its text cannot be had: {name_of(inner)}"


def name_of(error: BaseException) -> str:
    """Return the name of an error's class, even if the class has code of its own."""
    try:
        return _clean(str(type(error).__name__))[:_MESSAGE]
    except BaseException:  # noqa: BLE001 - a metaclass may be the engine's
        return "an error without a name"


def _traceback(error: BaseException) -> str | None:
    try:
        # Before it is cut: what follows the name of a secret is hidden only while that is there.
        found = _clean("".join(traceback.format_exception(error))[-_LOOKED_AT:])
        return redacted_text(found)[-_TRACEBACK:]
    except BaseException:  # noqa: BLE001 - formatting runs the engine's code, too
        return None


def _clean(text: str) -> str:
    """Replace lone surrogates, which no JSON reader or terminal takes."""
    return text.encode("utf-8", "replace").decode()
