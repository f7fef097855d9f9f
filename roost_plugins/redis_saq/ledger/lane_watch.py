"""What a ledger tells the lanes that work for it, and asks them."""

from __future__ import annotations

import enum
from typing import Protocol

from roost_plugins.redis_saq.ledger.tickets import Ticket


class After(enum.Enum):
    """What a lane does after the call that ends its lease, as far as that call has to know."""

    LEAVES = enum.auto()  #: it takes nothing for now: what is ready is for others
    CLAIMS = enum.auto()  #: a claim follows at once, so the call need not look for work
    STANDS_BY = enum.auto()  #: it takes what the call finds, or is told when there is something


class LaneWatch(Protocol):
    """The lanes that work for one ledger."""

    #: The engines that this worker runs, separated by spaces.
    engines: str

    @property
    def unanswered(self) -> tuple[Ticket, ...]:
        """Claims that may have leased work which this worker does not know of."""

    def lease_ends(self, token: str) -> After:
        """Take note that a call which ends a lease is about to go out."""

    def step_accepted(self, token: str) -> None:
        """Take note that a step was accepted whose lease goes on."""

    def lease_ended(self, token: str, claim_in_ms: int | None) -> None:
        """Take note that a lease was given back by a script that told when to claim next.

        :param claim_in_ms: 0 at once; None if nothing is known to come.
        """
