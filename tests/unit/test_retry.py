"""The waits between attempts."""

from __future__ import annotations

import pytest

from roost_core.errors import EngineError, PermanentError, RetryLater
from roost_core.models import RetryPolicy
from roost_core.retry import backoff_seconds, decisive, error_record

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


# -- which error decides -----------------------------------------------------------------------

PERMANENT, SOON, LATE = PermanentError("gone"), RetryLater(5), RetryLater(50)
OTHER = ValueError("other")


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    """Make a group."""
    return ExceptionGroup("several", errors)


def wrapped(error: BaseException) -> EngineError:
    """Wrap a group that is no Exception, as is done on its way out of an engine."""
    made = EngineError("wrapped")
    made.__cause__ = error
    return made


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PERMANENT, PERMANENT),
        (SOON, SOON),
        (OTHER, OTHER),
        (group(OTHER, PERMANENT), PERMANENT),
        (group(SOON, group(group(PERMANENT))), PERMANENT),
        (group(SOON, LATE, SOON), LATE),
        (group(group(SOON), OTHER), SOON),
        (BaseExceptionGroup("several", [SystemExit(1), PERMANENT]), PERMANENT),
        (wrapped(BaseExceptionGroup("several", [KeyboardInterrupt(), SOON])), SOON),
    ],
)
def test_the_error_that_decides(error: BaseException, expected: BaseException) -> None:
    """Permanent before later, the longest wait before a shorter, both before anything else."""
    assert decisive(error) is expected


def test_a_group_of_others_decides_for_itself() -> None:
    """The group itself is recorded."""
    error = group(OTHER, KeyError("x"))
    assert decisive(error) is error
    assert ("exception", "ExceptionGroup") == (
        error_record(error, "w").kind,
        error_record(error, "w").error_type,
    )


def test_a_wait_that_is_none_comes_first() -> None:
    """So that it is reported, and not hidden behind a valid one."""
    wrong = RetryLater(float("nan"))
    assert decisive(group(SOON, wrong, LATE)) is wrong


def test_groups_that_hold_the_same_one_many_times() -> None:
    """However deep and however often: each is looked at once."""
    error: Exception = OTHER
    for _ in range(200):
        error = group(error, error)
    assert decisive(error) is error


def test_errors_that_lie_about_themselves() -> None:
    """What an error says about its own class or contents is not trusted."""

    class Liar(ExceptionGroup):  # type: ignore[type-arg] # of anything
        @property
        def __class__(self) -> type:  # type: ignore[override] # it lies
            raise SystemExit(1)

        @property
        def exceptions(self) -> tuple[Exception, ...]:
            raise SystemExit(2)

    assert decisive(Liar("several", [PERMANENT])) is PERMANENT


def test_the_record_of_a_group_is_that_of_the_one_that_decides() -> None:
    """Kind, message and type are its own; the traceback shows all."""
    record = error_record(group(OTHER, PERMANENT), "w")
    assert ("permanent", "gone", "PermanentError") == (
        record.kind,
        record.message,
        record.error_type,
    )
    assert "ValueError: other" in (record.traceback or "")


def test_an_error_that_cannot_be_told() -> None:
    """Text, name and traceback may fail in whatever way: there is a record anyway."""

    class Meta(type):
        @property
        def __name__(cls) -> str:
            raise KeyboardInterrupt

    class Odd(BaseException, metaclass=Meta):
        def __str__(self) -> str:
            raise GeneratorExit

    record = error_record(Odd(), "w")
    assert ("exception", "an error without a name") == (record.kind, record.error_type)
    assert "its text cannot be had: GeneratorExit" == record.message
