"""Verbs on pages: which fit, what a form means, and what a reader is told."""

from __future__ import annotations

import attrs
import pytest

from roost_core.backend import StoredWork
from roost_core.backend.fitting import expected
from roost_core.backend.orders import OrderOutcome
from roost_core.errors import InvalidInput
from roost_core.models import State, Verb
from roost_core.shown import views
from roost_plugins.console.notes import Notes, Told
from roost_plugins.console.pages import verbs

MS = 1_900_000_000_000


def meta(state="queued", wish=None, **fields):
    """Make how a work item stands."""
    times = {"created_ms": MS, "updated_ms": MS}
    return views.meta(StoredWork("w-1", "crawl", State(state), wish=wish, **times, **fields))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("wish", [None, Verb.CANCEL, Verb.PAUSE, Verb.BURY])
def test_what_fits_is_what_the_rules_say(state, wish):
    """And what does not says why, in words that are not empty."""
    for one in verbs.choices(meta(state, wish)):
        outcome = expected(one.verb, state, wish)
        assert one.fits == (outcome in (OrderOutcome.DONE, OrderOutcome.REQUESTED))
        assert one.fits == (one.why == "")


def test_each_form_has_an_order_of_its_own():
    """A page that is read again makes new ones; what may change under the reader is named."""
    first, again = (verbs.choices(meta("failed", fence=7)) for _ in range(2))
    ids = [one.fields["order"] for one in (*first, *again)]
    assert len(set(ids)) == len(ids)
    by_verb = {one.verb: one.fields for one in first}
    assert {"order", "life"} == set(by_verb[Verb.CANCEL])
    assert ("failed", "7") == (by_verb[Verb.RETRY]["state"], by_verb[Verb.DROP]["fence"])


def test_what_cannot_be_read():
    """A damaged record can only be dropped, a newer one only by a newer Roost."""
    damaged = verbs.choices(meta(), problem="broken")
    assert [Verb.DROP] == [one.verb for one in damaged if one.fits]
    assert not any(one.fits for one in verbs.choices(meta(), problem="x", is_newer=True))


def test_a_command_can_be_typed():
    """It names the work item as a shell takes it."""
    assert "roost pause w-1" == verbs.choices(meta())[1].command


@pytest.mark.parametrize(
    ("form", "limits"),
    [
        ({}, {}),
        ({"attempts": " ", "deadline": ""}, {}),
        ({"attempts": " 7 ", "max_steps": "0"}, {"max_attempts": 7, "max_steps": 0}),
        ({"delay": "90"}, {"delay_seconds": 90.0}),
        ({"delay": "10m", "deadline": "2h"}, {"delay_seconds": 600.0, "deadline_seconds": 7200.0}),
    ],
)
def test_limits_of_a_retry(form, limits):
    """As they are typed on the command line; what is empty stays as it was."""
    assert limits == verbs.limits_of(form)


def test_a_deadline_is_a_time_with_its_zone():
    """Or it is refused, in words."""
    found = verbs.limits_of({"deadline": "2030-01-31T12:00:00Z"})
    assert "2030-01-31T12:00:00+00:00" == found["deadline_at"].isoformat()
    with pytest.raises(InvalidInput, match="no time zone"):
        verbs.limits_of({"deadline": "2030-01-31T12:00:00"})


@pytest.mark.parametrize("name", ["attempts", "max_steps", "delay", "deadline"])
@pytest.mark.parametrize("text", ["x", "1.5.2", "--1", "9" * 30 + "y"])
def test_what_is_no_limit(name, text):
    """It is refused, in one line."""
    with pytest.raises(InvalidInput) as found:
        verbs.limits_of({name: text})
    assert "\n" not in str(found.value)


def test_digits_of_other_scripts_are_no_numbers():
    """What a reader sees is what is meant."""
    with pytest.raises(InvalidInput):
        verbs.limits_of({"attempts": "\u0663"})


def test_notes_are_kept_for_a_while():
    """They go by their time, and the oldest first when there are many."""
    clock = [0.0]
    notes = Notes(lambda: clock[0], most=2)
    keys = [notes.put(Told("good", text)) for text in ("a", "b", "c")]
    assert [None, "b", "c"] == [found and found.text for found in map(notes.get, keys)]
    assert (None, None) == (notes.get(None), notes.get("c"))
    clock[0] = 121.0
    assert notes.get(keys[2]) is None


def test_what_is_left_after_a_drop_is_said():
    """The reader learns that a worker does the rest."""
    from roost_core.client.control import VerbResult

    result = VerbResult("w-1", Verb.DROP, OrderOutcome.DONE, left="no access")
    assert verbs.told(result).text.startswith("w-1: dropped; a worker removes later")
    assert "warn" == verbs.told(attrs.evolve(result, outcome=OrderOutcome.CHANGED)).tone
