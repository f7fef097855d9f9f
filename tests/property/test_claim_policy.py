"""The policy of claims: what holds after any sequence of events. No loop, no server, no time."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from roost_core.backend import Alone, ClaimBatch
from roost_plugins.redis_saq.lanes.policy import ClaimPolicy
from roost_plugins.redis_saq.lanes.queue_view import Ask
from roost_plugins.redis_saq.ledger.lane_watch import After

ASK_AGAIN = 10.0


@attrs.define(eq=False)
class Lost:
    """What a worker has lost."""

    count: int = 0

    @property
    def is_full(self):
        """Whether it is more than extra lanes make up for."""
        return self.count > 3


def claim_of(token, *, is_solo=False):
    """Make what the policy needs to know of a claim."""
    return SimpleNamespace(lease=SimpleNamespace(token=token), is_solo=is_solo)


class PolicyMachine(RuleBasedStateMachine):
    """A policy, and what its lanes and servers would see."""

    @initialize(
        queues=st.integers(1, 3), concurrency=st.sampled_from([1, 2, 3, 10]), burst=st.booleans()
    )
    def begin(self, queues, concurrency, burst):
        """Start a worker whose lanes are all free."""
        self.now = 100.0
        self.concurrency = concurrency
        self.lost = Lost()
        self.policy = ClaimPolicy(queues, concurrency, ASK_AGAIN, is_burst=burst, lost=self.lost)
        self.tokens = itertools.count()
        self.free = concurrency
        #: Claims under way, claims ahead, leases whose lanes work, and those that are ending.
        self.asks = []
        self.ahead = []
        self.in_flight = {}
        self.ending = set()
        self.solo = set()
        self.backlog = [False] * queues
        for _ in range(concurrency):
            self.policy.lane_waits()
        self.settle()

    # -- what the lanes' loop does ----------------------------------------------------------

    def settle(self):
        """Send all claims that the policy decides on; check each."""
        for _ in range(2 * len(self.policy.queues) + 1):
            before = [(one.is_due(self.now), one.under_way) for one in self.policy.queues]
            left = self.policy.decide(self.now)
            if not isinstance(left, Ask):
                self.see_that_it_will_go_on(left)
                break
            self.see_that_it_may(left, before)
            self.asks.append(left)
        else:
            raise AssertionError("it claims without an end")
        while self.policy.to_pass_on(self.now) is not None:
            pass

    def see_that_it_may(self, ask, before):
        """Check that a claim has lanes, a reason, and the company that it says it has."""
        queue = ask.queue
        others = [one for one in self.asks if one.queue is queue]
        asked = ask.limit + sum(one.limit for one in self.asks)
        busy = len(self.in_flight) - len(self.ending & self.in_flight.keys())
        assert ask.limit >= 1
        # 1. No more than there are lanes for.
        assert asked + len(self.ahead) + busy <= self.concurrency
        # 2. Two of a queue at most, and only from a backlog.
        assert len(others) < 2
        assert not others or self.backlog[queue.number]
        # 3. Nothing beside what is suspected, or may be.
        assert not self.solo
        if self.concurrency > 1:
            assert Alone.MAY not in {one.alone for one in self.asks}
            if ask.alone is Alone.MAY:
                assert ({}, [], [], 0) == (
                    self.in_flight,
                    self.ahead,
                    self.asks,
                    self.lost.count,
                )
        assert not self.lost.is_full
        # 4. A reason, and no pause.
        is_due, under_way = before[queue.number]
        assert is_due or under_way

    def see_that_it_will_go_on(self, left):
        """Check that, where a lane is free and nothing holds it back, something will happen (5)."""
        busy = len(self.in_flight) + len(self.ahead) + len(self.asks)
        is_held_back = self.solo or self.lost.is_full
        is_held_back = is_held_back or (self.policy.solo.is_draining and busy)
        if self.free > len(self.ahead) and not self.asks and not is_held_back:
            assert left is not None
        assert left is None or left > 0

    # -- what happens ------------------------------------------------------------------------

    @precondition(lambda self: self.asks)
    @rule(
        data=st.data(),
        more=st.booleans(),
        wake=st.none() | st.integers(1, 20_000),
        drain=st.booleans(),
        solo=st.booleans(),
    )
    def answer(self, data, more, wake, drain, solo):
        """Answer a claim."""
        ask = self.asks.pop(data.draw(st.integers(0, len(self.asks) - 1)))
        count = data.draw(st.integers(0, ask.limit))
        is_solo = solo and ask.alone is Alone.MAY and count > 0
        claims = [claim_of(f"t{next(self.tokens)}", is_solo=is_solo) for _ in range(count)]
        batch = ClaimBatch(
            tuple(claims),
            next_wake_ms=0 if more or is_solo else wake,
            drain=drain and ask.can_drain and ask.alone is Alone.NEVER,
        )
        self.policy.answered(ask, batch, self.now, self.now)
        self.backlog[ask.queue.number] = batch.next_wake_ms == 0
        for claim in claims:
            token = claim.lease.token
            if is_solo:
                self.solo.add(token)
            if self.free:
                self.free -= 1
                self.policy.lane_gone()
                self.begins(ask.queue, token)
            else:
                self.ahead.append((ask.queue, token))
                self.policy.stands_ahead(ask.queue)
        self.settle()

    def begins(self, queue, token):
        """Let a lane begin."""
        self.in_flight[token] = queue
        self.policy.begins(queue, token, self.now)

    @precondition(lambda self: self.asks)
    @rule(data=st.data(), pause=st.floats(0.05, 2.0))
    def fail(self, data, pause):
        """Let a claim get no answer."""
        ask = self.asks.pop(data.draw(st.integers(0, len(self.asks) - 1)))
        self.policy.failed(ask, self.now, pause)
        self.backlog[ask.queue.number] = False
        self.settle()

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), stopping=st.booleans())
    def a_lease_ends(self, data, stopping):
        """Let a call go out that ends a lease."""
        token = data.draw(st.sampled_from(sorted(self.in_flight)))
        queue = self.in_flight[token]
        after = self.policy.lease_ends(queue, token, self.now, is_stopping=stopping)
        if stopping:
            assert after is After.LEAVES
        self.ending.add(token)
        self.settle()

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), claim_in=st.none() | st.integers(0, 9_000), is_told=st.booleans())
    def a_lane_is_done(self, data, claim_in, is_told):
        """Let a lane finish, with the end of its lease known or not."""
        token = data.draw(st.sampled_from(sorted(self.in_flight)))
        queue = self.in_flight[token]
        if is_told:
            self.policy.lease_ended(queue, token, claim_in, self.now)
        self.in_flight.pop(token)
        self.ending.discard(token)
        self.solo.discard(token)
        self.policy.lane_done(queue, token, self.now)
        if self.ahead:
            queue, token = self.ahead.pop(0)
            self.policy.stands_ahead(queue, by=-1)
            self.begins(queue, token)
        else:
            self.free += 1
            self.policy.lane_waits()
        self.settle()

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def a_step_is_accepted(self, data):
        """Let a lease continue; what was suspected no longer is."""
        token = data.draw(st.sampled_from(sorted(self.in_flight)))
        self.solo.discard(token)
        self.policy.step_accepted(token, self.now)
        self.settle()

    @precondition(lambda self: self.ahead)
    @rule()
    def lanes_do_not_come(self):
        """Give back what was claimed ahead."""
        self.policy.ahead_in_vain(self.now)
        self.ending.clear()
        for queue, token in self.ahead:
            self.policy.stands_ahead(queue, by=-1)
            self.policy.given_back(token, self.now)
            self.solo.discard(token)
        self.ahead.clear()
        self.settle()

    @rule(data=st.data(), ready=st.booleans())
    def told(self, data, ready):
        """Hear a message, or reconnect."""
        queue = data.draw(st.sampled_from(self.policy.queues))
        self.policy.told(queue, is_ready=ready)
        self.settle()

    @rule(seconds=st.floats(0.001, 40.0))
    def time_passes(self, seconds):
        """Let some time pass."""
        self.now += seconds
        self.settle()

    @rule(count=st.integers(0, 5))
    def lose(self, count):
        """Let steps continue although they were ended, or end after all."""
        self.lost.count = count
        self.settle()

    @invariant()
    def a_burst_is_over_only_with_nothing_to_do(self):
        """Check that nothing is in flight, or on its way."""
        if hasattr(self, "policy") and self.policy.is_over:
            assert ({}, []) == (self.in_flight, self.asks)


def test_what_holds_after_any_sequence_of_events():
    """For one queue and for several, one lane and many."""
    run_state_machine_as_test(PolicyMachine, settings=settings(stateful_step_count=60))
