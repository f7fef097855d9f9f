"""What a failed attempt leaves on record, and when the step runs again.

Pure rules, with no clock and no dice of their own.
"""

from __future__ import annotations

import math
import traceback
from typing import Final

from roost_core.errors import InvalidStepResult, PermanentError, StepTimeout
from roost_core.models import ErrorRecord, RetryPolicy

#: The longest traceback that is kept, in characters; its end says the most.
_TRACEBACK: Final = 8_000
#: The longest error message that is kept, in characters.
_MESSAGE: Final = 2_000
_KINDS: Final = {
    PermanentError: "permanent",
    StepTimeout: "timeout",
    InvalidStepResult: "invalid_result",
}


def backoff_seconds(policy: RetryPolicy, attempt: int, dice: float) -> float:
    """Return how long to wait after failed attempt number ``attempt`` (from 1), in seconds.

    Exponential backoff with jitter: ``dice``, in 0 to 1, takes away up to the
    policy's share, so that works that failed together do not come back together.
    """
    # Compared as logarithms, because a large attempt number would overflow a float.
    exponent = attempt - 1
    room = math.log(policy.max_seconds) - math.log(policy.base_seconds)
    if exponent * math.log(policy.factor) >= room:
        grown = policy.max_seconds
    else:
        grown = policy.base_seconds * policy.factor**exponent
    return grown * (1 - policy.jitter * dice)


def error_record(error: BaseException, worker_id: str) -> ErrorRecord:
    """Describe what an engine raised: short and printable, whatever it is."""
    kind = next((word for cls, word in _KINDS.items() if isinstance(error, cls)), "exception")
    name = type(error).__name__[:_MESSAGE]
    return ErrorRecord(
        kind=kind,
        message=text_of(error)[:_MESSAGE] or name,
        error_type=name,
        traceback=_traceback(error) if kind in ("exception", "permanent") else None,
        worker_id=worker_id,
    )


def text_of(error: BaseException) -> str:
    """Return an error's text, also if the engine's own code for it fails."""
    try:
        return _clean(str(error))
    except Exception as inner:  # noqa: BLE001 - str() runs the engine's code
        return f"its text cannot be had: {type(inner).__name__}"


def _traceback(error: BaseException) -> str | None:
    try:
        return _clean("".join(traceback.format_exception(error)))[-_TRACEBACK:]
    except Exception:  # noqa: BLE001 - formatting runs the engine's code, too
        return None


def _clean(text: str) -> str:
    """Replace lone surrogates, which no JSON reader or terminal takes."""
    return text.encode("utf-8", "replace").decode()
