"""Keys of requests: what is remembered, for how long, and what is refused."""

from __future__ import annotations

import pytest

from roost_core.errors import InvalidInput
from roost_plugins.console.api.errors import KeyBusy, KeyReused
from roost_plugins.console.api.idempotency import Keys


def done(keys, key, what="a", body=b"{}"):
    """Carry out a request unless it was before; return whether it was, and its id."""
    with keys.ticket(key, what) as ticket:
        if ticket.answer is None:
            ticket.keep((200, body, {}))
            return False, ticket.request_id
        return True, ticket.request_id


def test_it_is_carried_out_once():
    """The second time it gets the first answer."""
    keys = Keys()
    assert (False, True) == (done(keys, "k")[0], done(keys, "k")[0])


def test_without_a_key_each_counts():
    """And each has an id of its own."""
    keys = Keys()
    first, second = done(keys, None), done(keys, None)
    assert (False, False) == (first[0], second[0])
    assert first[1] != second[1]


def test_the_id_is_made_of_key_and_request():
    """Another console makes the same one, and one for another request is another."""
    one = done(Keys(), "k")[1]
    assert one == done(Keys(), "k")[1]
    assert 3 == len({one, done(Keys(), "l")[1], done(Keys(), "k", "b")[1]})


def test_another_request_is_refused():
    """With a key that was used."""
    keys = Keys()
    done(keys, "k")
    with pytest.raises(KeyReused):
        done(keys, "k", "b")


def test_at_the_same_time():
    """The second one is told to wait."""
    keys = Keys()
    with keys.ticket("k", "a"), pytest.raises(KeyBusy):
        done(keys, "k")


def test_what_fails_is_not_remembered():
    """It can be tried again with its key, also as another request."""
    keys = Keys()
    with pytest.raises(ZeroDivisionError), keys.ticket("k", "a"):
        raise ZeroDivisionError
    assert (False, False) == (done(keys, "k", "b")[0], done(keys, "l")[0])


@pytest.mark.parametrize("bounds", [{"most": 2}, {"most_bytes": 4}])
def test_the_oldest_are_forgotten(bounds):
    """By number and by size, and what was asked for again is not the oldest."""
    keys = Keys(**bounds)
    for key in ("a", "b", "a", "c"):
        done(keys, key)
    assert (True, True, False) == (done(keys, "a")[0], done(keys, "c")[0], done(keys, "b")[0])


def test_what_is_under_way_is_not_forgotten():
    """However many others there are."""
    keys = Keys(most=1)
    with keys.ticket("k", "a") as ticket:
        done(keys, "l")
        done(keys, "m")
        ticket.keep((200, b"", {}))
    assert done(keys, "k")[0]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "é"])
def test_what_is_no_key(key):
    """One word of visible characters."""
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        done(Keys(), key)
