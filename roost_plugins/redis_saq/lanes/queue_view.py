"""What the claim policy knows about one queue, and how it asks for a claim."""

from __future__ import annotations

from typing import Protocol

import attrs

from roost_core.backend import Alone


class Lost(Protocol):
    """What the worker has lost to steps that do not end."""

    @property
    def count(self) -> int:
        """How many lanes and threads are lost."""

    @property
    def is_full(self) -> bool:
        """Whether more is lost than is made up for."""


@attrs.define(eq=False)
class QueueView:
    """What a worker knows about one queue.

    :ivar is_news: whether a claim might bring something that the last one did not.
    :ivar is_told: whether it was told of something ready that nobody else knows about.
    :ivar alarm: when to claim even without news.
    :ivar paused_until: no claim before this.
    :ivar under_way: how many claims are under way, for ``asked`` leases in all.
    :ivar failures: how many claims failed in a row.
    :ivar was_idle: whether the worker may be in the register of idle ones.
    :ivar is_backlog: whether the last claim left something ready.
    :ivar lanes: how many lanes run its work, or soon will.
    :ivar had_work: whether it had work, or might have had, at the last check.
    """

    number: int
    is_news: bool = True
    is_told: bool = False
    alarm: float = 0.0
    paused_until: float = 0.0
    under_way: int = 0
    asked: int = 0
    failures: int = 0
    was_idle: bool = False
    is_backlog: bool = False
    lanes: int = 0
    had_work: bool = False

    def is_due(self, now: float) -> bool:
        """Whether there is a reason to claim now, and nothing against it."""
        return (self.is_news or now >= self.alarm) and now >= self.paused_until

    def has_work(self, now: float) -> bool:
        """Whether lanes run its work, or a claim might bring some."""
        return bool(self.lanes or self.asked or self.is_backlog) or self.is_due(now)

    def due_at(self) -> float:
        """When there will be a reason to claim, as far as is known."""
        return self.paused_until if self.is_news else max(self.alarm, self.paused_until)


@attrs.frozen(eq=False)
class Ask:
    """A claim to send now."""

    queue: QueueView
    limit: int
    alone: Alone
    was_idle: bool
    can_drain: bool
