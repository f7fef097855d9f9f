"""When a failed step runs again: pure rules, no clock and no dice of their own."""

from __future__ import annotations

import math

from roost_core.models import RetryPolicy


def backoff_seconds(policy: RetryPolicy, attempt: int, dice: float) -> float:
    """Return how long to wait after failed attempt number ``attempt`` (from 1), in seconds.

    Exponential backoff with jitter: ``dice``, in 0 to 1, takes away up to the
    policy's share, so that works that failed together do not come back together.
    """
    # Compared as logarithms, because a large attempt number would overflow a float.
    exponent = attempt - 1
    room = math.log(policy.max_seconds / policy.base_seconds)
    if exponent * math.log(policy.factor) >= room:
        grown = policy.max_seconds
    else:
        grown = policy.base_seconds * policy.factor**exponent
    return grown * (1 - policy.jitter * dice)
