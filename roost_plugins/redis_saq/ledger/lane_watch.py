"""What a ledger tells the lanes that work for it, and asks of them."""

from __future__ import annotations

import enum
from typing import Protocol

from roost_plugins.redis_saq.ledger.tickets import Ticket


class After(enum.Enum):
    """What a lane does after the call that ends its lease, as far as that call needs to know."""

    LEAVES = enum.auto()  #: it takes nothing for now: what is ready is for others
    CLAIMS = enum.auto()  #: a claim follows at once, so the call need not look for work
    STANDS_BY = enum.auto()  #: it takes what the call finds, or is notified when there is something


class LaneWatch(Protocol):
    """The lanes that work for one ledger."""

    #: The engines that this worker runs, separated by spaces.
    engines: str

    @property
    def unanswered(self) -> tuple[Ticket, ...]:
        """Claims that may have leased work unknown to this worker."""

    def lease_ends(self, token: str) -> After:
        """Note that a call is about to end a lease; return what its lane does next."""

    def claim_follows(self) -> None:
        """Note that a call is on its way that ends a lease, and that a claim is to follow."""

    def step_accepted(self, token: str) -> None:
        """Note that a step was accepted whose lease continues."""

    def lease_ended(self, token: str, claim_in_ms: int | None) -> None:
        """Note that a lease was given back by a script that said when to claim next.

        :param claim_in_ms: 0 means at once; None if nothing is known to become due.
        """
