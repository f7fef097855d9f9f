"""How long a worker that has died is waited with."""

from __future__ import annotations

from roost_plugins.console.dev.pauses import LONGEST, RECOVERED, Pauses


def test_pauses_grow_up_to_a_bound():
    """Twice the one before, then no longer."""
    pauses = Pauses()
    found = [pauses.after(0.0) for _ in range(9)]
    assert [0.5, 1, 2, 4, 8, 16] == found[:6]
    assert [LONGEST] * 3 == found[6:]


def test_who_has_worked_for_long_begins_anew():
    """A death after an hour is no repetition; a save begins anew as well."""
    pauses = Pauses()
    for _ in range(5):
        pauses.after(1.0)
    assert 0.5 == pauses.after(RECOVERED)
    pauses.after(0.0)
    pauses.reset()
    assert 0.5 == pauses.after(0.0)
