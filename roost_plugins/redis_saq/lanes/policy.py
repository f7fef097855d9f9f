"""When a worker claims, from which queue, and for how many lanes: pure decisions, no clock, no I/O.

Free lanes wait, and one claim serves all of them. A claim that brings less than they could take
registers the worker as idle with the server, in the same script. After that, it claims again only
when

- a message says that there is work for one of its engines,
- the next due time or lease expiry comes, as the claim's answer said,
- one of its own lanes has ended a lease and learned that something is ready, or
- a while has passed, in case a message was lost.

While more is ready than this worker can take, worker and server work at the same time:

- the next claim does not wait for the answer to the call that ends a lane's lease: it follows that
  call at once, on the same connection, and its answer is there when the lane is free;
- a claim takes work for half of the lanes, and up to two are under way: while the server serves
  one half, the other half runs steps. So it leaves as soon as that many lanes lack work, before any
  other lane has its turn: were it sent when all have had theirs, the halves would come to run
  together, and worker and server would take turns.

With several queues, each is claimed from separately, so that one that does not answer delays no
other; those with a backlog get equal shares (``shares.py``). The worker is in a queue's register
even while its lanes run work from other queues: so it hears of new work. Whatever it hears of but
has no lane for, it passes on to an idle worker.

What always holds (``tests/property/test_claim_policy.py``):

1. No more leases are asked for than there are lanes that are free, or whose leases are being ended.
2. At most two claims from a queue are under way, and two only while it has a backlog.
3. While suspected work runs, or may be on its way, nothing is claimed; and a claim that may bring
   it is sent only if nothing from any queue is in flight, ahead, under way or lost.
4. Without news, a queue is not claimed from before its alarm; after a failure, not before its pause
   is over.
5. If a lane is free and nothing holds it back, a claim is under way or the time of the next one is
   known: no wait is endless.

Times are in seconds, by any clock that never goes back. Events are reported in the order in which
they happen; :meth:`ClaimPolicy.decide`, :meth:`ClaimPolicy.to_pass_on` and
:meth:`ClaimPolicy.lease_ends` are the decisions.
"""

from __future__ import annotations

from typing import Final

from roost_core.backend import Alone, ClaimBatch
from roost_plugins.redis_saq.lanes.queue_view import Ask, Lost, QueueView
from roost_plugins.redis_saq.lanes.shares import Shares
from roost_plugins.redis_saq.lanes.solo import Solo
from roost_plugins.redis_saq.ledger.lane_watch import After

#: No claim is made ahead for this long after one was given back: lanes that are held up after their
#: leases end, by slow observers for example, are held up again and again. Seconds.
AHEAD_PAUSE: Final = 30.0
#: How many claims from one queue may be under way at a time.
_MOST_UNDER_WAY: Final = 2


class ClaimPolicy:
    """Decides for the lanes of one worker.

    :ivar in_flight: the queue of each lease whose lane is at work, by token.
    :ivar solo: what it knows about running work alone.
    """

    def __init__(
        self,
        queues: int,
        concurrency: int,
        ask_again: float,
        *,
        is_burst: bool = False,
        lost: Lost | None = None,
    ) -> None:
        """Begin with a reason to claim from each queue.

        :param ask_again: how many seconds may pass between two claims of an idle worker.
        :param is_burst: whether lanes leave when nothing is ready.
        """
        self.queues = tuple(QueueView(number) for number in range(queues))
        self.solo = Solo(concurrency, queues)
        self.in_flight: dict[str, QueueView] = {}
        self._half = (concurrency + 1) // 2
        self._ask_again = ask_again
        self._is_burst = is_burst
        self._lost = lost
        self._only = self.queues[0] if queues == 1 else None
        self._shares = Shares(queues)
        self._free = 0
        self._ahead = 0
        self._asked = 0
        self._under_way = 0
        #: Leases that are being ended, whose lanes already count as free.
        self._ending: dict[str, QueueView] = {}
        #: The earliest time at which claims may be made ahead.
        self._ahead_from = 0.0
        #: Leases that a script reported as ended, with when to claim next.
        self._ended: set[str] = set()

    # -- decisions -------------------------------------------------------------------------

    def decide(self, now: float) -> Ask | float | None:
        """Return the claim to send now, and count it as under way.

        If there is none, return in how many seconds to call this again, unless something changes
        sooner; None means only then. What is due but not claimed waits for the answer to a claim.
        """
        if self._only is None:
            self._note_who_has_work(now)
        room = self._room
        if room <= 0:
            return None
        lost = self._lost
        has_lost = lost is not None and lost.count > 0
        if has_lost and lost is not None and lost.is_full:
            return None
        # Whether there is work whose end is worth waiting for: lost work may never end.
        is_busy = bool(self.in_flight or self._ahead or self._under_way)
        if self.solo.holds_back(is_busy=is_busy and not has_lost):
            return None
        chosen = self._choose(room, now) if self._only is None else self._of_one(room, now)
        if chosen is None:
            times = [one.due_at() for one in self.queues if not one.under_way]
            coming = min((at for at in times if at > now), default=None)
            return None if coming is None else coming - now
        queue, room, limit = chosen
        # Nothing runs alone beside a step that continues although it was ended.
        alone = Alone.NEVER
        if not has_lost:
            backlog = queue.is_backlog
            alone = self.solo.claims(now, queue.number, is_busy=is_busy, is_backlog=backlog)
        # How many suspected ones come together depends on how many lanes there are.
        return self._asked_for(queue, room if alone is Alone.MAY else limit, alone, not has_lost)

    def _asked_for(self, queue: QueueView, limit: int, alone: Alone, can_drain: bool) -> Ask:
        # A claim under way may yet find too little, and register the worker.
        ask = Ask(queue, limit, alone, queue.was_idle or queue.under_way > 0, can_drain)
        queue.is_news = queue.is_told = queue.was_idle = False
        queue.under_way += 1
        queue.asked += limit
        self._under_way += 1
        self._asked += limit
        return ask

    @property
    def has_half(self) -> bool:
        """Whether as many lanes lack work as one claim of a backlog serves."""
        return self._room >= self._half

    def to_pass_on(self, now: float) -> QueueView | None:
        """Return a queue with something ready that has no lane here now, for others to take.

        Called when there is no (further) claim to make. If there is only one queue, it is never
        returned.
        """
        for queue in self.queues if self._only is None else ():
            if queue.is_told and not queue.under_way and now >= queue.paused_until:
                queue.is_told = False
                return queue
        return None

    def lease_ends(self, queue: QueueView, token: str, now: float, *, is_stopping: bool) -> After:
        """Decide what the lane does after the call that ends its lease, which is sent now."""
        if is_stopping or self._is_burst or self.solo.has_others_than(token):
            return After.LEAVES
        is_mine = token in self.in_flight
        if self.solo.drain_for and len(self.in_flight) > is_mine and not self._has_lost:
            return After.LEAVES
        if is_mine and now >= self._ahead_from:
            if queue.is_backlog:
                self._ending[token] = queue
                queue.is_news = True
                is_next = self._only is not None or self._is_next(queue, now)
                return After.CLAIMS if is_next else After.LEAVES
            if self._only is None and any(one.is_backlog for one in self.queues):
                self._ending[token] = queue
        queue.was_idle = True
        return After.STANDS_BY

    @property
    def is_over(self) -> bool:
        """Whether a burst is over: nothing is ready, in flight or on its way."""
        is_working = self.in_flight or self._under_way or any(one.is_news for one in self.queues)
        return self._is_burst and not is_working

    # -- what lanes do ---------------------------------------------------------------------

    def lane_waits(self) -> None:
        """Note that a lane is free."""
        self._free += 1

    def lane_gone(self) -> None:
        """Note that a free lane no longer waits."""
        self._free -= 1

    def begins(self, queue: QueueView, token: str, now: float) -> None:
        """Note that a lane has begun a lease; if it was waiting, :meth:`lane_gone` came first."""
        self.in_flight[token] = queue
        queue.lanes += 1
        if self._only is None:
            self._shares.begins(queue.number, now)

    def ends(self, token: str, now: float) -> None:
        """Note that no lane is at work on a lease any more."""
        queue = self.in_flight.pop(token, None)
        if queue is None:
            return
        queue.lanes -= 1
        if self._only is None:
            self._shares.ends(queue.number, now)

    def stands_ahead(self, queue: QueueView, *, by: int = 1) -> None:
        """Note that a claim was made ahead of a lane, or no longer waits (``by`` is -1)."""
        self._ahead += by
        queue.lanes += by

    def ahead_in_vain(self, now: float) -> None:
        """Note that the lanes for which claims were made ahead did not come."""
        self._ahead_from = now + AHEAD_PAUSE
        # They no longer count as free until they come.
        self._ending.clear()

    def lane_done(self, queue: QueueView, token: str, now: float) -> bool:
        """Note that a lane is done with a lease, whatever the outcome.

        :returns: whether there may be a new reason to claim.
        """
        self.ends(token, now)
        self._ending.pop(token, None)
        is_known = token in self._ended
        self._ended.discard(token)
        if self.solo.step_accepted(token, now) or self.solo.drain_for or self._is_burst:
            self.look_at_all()
            return True
        if not is_known:
            # Without a script's word, the lease was lost, or nobody knows: look.
            queue.is_news = True
        return not is_known

    def given_back(self, token: str, now: float) -> bool:
        """Note that a lease was given back that no lane has begun.

        :returns: whether there may be a new reason to claim.
        """
        self._ended.discard(token)
        return self.step_accepted(token, now)

    # -- what is heard ---------------------------------------------------------------------

    def told(self, queue: QueueView, *, is_ready: bool) -> None:
        """Note that there may be something new; ``is_ready`` if a message says that it is ready."""
        queue.is_news = True
        queue.is_told = queue.is_told or is_ready

    def look_at_all(self) -> None:
        """Note that each queue may have something that it lacked, or could not give, before."""
        for queue in self.queues:
            queue.is_news = True

    def step_accepted(self, token: str, now: float) -> bool:
        """Note that a step was accepted whose lease continues, or that the lease has ended.

        :returns: whether there may be a new reason to claim.
        """
        if not self.solo.step_accepted(token, now):
            return False
        self.look_at_all()
        return True

    def lease_ended(
        self, queue: QueueView, token: str, claim_in_ms: int | None, now: float
    ) -> bool:
        """Note that a lease was given back by a script that said when to claim next.

        :returns: whether there may be a new reason to claim.
        """
        self._ended.add(token)
        # Its lane may never be done with it.
        has_changed = self.solo.runs(token) and self._has_lost and self.step_accepted(token, now)
        if claim_in_ms == 0:
            self.told(queue, is_ready=True)
            return True
        if claim_in_ms is not None and self._set_alarm(queue, claim_in_ms, now):
            return True
        return has_changed

    def answered(self, ask: Ask, batch: ClaimBatch, asked_at: float, now: float) -> None:
        """Note what a claim has brought; it was sent at ``asked_at``."""
        queue = ask.queue
        self._came(ask)
        queue.failures = 0
        if self.solo.brought(batch, ask.alone, now, queue.number):
            self.look_at_all()
        queue.is_backlog = batch.next_wake_ms == 0
        if len(batch.claims) < ask.limit:
            queue.was_idle = True
            if self._only is None and not queue.is_backlog:
                self._shares.wanted_no_more(queue.number, self._with_work(now), now)
        queue.alarm = asked_at + self._ask_again
        if batch.next_wake_ms == 0:
            queue.is_news = True
        elif batch.next_wake_ms is not None:
            self._set_alarm(queue, batch.next_wake_ms, now)

    def failed(self, ask: Ask, now: float, pause: float) -> None:
        """Note that a claim failed; its queue is tried again after ``pause`` seconds."""
        queue = ask.queue
        self._came(ask)
        self.solo.failed(ask.alone, queue.number)
        queue.paused_until = now + pause
        queue.is_news = True
        # It may have been carried out anyway, and others wait for the end of this pause.
        queue.was_idle = True
        queue.is_backlog = False

    # -- the parts of a decision -----------------------------------------------------------

    @property
    def _room(self) -> int:
        """How many more leases there are lanes for."""
        return self._free + len(self._ending) - self._ahead - self._asked

    def _of_one(self, room: int, now: float) -> tuple[QueueView, int, int] | None:
        """Choose for the only queue: return it, its room, and how much to ask for, or None."""
        queue = self.queues[0]
        if queue.under_way:
            overlaps = queue.is_backlog and queue.under_way < _MOST_UNDER_WAY
            is_wanted = overlaps and room >= self._half and now >= queue.paused_until
        else:
            is_wanted = queue.is_due(now)
        if not is_wanted:
            return None
        return queue, room, min(room, self._half) if queue.is_backlog else room

    def _choose(self, room: int, now: float) -> tuple[QueueView, int, int] | None:
        """Choose among several queues, as :meth:`_of_one` does for one."""
        fresh = [one for one in self.queues if not one.under_way and one.is_due(now)]
        waiting = [one for one in fresh if one.number in self.solo.drain_for]
        if waiting:
            # The worker has finished its other work for these.
            return waiting[0], room, room
        wanting = {one.number for one in fresh}
        wanting.update(one.number for one in self.queues if one.is_backlog)
        given = self._shares.split(room, [(one, self._held(one)) for one in wanting], now)
        for number, part in given.items():
            queue = self.queues[number]
            if part and not queue.under_way and queue.is_due(now):
                return queue, part, min(part, self._half) if queue.is_backlog else part
        for number, part in given.items():
            queue = self.queues[number]
            overlaps = queue.is_backlog and 0 < queue.under_way < _MOST_UNDER_WAY
            if overlaps and part >= self._half and now >= queue.paused_until:
                return queue, part, self._half
        return None

    def _held(self, number: int) -> int:
        queue = self.queues[number]
        ending = sum(one is queue for one in self._ending.values())
        return queue.lanes + queue.asked - ending

    def _is_next(self, queue: QueueView, now: float) -> bool:
        """Whether the lane that is about to be free will go to this queue."""
        wanting = [one for one in self.queues if one.is_backlog or one.is_due(now)]
        given = self._shares.split(
            1, [(one.number, self._held(one.number)) for one in wanting], now
        )
        return given.get(queue.number, 0) == 1

    @property
    def _has_lost(self) -> bool:
        return self._lost is not None and self._lost.count > 0

    def _came(self, ask: Ask) -> None:
        ask.queue.under_way -= 1
        ask.queue.asked -= ask.limit
        self._under_way -= 1
        self._asked -= ask.limit

    def _with_work(self, now: float) -> list[int]:
        return [one.number for one in self.queues if one.has_work(now)]

    def _note_who_has_work(self, now: float) -> None:
        """Give no credit to queues that had no work at the last check."""
        with_work = self._with_work(now)
        for queue in self.queues:
            if not queue.had_work:
                self._shares.wanted_no_more(queue.number, with_work, now)
            queue.had_work = queue.number in with_work

    def _set_alarm(self, queue: QueueView, in_ms: int, now: float) -> bool:
        # One millisecond more: the server counts whole ones, and a claim too early is wasted.
        at = now + (in_ms + 1) / 1000
        if at >= queue.alarm:
            return False
        queue.alarm = at
        return True
