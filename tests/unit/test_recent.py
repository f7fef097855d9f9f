"""Work items that were decoded before: the same again, and never what an engine made of them."""

from __future__ import annotations

import sys

import pytest

from roost_core import codec, recent
from roost_core.errors import CorruptRecord
from roost_core.models import WorkItem
from roost_core.recent import RecentItems


def item_bytes(work_id="w-1", payload=None):
    """Encode a work item."""
    return codec.encode_item(WorkItem(work_id=work_id, engine="demo", payload=payload))


def test_the_same_again():
    """Equal bytes bring the same item, without decoding them twice."""
    items = RecentItems()
    raw = item_bytes(payload={"a": [1, 2.5, None, "ü"]})
    first = items.decode(raw, 1000)
    assert codec.decode_item(raw, 1000) == first
    assert items.decode(bytes(bytearray(raw)), 1000) is first


@pytest.mark.parametrize("touch", [1, "text", [2], float("nan"), {1, 2}, object(), "\ud800"])
def test_a_payload_that_was_changed_in_place(touch):
    """Whatever was put there, the next one gets what is stored."""
    items = RecentItems()
    raw = item_bytes(payload={"a": {"b": []}})
    items.decode(raw, 1000).payload["a"]["b"].append(touch)
    assert {"a": {"b": []}} == items.decode(raw, 1000).payload


@pytest.mark.parametrize("payload", [None, [], 0, False, "", {"1": 1}])
def test_payloads_of_all_kinds(payload):
    """Each comes back as it is stored."""
    items = RecentItems()
    raw = item_bytes(payload=payload)
    for _ in range(2):
        found = items.decode(raw, 1000).payload
        assert (payload, type(payload)) == (found, type(found))


class Almost(int):
    """Equal to a number, and shown like it, but none that JSON brings."""


@pytest.mark.parametrize(
    ("stored", "became"), [(1, True), (1, 1.0), (0.0, -0.0), (5, Almost(5)), ([1], (1,))]
)
def test_what_is_almost_the_same(stored, became):
    """A value that only equals what is stored is none that another worker would see."""
    items = RecentItems()
    raw = item_bytes(payload={"a": stored})
    items.decode(raw, 1000).payload["a"] = became
    found = items.decode(raw, 1000).payload["a"]
    assert (repr(stored), type(stored)) == (repr(found), type(found))


def test_another_order_is_a_change():
    """The order of keys is kept, as JSON keeps it."""
    items = RecentItems()
    raw = item_bytes(payload={"a": 1, "b": 2})
    payload = items.decode(raw, 1000).payload
    payload["a"] = payload.pop("a")
    assert ["a", "b"] == list(items.decode(raw, 1000).payload)


def test_equal_texts_are_no_change():
    """However they are kept in memory: a text that was looked up in between is the same."""
    items = RecentItems()
    raw = item_bytes(payload={"key-of-it": "a text of it"})
    first = items.decode(raw, 1000)
    first.payload[sys.intern("key-of-it")] = sys.intern("a text of it")
    assert items.decode(raw, 1000) is first


def test_large_ones_are_decoded_each_time():
    """They would take room, and looking at them takes as long."""
    items = RecentItems()
    raw = item_bytes(payload="x" * 10_000)
    assert items.decode(raw, 1000) is not items.decode(raw, 1000)


def test_the_oldest_make_room(monkeypatch):
    """Only so many are kept, by when they were last asked for."""
    monkeypatch.setattr(recent, "_MOST", 2)
    items = RecentItems()
    raws = [item_bytes(f"w-{number}") for number in range(3)]
    first, second = (items.decode(raw, 1000) for raw in raws[:2])
    assert items.decode(raws[0], 1000) is first
    items.decode(raws[2], 1000)
    assert items.decode(raws[0], 1000) is first
    assert items.decode(raws[1], 1000) is not second


def test_damaged_bytes():
    """They are refused each time."""
    items = RecentItems()
    for _ in range(2):
        with pytest.raises(CorruptRecord):
            items.decode(b"{", 1000)
