"""How a claim is remembered by the server until the worker has its answer.

A claim whose reply is lost has leased work that nobody knows of. The server keeps, for
each of a worker's few slots, what the newest claim under it has leased. A worker whose claim
got no answer names it in the next one, or when it retires, and the server takes that
work back without blame. A slot is used again only when its claim's fate is known.
"""

from __future__ import annotations

import secrets
from typing import Final

import attrs

from roost_core.values import Value

#: A worker's slots. ``lua/purge.lua`` clears as many of a worker that is forgotten.
SLOTS: Final = 8


@attrs.frozen(eq=False, repr=False)
class Ticket(Value):
    """A claim's id, and the slot that it is remembered under."""

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
        """Claims that may have leased work which this worker does not know of."""
        return tuple(self._unanswered)

    def take(self) -> Ticket:
        """Take a ticket for a claim that is about to go out."""
        used = {one.slot for one in (*self._under_way, *self._unanswered)}
        free = next((slot for slot in range(1, SLOTS + 1) if slot not in used), None)
        if free is None:
            # After so many failures in a row. What the oldest may have leased runs out by itself.
            free = self._unanswered.pop(0).slot
        ticket = Ticket.new(free)
        self._under_way.append(ticket)
        return ticket

    def answered(self, ticket: Ticket, named: tuple[Ticket, ...]) -> None:
        """Take note that a claim got its answer, and so those are settled that it named."""
        self._under_way.remove(ticket)
        self._unanswered = [one for one in self._unanswered if one not in named]

    def lost(self, ticket: Ticket) -> None:
        """Take note that a claim got no answer."""
        self._under_way.remove(ticket)
        self._unanswered.append(ticket)
