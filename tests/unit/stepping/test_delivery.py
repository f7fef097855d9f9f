"""Requests that have to arrive: repeated until answered, or until the lease is not trusted."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from roost_core.backend import Ack
from roost_core.errors import BackendUnavailable, LeaseLost, VersionConflict
from roost_core.models import State
from roost_core.stepping import delivery
from tests import event_loops

pytestmark = event_loops.leaping(delivery)

GOES_ON = Ack(State.RUNNING, 3, 0, 1000)
ENDED = Ack(State.QUEUED, 3, 0, 1000)


class Line:
    """Answers requests with what is given, in turn, and records each."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = 0

    async def __call__(self):
        """Answer, or fail."""
        self.sent += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def run_of(*, lost=None):
    """Return the parts of a run that a delivery uses."""
    extended = []
    hold = SimpleNamespace(lost=lost, extend=extended.append, extended=extended)
    return SimpleNamespace(hold=hold, in_flight=None)


AWAY = BackendUnavailable("away")


async def test_repeats_until_there_is_an_answer():
    """The same request, as often as it takes."""
    line = Line(AWAY, AWAY, AWAY, ENDED)
    assert ENDED == await delivery.deliver(run_of().hold, line)
    assert 4 == line.sent


async def test_a_lease_that_is_not_trusted_ends_it():
    """One try, and then whoever has the work next decides."""
    line = Line(AWAY)
    with pytest.raises(LeaseLost, match="away for longer than the lease"):
        await delivery.deliver(run_of(lost="too late").hold, line)
    assert 1 == line.sent


async def test_what_is_answered_is_not_repeated():
    """A refusal is an answer."""
    line = Line(VersionConflict("no"))
    with pytest.raises(VersionConflict):
        await delivery.deliver(run_of().hold, line)
    assert 1 == line.sent


@pytest.mark.parametrize("answer", [ENDED, VersionConflict("no")])
async def test_nothing_is_in_flight_once_it_is_answered(answer):
    """While it is under way, a cancelled lane can find it."""
    run = run_of()
    seen = []

    async def send():
        seen.append(run.in_flight)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with contextlib.suppress(VersionConflict):
        await delivery.settle(run, send)
    assert ([send], None) == (seen, run.in_flight)


@pytest.mark.parametrize(("ack", "times"), [(GOES_ON, 1), (ENDED, 0)])
async def test_an_extension_counts_from_before_the_first_request(ack, times):
    """A repeat is recognized and extends no further; a lease that has ended is not extended."""
    run = run_of()
    began = delivery.time.monotonic()
    await delivery.settle(run, Line(AWAY, AWAY, ack), extends=True)
    assert [began] * times == run.hold.extended
    assert delivery.time.monotonic() > began


async def test_a_cancelled_lane_gives_back():
    """With nothing under way, the work is given back at once."""
    back = Line(ENDED)
    await delivery.put_in_order(run_of(), back)
    assert 1 == back.sent


@pytest.mark.parametrize(("ack", "given_back"), [(ENDED, 0), (GOES_ON, 1)])
async def test_a_cancelled_lane_settles_what_was_under_way(ack, given_back):
    """It repeats that first; only what is still leased then is given back."""
    run = run_of()
    run.in_flight = Line(AWAY, ack)
    back = Line(ENDED)
    await delivery.put_in_order(run, back)
    assert given_back == back.sent
