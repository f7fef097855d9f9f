"""The waits between attempts, for any policy."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from roost_core.models import MAX_DELAY_SECONDS, RetryPolicy, milliseconds
from roost_core.retry import backoff_seconds

SECONDS = st.floats(1e-9, MAX_DELAY_SECONDS)
POLICIES = st.builds(
    RetryPolicy,
    base_seconds=SECONDS,
    factor=st.floats(1, MAX_DELAY_SECONDS),
    max_seconds=SECONDS,
    jitter=st.floats(0, 1),
)
ATTEMPTS = st.integers(1, 10**12)
DICE = st.floats(0, 1)


@given(POLICIES, ATTEMPTS, DICE)
def test_a_wait_is_within_its_bounds(policy: RetryPolicy, attempt: int, dice: float) -> None:
    """No overflow, no negative wait, none past the maximum, and jitter takes its share at most."""
    wait = backoff_seconds(policy, attempt, dice)
    longest = backoff_seconds(policy, attempt, 0.0)
    assert math.isfinite(wait)
    assert 0 <= wait <= longest
    assert longest <= policy.max_seconds * (1 + 1e-9)
    assert wait >= longest * (1 - policy.jitter) * (1 - 1e-9)


@given(POLICIES, ATTEMPTS, st.integers(1, 100))
def test_waits_do_not_shrink(policy: RetryPolicy, attempt: int, more: int) -> None:
    """A later attempt waits at least as long as an earlier one."""
    earlier = backoff_seconds(policy, attempt, 0.0)
    assert earlier <= backoff_seconds(policy, attempt + more, 0.0) * (1 + 1e-9)


@given(st.floats(0, MAX_DELAY_SECONDS))
def test_milliseconds_never_come_early(seconds: float) -> None:
    """Times are rounded up, by less than a millisecond; whole milliseconds stay as they are."""
    rounded = milliseconds(seconds)
    assert seconds * 1000 - 1e-4 <= rounded < seconds * 1000 + 1
    if seconds < 86_400:  # beyond that, a float's own steps may add one
        assert rounded == milliseconds(rounded / 1000)
