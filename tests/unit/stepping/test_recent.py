"""Work items that were decoded before: made anew each time they are asked for."""

from __future__ import annotations

import gc

import pytest

from roost_core.backend.messages import Claim, Since
from roost_core.codec.moved import Stored
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.records import decode_item, encode_item
from roost_core.codec.snapshots import EncodedSnapshot, decode_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord
from roost_core.models import Lease, RetryPolicy, Snapshot, WorkItem
from roost_core.stepping import recent
from roost_core.stepping.recent import RecentItems, RecentReturns


def item_bytes(work_id="w-1", payload=None, **fields):
    """Encode a work item."""
    return encode_item(WorkItem(work_id=work_id, engine="demo", payload=payload, **fields))


def test_the_same_again():
    """Equal bytes are not decoded twice, and give an equal item."""
    items = RecentItems()
    raw = item_bytes(payload={"a": [1, 2.5, None, "ü"]})
    first = items.decode(raw, 1000)
    assert decode_item(raw, 1000) == first.item
    assert decode_item(raw, 1000) == first.fresh()
    assert items.decode(bytes(bytearray(raw)), 1000) is first


def test_another_life_of_an_id():
    """The same bytes, accepted at another time, are another item."""
    items = RecentItems()
    raw = item_bytes()
    created = [items.decode(raw, at).fresh().created_at for at in (1000, 2000)]
    assert [from_milliseconds(at) for at in (1000, 2000)] == created


@pytest.mark.parametrize("size", [1, 50_000])
@pytest.mark.parametrize("touch", [1, "text", [2], float("nan"), {1, 2}, object(), "\ud800"])
def test_a_payload_that_was_changed_in_place(touch, size):
    """Whatever was put there, the next step gets what is stored, however large it is."""
    items = RecentItems()
    raw = item_bytes(payload={"a": {"b": []}, "size": "x" * size})
    known = items.decode(raw, 1000)
    late = known.fresh()
    known.fresh().payload["a"]["b"].append(touch)
    again = items.decode(raw, 1000).fresh()
    late.payload["a"]["b"].append(touch)  # by a thread that continues behind its step's end
    assert {"b": []} == again.payload["a"]
    assert {"b": []} == known.item.payload["a"]


def test_all_that_can_be_changed_is_its_own():
    """So is what lies alongside the payload; no containers are shared."""
    raw = item_bytes(retry=RetryPolicy(max_attempts=9), resources=("a", "b"), title="t")
    known = RecentItems().decode(raw, 1000)
    one = known.fresh()
    one.extra["x"] = 1
    one.retry.extra["y"] = 2
    assert decode_item(raw, 1000) == known.fresh()


def test_what_a_newer_roost_wrote_is_kept():
    """Fields that are not known here are there each time, each time their own."""
    raw = item_bytes()[:-1] + b',"later":{"deep":[1]}}'
    known = RecentItems().decode(raw, 1000)
    known.fresh().extra["later"]["deep"].append(2)
    assert {"later": {"deep": [1]}} == dict(known.fresh().extra)


@pytest.mark.parametrize("payload", [None, [], 0, False, "", {"1": 1}, 10**400, -0.0, 1.0, "\x00"])
def test_payloads_of_all_kinds(payload):
    """Each comes back as it is stored."""
    items = RecentItems()
    raw = item_bytes(payload=payload)
    for _ in range(2):
        found = items.decode(raw, 1000).fresh().payload
        assert (repr(payload), type(payload)) == (repr(found), type(found))


def test_the_order_of_keys_is_kept():
    """As JSON keeps it."""
    known = RecentItems().decode(item_bytes(payload={"b": 1, "a": 2}), 1000)
    assert ["b", "a"] == list(known.fresh().payload)


def test_large_ones_are_decoded_each_time():
    """They would take too much memory."""
    items = RecentItems()
    raw = item_bytes(payload="x" * 10_000)
    assert items.decode(raw, 1000) is not items.decode(raw, 1000)


def test_the_oldest_make_room(monkeypatch):
    """Only this many are kept, by when they were last asked for."""
    monkeypatch.setattr(recent, "_MOST", 2)
    items = RecentItems()
    raws = [item_bytes(f"w-{number}") for number in range(3)]
    first, second = (items.decode(raw, 1000) for raw in raws[:2])
    assert items.decode(raws[0], 1000) is first
    items.decode(raws[2], 1000)
    assert items.decode(raws[0], 1000) is first
    assert items.decode(raws[1], 1000) is not second


def test_what_is_done_is_kept_no_longer():
    """Its place is free for others; the item itself stays usable."""
    items = RecentItems()
    raw = item_bytes()
    known = items.decode(raw, 1000)
    items.forget(known)
    items.forget(known)
    assert items.decode(raw, 1000) is not known
    assert known.item == known.fresh()


@pytest.mark.parametrize("text", ["small", "x" * 10_000])
def test_the_snapshot_that_was_accepted_here(text):
    """It is decoded as any other's bytes are, each time anew; a large one is not kept."""
    known = RecentItems().decode(item_bytes(), 1000)
    snapshot = Snapshot("w-1", "demo", version=3, step="a", data={"n": [1], "text": text})
    encoded = EncodedSnapshot.of(snapshot)
    expected = decode_snapshot(encoded.raw, created_ms=1000, updated_ms=2000)
    assert known.known(encoded.raw) is None
    known.accepted(encoded)
    mine = known.known(bytes(bytearray(encoded.raw)))
    assert (text == "small") == (mine is not None)
    for _ in range(2):
        found = (mine or encoded).decoded(1000, 2000, None)
        assert expected == found
        found.data["n"].append(2)
    held = sum(one is encoded for one in gc.get_referents(known))
    assert (1 if text == "small" else 0) == held


def test_another_snapshot_than_the_one_accepted_here():
    """Others have stepped since, or what is stored is damaged."""
    known = RecentItems().decode(item_bytes(), 1000)
    mine, others = (
        EncodedSnapshot.of(Snapshot("w-1", "demo", version=version)) for version in (3, 4)
    )
    known.accepted(mine)
    assert known.known(others.raw) is None
    assert known.known(mine.raw[:-1]) is None
    assert known.known(None) is None


# -- snapshots in pieces ---------------------------------------------------------------------------


def pieced_of(version=1, rows=400):
    """Return a snapshot in pieces of some 20 KB."""
    data = {"rows": [f"row {number:>40}" for number in range(rows)]}
    raw = EncodedSnapshot.of(Snapshot("w-1", "demo", version=version, data=data)).raw
    found = PiecedSnapshot.of_base(Stored(raw), 0, 0, len(raw))
    assert found is not None
    return found


def claimed(version, snapshot=b"", since=None):
    """Return a claim of a work item whose snapshot follows from a base."""
    lease = Lease("w-1", "worker", "token", 1, from_milliseconds(0))
    return Claim(lease, "demo", version, 0, 0, 1000, 2000, None, b"", snapshot, 0.0, since=since)


SINCE = Since(20_000, 3, 500)


def test_pieces_are_kept_for_the_version_that_they_are():
    """Not if another was stored since, and not if the backend knows of no base."""
    items = RecentItems()
    known = items.decode(item_bytes(), 1000)
    mine = pieced_of(4)
    items.keep(known, mine)
    assert known.in_pieces(claimed(4, since=SINCE)) is mine
    assert known.in_pieces(claimed(5, since=SINCE)) is None
    assert known.in_pieces(claimed(4, snapshot=mine.raw), Stored(mine.raw)) is None
    others = known.in_pieces(claimed(4, snapshot=mine.raw, since=SINCE), Stored(mine.raw))
    assert (20_000, 3, 500) == (others.base_bytes, others.count, others.since)
    assert mine.raw == others.raw


@pytest.mark.parametrize("payload", ["", "x" * 10_000])
def test_pieces_are_bounded(payload, monkeypatch):
    """Those kept longest make room, and so does an item that is large itself."""
    size = pieced_of().size()
    monkeypatch.setattr(recent, "_MOST_PIECES", 3 * size + 100)
    items = RecentItems()
    raws = [item_bytes(f"w-{number}", payload) for number in range(5)]
    for raw in (*raws[:3], raws[0], *raws[3:]):
        items.keep(items.decode(raw, 1000), pieced_of())
    kept = [items.decode(raw, 1000).in_pieces(claimed(1, since=SINCE)) for raw in raws]
    assert [True, False, False, True, True] == [one is not None for one in kept]
    known = {key[0] for key in items._known}
    assert known == ({raws[0], *raws[3:]} if payload else set(raws))


@pytest.mark.parametrize("end", ["forget", "whole", "item goes"])
def test_pieces_make_room_when_they_are_gone(end, monkeypatch):
    """Also those of an item that was done, has become small, or is not known any more."""
    monkeypatch.setattr(recent, "_MOST_PIECES", 2 * pieced_of().size())
    monkeypatch.setattr(recent, "_MOST", 2)
    items = RecentItems()
    first, second = (items.decode(item_bytes(f"w-{number}"), 1000) for number in range(2))
    items.keep(first, pieced_of())
    items.keep(second, pieced_of())
    if end == "forget":
        items.forget(first)
    elif end == "whole":
        items.keep(first, EncodedSnapshot.of(Snapshot("w-1", "demo")))
    third = items.decode(item_bytes("w-2"), 1000)
    items.keep(third, pieced_of())
    assert second.in_pieces(claimed(1, since=SINCE)) is not None
    assert 2 == len(items._pieces)


def test_a_large_item_stays_only_with_its_pieces():
    """Once its state is small again, or whole, it is decoded each time like others of its size."""
    items = RecentItems()
    raw = item_bytes(payload="x" * 10_000)
    known = items.decode(raw, 1000)
    items.keep(known, pieced_of())
    assert items.decode(raw, 1000) is known
    items.keep(known, EncodedSnapshot.of(Snapshot("w-1", "demo")))
    assert items.decode(raw, 1000) is not known


def test_whether_it_resembles_is_asked_less_and_less(monkeypatch):
    """If each version is another altogether."""
    asked = []

    def never(before, snapshot, raw, least):
        asked.append(snapshot.version)

    monkeypatch.setattr(recent, "based", never)
    known = RecentItems().decode(item_bytes(), 1000)
    before = Stored(b"x" * 20_000)
    for version in range(1, 40):
        snapshot = Snapshot("w-1", "demo", version=version, data={"pad": "y" * 20_000})
        assert isinstance(known.encode(snapshot, before), EncodedSnapshot)
    assert [1, 2, 3, 5, 9, 17, 33] == asked
    small = Snapshot("w-1", "demo", data={"n": 1})
    assert known.encode(small, before).raw == EncodedSnapshot.of(small).raw
    assert 7 == len(asked)


def test_damaged_bytes():
    """They are refused each time."""
    items = RecentItems()
    for _ in range(2):
        with pytest.raises(CorruptRecord):
            items.decode(b"{", 1000)


def test_work_that_comes_back_again_and_again_rests():
    """The first time at once, then for longer and longer, up to a bound."""
    returns = RecentReturns()
    pauses = [returns.pause_ms("w", 1.0) for _ in range(40)]
    assert [None, 100, 200, 400] == pauses[:4]
    assert [10_000] * 10 == pauses[-10:]
    assert returns.pause_ms("other", 1.0) is None


def test_a_return_is_forgotten_after_a_while(monkeypatch):
    """By time, and when there are too many others."""
    monkeypatch.setattr(recent, "_MOST", 2)
    returns = RecentReturns()
    assert [None, 100] == [returns.pause_ms("w", at) for at in (0.0, 59.0)]
    assert returns.pause_ms("w", 59.0 + 61.0) is None
    for other in ("a", "b"):
        returns.pause_ms(other, 120.0)
    assert returns.pause_ms("w", 121.0) is None
