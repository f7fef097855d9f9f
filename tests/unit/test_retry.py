"""The waits between attempts."""

from __future__ import annotations

import pytest

from roost_core.models import RetryPolicy
from roost_core.retry import backoff_seconds

POLICY = RetryPolicy(base_seconds=2.0, factor=3.0, max_seconds=100.0, jitter=0.5)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 2.0), (2, 6.0), (3, 18.0), (4, 54.0)])
def test_waits_grow_by_the_factor(attempt: int, expected: float) -> None:
    """The first wait is the base; each further one is ``factor`` times as long."""
    assert expected == pytest.approx(backoff_seconds(POLICY, attempt, 0.0))


@pytest.mark.parametrize("attempt", [5, 6, 10_000, 10**9])
def test_waits_end_at_the_maximum(attempt: int) -> None:
    """However many attempts have failed, the wait is at most ``max_seconds``."""
    assert 100.0 == backoff_seconds(POLICY, attempt, 0.0)


def test_the_dice_take_away_a_share() -> None:
    """Jitter shortens a wait, by at most the policy's share."""
    assert [100.0, 75.0, 50.0] == [backoff_seconds(POLICY, 99, dice) for dice in (0, 0.5, 1)]


def test_without_jitter_the_dice_do_nothing() -> None:
    """A policy may want exact waits."""
    policy = RetryPolicy(jitter=0.0)
    assert backoff_seconds(policy, 3, 0.0) == backoff_seconds(policy, 3, 1.0)


def test_a_base_over_the_maximum_is_cut() -> None:
    """The maximum counts from the first attempt."""
    policy = RetryPolicy(base_seconds=50.0, max_seconds=5.0, jitter=0.0)
    assert 5.0 == backoff_seconds(policy, 1, 0.0)


def test_a_factor_of_one_waits_evenly() -> None:
    """Waits need not grow."""
    policy = RetryPolicy(base_seconds=7.0, factor=1.0, jitter=0.0)
    assert {7.0} == {backoff_seconds(policy, attempt, 0.0) for attempt in (1, 2, 1000)}
