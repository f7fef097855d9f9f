"""Shares of lanes: equal for queues with a backlog, whatever their work takes. No time passes."""

from __future__ import annotations

import heapq
import itertools
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from roost_core.backend import ClaimBatch
from roost_plugins.redis_saq.lanes.policy import ClaimPolicy
from roost_plugins.redis_saq.lanes.queue_view import Ask

#: How long a call takes. Seconds.
CALL = 0.001
seconds = st.sampled_from([0.02, 0.1, 0.5, 2.0])
#: A world runs for a while.
few = settings(max_examples=25)


class World:
    """A worker with some lanes, and queues whose work takes a given time each. Its clock leaps."""

    def __init__(self, lanes, takes):
        self.policy = ClaimPolicy(len(takes), lanes, 10.0)
        self.takes = takes
        self.ready = [0] * len(takes)
        self.now = 0.0
        self.events = []
        self.order = itertools.count()
        self.used = [0.0] * len(takes)
        self.begun = [[] for _ in takes]
        self.ahead = []
        self.free = 0
        for _ in range(lanes):
            self.lane_is_free()

    def at(self, seconds, act, *args):
        """Let something happen after a while."""
        heapq.heappush(self.events, (self.now + seconds, next(self.order), act, args))

    def enqueue(self, queue, count):
        """Make work ready; the idle worker is told."""
        self.ready[queue] += count
        self.policy.told(self.policy.queues[queue], is_ready=True)

    def run(self, until):
        """Let time pass."""
        while True:
            while isinstance(ask := self.policy.decide(self.now), Ask):
                self.at(CALL, self.answer, ask)
            while self.policy.to_pass_on(self.now):
                pass
            at = min(
                self.events[0][0] if self.events else until,
                until if ask is None else self.now + ask,
            )
            if at >= until:
                self.now = until
                return
            self.now = at
            while self.events and self.events[0][0] <= self.now:
                _, _, act, args = heapq.heappop(self.events)
                act(*args)

    def answer(self, ask):
        """Answer a claim."""
        queue = ask.queue
        count = min(ask.limit, self.ready[queue.number])
        self.ready[queue.number] -= count
        claims = [
            SimpleNamespace(is_solo=False, lease=SimpleNamespace(token=f"t{next(self.order)}"))
            for _ in range(count)
        ]
        wake = 0 if self.ready[queue.number] else None
        self.policy.answered(ask, ClaimBatch(tuple(claims), (), wake), self.now - CALL, self.now)
        for claim in claims:
            if self.free:
                self.free -= 1
                self.policy.lane_gone()
                self.begin(queue, claim.lease.token)
            else:
                self.policy.stands_ahead(queue)
                self.ahead.append((queue, claim.lease.token))

    def begin(self, queue, token):
        """Let a lane begin."""
        self.policy.begins(queue, token, self.now)
        self.begun[queue.number].append(self.now)
        self.at(self.takes[queue.number], self.end, queue, token)

    def end(self, queue, token):
        """Let a lease end; its lane is free when the call is answered."""
        self.used[queue.number] += self.takes[queue.number]
        self.policy.lease_ends(queue, token, self.now, is_stopping=False)
        self.at(CALL, self.done, queue, token)

    def done(self, queue, token):
        """Let a lane be done."""
        is_ready = self.ready[queue.number] > 0
        self.policy.lease_ended(queue, token, 0 if is_ready else None, self.now)
        self.policy.lane_done(queue, token, self.now)
        if self.ahead:
            queue, token = self.ahead.pop(0)
            self.policy.stands_ahead(queue, by=-1)
            self.begin(queue, token)
        else:
            self.lane_is_free()

    def lane_is_free(self):
        """Let a lane wait."""
        self.free += 1
        self.policy.lane_waits()


@few
@given(lanes=st.integers(1, 8), takes=st.lists(seconds, min_size=2, max_size=4))
def test_backlogged_queues_have_equal_shares(lanes, takes):
    """Of lane time, within 10 %, though some of the work takes a hundred times as long."""
    world = World(lanes, takes)
    for queue in range(len(takes)):
        world.enqueue(queue, 10**6)
    world.run(60 * max(takes) * len(takes))
    fair = sum(world.used) / len(takes)
    # What is under way at the end is not counted: a step for each lane at most.
    slack = 0.1 * fair + max(takes)
    assert all(abs(used - fair) <= slack for used in world.used), world.used
    # And no lane was idle because nothing was decided.
    assert sum(world.used) >= 0.85 * lanes * (world.now - 2 * max(takes)) * min(
        1.0, min(takes) / (min(takes) + 3 * CALL)
    )


@few
@given(
    lanes=st.integers(1, 8), takes=st.tuples(seconds, seconds), idle=st.sampled_from([10.0, 50.0])
)
def test_who_was_idle_has_no_credit(lanes, takes, idle):
    """Once both have a backlog each gets its share from then on, and no more."""
    world = World(lanes, takes)
    world.enqueue(0, 10**6)
    world.run(idle)
    world.enqueue(1, 10**6)
    before = [*world.used]
    world.run(idle + 120 * max(takes))
    used = [after - was for after, was in zip(world.used, before, strict=True)]
    fair = sum(used) / 2
    # The lanes that the other one had when it came are its own until their work ends.
    assert all(abs(one - fair) <= 0.1 * fair + (lanes + 1) * max(takes) for one in used), used


@few
@given(
    lanes=st.integers(1, 8),
    takes=st.tuples(seconds, seconds),
    comes=st.lists(st.floats(0.1, 10.0), min_size=1, max_size=10),
)
def test_a_little_work_never_starves(lanes, takes, comes):
    """A work item of a quiet queue begins when a lane is next free, whatever others wait."""
    world = World(lanes, takes)
    world.enqueue(0, 10**6)
    for number, pause in enumerate(comes):
        world.run(world.now + pause + takes[1])
        came = world.now
        world.enqueue(1, 1)
        world.run(came + max(takes) + 1.0)
        assert number + 1 == len(world.begun[1])
        assert world.begun[1][-1] <= came + takes[0] + 10 * CALL


@few
@given(lanes=st.integers(2, 8), takes=st.tuples(seconds, seconds))
def test_what_one_leaves_is_for_the_others(lanes, takes):
    """Alone with a backlog a queue has all lanes."""
    world = World(lanes, takes)
    world.enqueue(0, 10**6)
    world.run(30.0)
    assert world.used[0] >= 0.8 * lanes * (30.0 - takes[0]) * takes[0] / (takes[0] + 3 * CALL)


@few
@given(
    take=st.floats(0.0005, 0.005),
    stalls=st.lists(st.floats(0.01, 0.2), min_size=1, max_size=4),
)
def test_a_stall_is_made_up_for_by_nobody(take, stalls):
    """With one lane and short work two queues take turns, wherever the process stalls."""
    world = World(1, [take, take])
    for queue in (0, 1):
        world.enqueue(queue, 10**6)
    for stall in stalls:
        world.takes[0] = stall / len(stalls)
        world.run(world.now + take)
        world.takes[0] = take
        world.run(world.now + 50 * take)
    mine, its = map(len, world.begun)
    assert abs(mine - its) <= 0.1 * its + 1
