"""Tickets: which claims a worker has no answer to."""

from __future__ import annotations

from roost_plugins.redis_saq import composing
from roost_plugins.redis_saq.ledger.tickets import SLOTS, Ticket, Tickets


def test_answered_claims_leave_nothing():
    """Their slots are used again, under new ids."""
    tickets = Tickets()
    first = tickets.take()
    second = tickets.take()
    assert [1, 2] == [first.slot, second.slot]
    tickets.answered(first, ())
    third = tickets.take()
    assert (1, ()) == (third.slot, tickets.unanswered)
    assert first.claim_id != third.claim_id


def test_an_unanswered_one_keeps_its_slot_until_it_is_settled():
    """Otherwise the next claim would overwrite what the server knows about it."""
    tickets = Tickets()
    lost = tickets.take()
    tickets.lost(lost)
    naming = tickets.take()
    assert (2, (lost,)) == (naming.slot, tickets.unanswered)
    other = tickets.take()
    tickets.lost(other)
    tickets.answered(naming, (lost,))
    assert (other,) == tickets.unanswered
    assert 1 == tickets.take().slot


def test_there_is_an_end_to_it():
    """After many in a row the oldest is given up: its leases expire by themselves."""
    tickets = Tickets()
    lost = []
    for _ in range(SLOTS + 3):
        lost.append(tickets.take())
        tickets.lost(lost[-1])
    assert tuple(lost[3:]) == tickets.unanswered
    assert {one.slot for one in tickets.unanswered} == set(range(1, SLOTS + 1))


def test_its_text():
    """As the scripts parse it."""
    assert "3:0af" == str(Ticket(3, "0af"))


def test_purge_clears_as_many_slots():
    """What a forgotten worker has left is known to the script that forgets it."""
    assert f"local SLOTS = {SLOTS}\n" in composing.text_of("purge")
