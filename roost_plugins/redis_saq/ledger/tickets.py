"""How a claim is remembered by the server until the worker has its answer.

A claim whose reply is lost has leased work that nobody knows about. For each of a worker's few
slots, the server keeps what the newest claim in it leased. A worker whose claim got no answer names
that claim in the next one, or when it retires, and the server takes the work back without blame. A
slot is reused only once its claim's fate is known.
"""

from __future__ import annotations

import secrets
from typing import Final

import attrs

from roost_core.values import Value

#: How many slots a worker has. ``lua/purge.lua`` clears this many of a forgotten worker.
SLOTS: Final = 8


@attrs.frozen(eq=False, repr=False)
class Ticket(Value):
    """A claim's id, and the slot that it is remembered in."""

    slot: int
    claim_id: str

    @classmethod
    def new(cls, slot: int) -> Ticket:
        """Make a ticket for a slot."""
        return cls(slot, secrets.token_hex(8))

    def __str__(self) -> str:
        return f"{self.slot}:{self.claim_id}"


class Tickets:
    """A worker's tickets: those under way, and those whose answers never came."""

    def __init__(self) -> None:
        self._under_way: list[Ticket] = []
        self._unanswered: list[Ticket] = []

    @property
    def unanswered(self) -> tuple[Ticket, ...]:
        """Claims that may have leased work unknown to this worker."""
        return tuple(self._unanswered)

    def take(self) -> Ticket:
        """Take a ticket for a claim that is about to go out."""
        used = {one.slot for one in (*self._under_way, *self._unanswered)}
        free = next((slot for slot in range(1, SLOTS + 1) if slot not in used), None)
        if free is None:
            # All are taken by failures. What the oldest may have leased runs out by itself.
            free = self._unanswered.pop(0).slot
        ticket = Ticket.new(free)
        self._under_way.append(ticket)
        return ticket

    def answered(self, ticket: Ticket, named: tuple[Ticket, ...]) -> None:
        """Note that a claim got its answer, which settles those that it named."""
        self._under_way.remove(ticket)
        self._unanswered = [one for one in self._unanswered if one not in named]

    def lost(self, ticket: Ticket) -> None:
        """Note that a claim got no answer."""
        self._under_way.remove(ticket)
        self._unanswered.append(ticket)
