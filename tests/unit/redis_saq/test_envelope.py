"""A commit as the arguments of scripts: what is there, and nothing for what is not."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from roost_core.backend import Commit, Finish, GoOn, Sleep, Yield
from roost_core.errors import BackendError
from roost_core.models import Lease
from roost_plugins.redis_saq.ledger import envelope

LEASE = Lease("w", "worker", "token", 3, datetime(2026, 1, 1, tzinfo=UTC))
COMMIT = Commit("c7", 7, b"snapshot", "look", GoOn())


def test_what_both_scripts_begin_with():
    """Whose lease it is, which commit, on top of what, and the step's own."""
    expected = ("w", "token", "c7", 7, b"snapshot", "look", "1500 worker")
    assert expected == envelope.step(LEASE, attrs.evolve(COMMIT, took_ms=1500))


def test_parts():
    """Each is its name, a count, and this many values; an absent one is nothing at all."""
    assert () == envelope.parts(COMMIT)
    with_events = attrs.evolve(COMMIT, events=(b"1", b"2"))
    assert ("events", 2, b"1", b"2") == envelope.parts(with_events)
    changed = attrs.evolve(with_events, snapshot=b"", change=b"some")
    assert ("change", 1, b"~some", "events", 2, b"1", b"2") == envelope.parts(changed)
    assert ("change", 1, b"=") == envelope.parts(attrs.evolve(COMMIT, is_base=True))


@pytest.mark.parametrize(
    ("what_follows", "expected"),
    [
        (Sleep(1500), ("sleep", 1500)),
        (Finish(), ("finish", 0)),
        (Yield(), ("yield", 0)),
        # It cannot continue: the next claim is to find that out.
        (GoOn(5000), ("yield", 0)),
    ],
)
def test_what_follows(what_follows, expected):
    """The script's word, and a delay."""
    assert expected == envelope.what_follows(what_follows)


def test_what_this_backend_does_not_know():
    """A core that asks for more than this backend offers gets an error that says so."""

    class Dream:
        """Something else to do."""

    with pytest.raises(BackendError, match="does not offer Dream after a step"):
        envelope.what_follows(Dream())
