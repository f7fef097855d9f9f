"""Snapshots as changes, and kept versions, on a real server: their bounds, and their damage."""

from __future__ import annotations

import asyncio
import contextlib
import random

import attrs
import pytest

from roost_core import hookimpl
from roost_core.backend.history import WHOLE, ForkOf, Past
from roost_core.backend.messages import Commit, EnqueueOutcome, Finish, GoOn, Sleep, Yield
from roost_core.codec.records import encode_item
from roost_core.codec.snapshots import decode_snapshot
from roost_core.errors import CorruptRecord, VersionGone
from roost_core.models import Snapshot, State, WorkItem
from roost_core.models.control import Verb
from roost_core.stepping import recent
from roost_core.stepping.recent import StoredItem
from roost_core.testing.contract.kit import ACTOR, HOUR_MS, new_work
from roost_core.testing.contract.versions import Life, begun, grown, see_versions
from tests.contract.harnesses import RedisHarness
from tests.integration.redis_bench import PATIENCE, Crew, all_done, queue, settings_for

OTHER = "worker-2"


@pytest.fixture(params=["redis_server", "valkey_server"])
def server(request):
    """Return each server: scripts run on both."""
    return request.getfixturevalue(request.param)


@contextlib.asynccontextmanager
async def opened(server, **fields):
    """Give a fresh queue."""
    kit = RedisHarness(server.url, **fields)
    await kit.open()
    try:
        yield kit
    finally:
        await kit.close()


async def fields_of(kit, work_id):
    """Return what the hash has of a work item: name and bytes, the id left out."""
    found = await kit.ledger.client.hgetall(kit.ledger.keys.key("work"))
    begin = f"{work_id} ".encode()
    return {name[len(begin) :]: raw for name, raw in found.items() if name.startswith(begin)}


async def poke(kit, work_id, **fields):
    """Replace fields of a work item, or remove those that are None."""
    key = kit.ledger.keys.key("work")
    for name, raw in fields.items():
        if raw is None:
            await kit.ledger.client.hdel(key, f"{work_id} {name}")
        else:
            await kit.ledger.client.hset(key, f"{work_id} {name}", raw)


def versions_in(fields):
    """Return the numbers of the versions that have an entry."""
    return sorted(int(name[1:]) for name in fields if name[:1] == b"v" and name[1:].isdigit())


# -- with workers ----------------------------------------------------------------------------------


class Growing:
    """An engine whose state grows by a row per step."""

    engine_id = "growing"

    @hookimpl
    async def step(self, snapshot, item):
        """Add a row."""
        rows = [*snapshot.data.get("rows", []), {"n": snapshot.version, "tuple": (1, 2)}]
        data = {"pad": "x" * item.payload["pad"], "rows": rows}
        is_finished = len(rows) >= item.payload["steps"]
        delay = None if is_finished else item.payload.get("delay")
        return snapshot.evolve(data=data, is_finished=is_finished, next_step_delay_seconds=delay)


@pytest.mark.parametrize("pad", [10, 20_000])
async def test_workers_in_turn(server, pad):
    """Each version of small and of large states is there, whoever made it, in slices of few."""
    engine = Growing()
    settings = settings_for(server, slice_steps=3)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        items = [
            (await roost.enqueue("growing", {"pad": pad, "steps": 20, "delay": delay})).work_id
            for delay in (None, 0.01)
            for _ in range(3)
        ]
        await crew.start()
        await crew.start()
        assert [State.DONE] * 6 == await all_done(roost, items)
        for work_id in items:
            history = await roost.ledger.history(work_id)
            # The first is the one without a row.
            assert tuple(range(21, 0, -1)) == history.versions
            for version in history.versions:
                text = history.snapshot(version)
                assert (b'"version":%d,' % version) in text
                assert version - 1 == text.count(b'"tuple":[1,2]')


async def until(true):
    """Wait until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110 - the server is asked
            await asyncio.sleep(0.01)


async def test_damage_to_what_a_worker_has_stored_itself(server, monkeypatch):
    """If it has to ask for it, because there was no room, its dead letter says what is wrong."""
    monkeypatch.setattr(recent, "_MOST_PIECES", 0)
    engine = Growing()
    settings = settings_for(server, slice_steps=4)
    async with queue(settings, engine) as roost, Crew(settings, engine) as crew:
        payload = {"pad": 20_000, "steps": 900, "delay": 0.01}
        work_id = (await roost.enqueue("growing", payload)).work_id
        await crew.start()
        key = roost.ledger.keys.key("work")
        await until(lambda: roost.ledger.client.hexists(key, f"{work_id} v9"))
        await roost.ledger.client.hdel(key, f"{work_id} v8")

        async def is_dead():
            return (await roost.ledger.read(work_id)).state is State.FAILED

        await until(is_dead)
        stored = await roost.ledger.read(work_id)
        assert b"damaged: a change of the snapshot is lost" in stored.error


# -- how much there is -----------------------------------------------------------------------------


@pytest.mark.parametrize("remove", ["purge", "drop"])
async def test_nothing_of_it_stays(server, remove):
    """Whatever was stored of a work item goes with it."""
    async with opened(server) as kit:
        life, claim = await begun(kit, "a")
        await kit.created("a.b")  # an id that begins alike
        await kit.ledger.commit(claim.lease, life.change(grown(14), Finish()))
        assert [1, 2, 3, 4, 5] == versions_in(await fields_of(kit, "a"))
        if remove == "purge":
            assert ["a"] == await kit.purge(0, None, 10)
        else:
            await kit.order("a", Verb.DROP)
        assert {} == await fields_of(kit, "a")
        assert [b"item"] == [*await fields_of(kit, "a.b")]


async def test_how_many_are_kept(server):
    """At least this many, and few more; what the newest follows from stays in any case."""
    async with opened(server, history_versions=5) as kit:
        life, claim = Life("a"), await kit.leased("a")
        for n in range(150):
            await kit.ledger.commit(claim.lease, life.whole({"n": n}))
            entries = versions_in(await fields_of(kit, "a"))
            assert min(n + 1, 5) <= len(entries) <= 5 + 31
        await see_versions(kit, life, oldest=entries[0] - 1)
        await kit.interrupt(claim, HOUR_MS)

        life, claim = await begun(kit, "b")
        for rows in range(14, 90):
            await kit.ledger.commit(claim.lease, life.change(grown(rows)))
        await see_versions(kit, life, oldest=versions_in(await fields_of(kit, "b"))[0] - 1 or 1)
        for n in range(62):
            await kit.ledger.commit(claim.lease, life.whole({"n": n}))
        assert len(versions_in(await fields_of(kit, "b"))) <= 5 + 31


@pytest.mark.parametrize("sizes", [[9_000], [9_000, 10], [10, 9_000], [90_000]])
async def test_how_many_bytes_are_kept(server, sizes):
    """About this many, whether steps are alike or of two kinds in turn."""
    most = 300_000
    async with opened(server, history_versions=200, history_bytes=most) as kit:
        life, claim = Life("a"), await kit.leased("a")
        for n in range(260):
            data = {"n": n, "pad": "x" * sizes[n % len(sizes)]}
            await kit.ledger.commit(claim.lease, life.whole(data))
            fields = await fields_of(kit, "a")
            size = sum(len(raw) for name, raw in fields.items() if name[:1] == b"v")
            # Until they are measured again, as many as that of the largest that wait for it.
            assert size <= 2 * most + 90_100
        history = await kit.ledger.history("a")
        for version in history.versions:
            assert life.raws[version] == history.snapshot(version)
        assert len(history.versions) > 2


async def test_none_are_kept(server):
    """With 0, small states leave nothing, and large ones what the newest follows from."""
    async with opened(server, history_versions=0) as kit:
        life, claim = Life("a"), await kit.leased("a")
        for n in range(5):
            await kit.ledger.commit(claim.lease, life.whole({"n": n}))
        assert [] == versions_in(await fields_of(kit, "a"))
        history = await kit.ledger.history("a")
        assert ((5,), life.raws[5]) == (history.versions, history.snapshot(5))
        await kit.interrupt(claim, HOUR_MS)
        life, claim = await begun(kit, "b")
        await kit.ledger.commit(claim.lease, life.change(grown(14), Yield()))
        taken = await kit.claim_one("b", worker_id=OTHER)
        assert life.raws[5] == taken.snapshot


async def test_none_are_kept_any_more(server):
    """Turned off, a history goes, little by little; so it does step by step, or in one lease."""
    async with opened(server) as kit:
        lives = {name: Life(name) for name in ("a", "b")}
        claims = {name: await kit.leased(name) for name in lives}
        for n in range(40):
            for name, life in lives.items():
                await kit.ledger.commit(claims[name].lease, life.whole({"n": n}))
        async with opened(server, namespace=kit.namespace, history_versions=0) as off:
            for n in range(40, 72):
                await off.ledger.commit(claims["a"].lease, lives["a"].whole({"n": n}))
                await off.ledger.commit(claims["b"].lease, lives["b"].whole({"n": n}, Yield()))
                claims["b"] = await off.claim_one("b")
            for name, life in lives.items():
                assert [] == versions_in(await fields_of(off, name))
                history = await off.ledger.history(name)
                assert ((72,), life.raws[72]) == (history.versions, history.snapshot(72))
        # Turned on again, it begins anew.
        for n in range(72, 110):
            await kit.ledger.commit(claims["a"].lease, lives["a"].whole({"n": n}))
        await see_versions(kit, lives["a"], oldest=72)


# -- what is damaged -------------------------------------------------------------------------------


async def damage(kit, what):
    """Damage one thing of the work item "bad", which has versions 1 to 9 and a base at 5."""
    fields = await fields_of(kit, "bad")
    base, entry = fields[b"snapshot"], fields[b"v7"]
    found = {
        "the base is gone": {"snapshot": None},
        "the base is cut": {"snapshot": base[:-300]},
        "the base is another": {"snapshot": b'{"schema":3}'},
        "the base is empty": {"snapshot": b""},
        "an entry is gone": {"v7": None},
        "an entry is cut": {"v7": entry[:-1]},
        "a byte of an entry": {"v7": entry[:-5] + b"\0" + entry[-4:]},
        "the head of an entry": {"v7": b"?" + entry},
        "an entry of another": {"v7": fields[b"v8"]},
        "an entry without an end": {"v7": b"1 1 w step"},
        "an empty entry": {"v7": b""},
    }[what]
    await poke(kit, "bad", **found)


#: What is damaged, what is said of it, and which versions can still be read.
DAMAGES = {
    "the base is gone": ("the whole snapshot is lost that its changes belong to", {1, 2, 3, 4}),
    "the base is cut": ("does not belong to the version before it", None),
    "the base is another": ("does not belong to the version before it", None),
    "the base is empty": ("does not belong to the version before it", None),
    "an entry is gone": ("a change of the snapshot is lost", {1, 2, 3, 4, 5, 6}),
    "an entry is cut": ("a stored change is damaged", {1, 2, 3, 4, 5, 6}),
    "a byte of an entry": ("a stored change is damaged", {1, 2, 3, 4, 5, 6}),
    "an entry of another": ("does not belong to the version before it", {1, 2, 3, 4, 5, 6}),
    "an entry without an end": ("a change of the snapshot is lost", {1, 2, 3, 4, 5, 6}),
    "an empty entry": ("a change of the snapshot is lost", {1, 2, 3, 4, 5, 6}),
}


async def with_bases(kit, work_id):
    """Commit versions 1 to 9 of a work item; 2, 4 and 5 are bases, and 2 and 4 kept whole."""
    life, claim = Life(work_id), await kit.leased(work_id)
    made = [life.whole(grown(10)), life.base(grown(11)), life.whole(grown(12))]
    made += [life.base(grown(13)), attrs.evolve(life.base(grown(14)), change=b"")]
    made += [life.change(grown(rows)) for rows in (15, 16, 17)]
    for commit in (*made, life.change(grown(18), Sleep(HOUR_MS))):
        await kit.ledger.commit(claim.lease, commit)
    await see_versions(kit, life)
    return life


@pytest.mark.parametrize("what", DAMAGES)
async def test_one_is_damaged(server, what):
    """It alone becomes a dead letter that says what is wrong; what is sound can be read."""
    message, readable = DAMAGES[what]
    async with opened(server) as kit:
        life = await with_bases(kit, "bad")
        other = await with_bases(kit, "good")
        await damage(kit, what)
        for work_id in ("bad", "good"):
            await kit.age_due(work_id)
        batch = await kit.claim(limit=10, worker_id=OTHER)
        assert ["good"] == [one.lease.work_id for one in batch.claims]
        assert other.raws[9] == batch.claims[0].snapshot
        bad = await kit.read("bad")
        assert State.FAILED is bad.state
        assert message in bad.error.decode()
        # So does whatever reads it.
        history = await kit.ledger.history("bad")
        for stored in (bad, history.work):
            with pytest.raises(CorruptRecord, match="the stored snapshot is damaged: "):
                decode_snapshot(stored.snapshot)
        with pytest.raises(CorruptRecord, match=message):
            decode_snapshot(bad.snapshot)
        sound = set()
        for version in range(1, 10):
            try:
                text = history.snapshot(version)
            except (CorruptRecord, VersionGone):
                continue
            sound.add(version)
            if readable is not None:
                assert life.raws[version] == text
        assert readable is None or readable == sound


# -- what an older Roost leaves behind -------------------------------------------------------------


async def repaired(kit, *, dry_run=False):
    """Repair a queue; return what was found."""
    found = await kit.ledger.repair(dry_run=dry_run)
    return [(one.outcome, one.subject, one.count, one.message) for one in found]


async def test_a_repair_removes_versions_of_what_is_gone(server):
    """And no other: neither those of work that is there, nor of what a person may yet mend."""
    async with opened(server) as kit:
        life, claim = await begun(kit, "a")
        await kit.ledger.commit(claim.lease, life.change(grown(14), Sleep(HOUR_MS)))
        for work_id in ("without-record", "unreadable", "newer"):
            _, claim = await begun(kit, work_id)
            await kit.interrupt(claim, HOUR_MS)
        key = kit.ledger.keys.key("work")
        await kit.ledger.client.hdel(key, "without-record")
        await kit.ledger.client.hset(
            key, mapping={"unreadable": "?", "newer": "99 queued counter x"}
        )
        await repaired(kit)
        before = await kit.ledger.client.hgetall(key)
        # An older Roost has purged "gone"; an earlier life of "a" had more versions.
        left = {
            "gone v1": b"1 1 w s\n",
            "gone v77": b"",
            "gone forks": b"a 1 1",
            "gone a2": b";token c1 done 2 0 1 -1",
            "a v6": b"x",
            "a v99": b"y",
        }
        await kit.ledger.client.hset(key, mapping=left)
        said = "versions or answers in work belonged to work, or a life of it, that is gone"
        assert ("found", "work", 6, said) in await repaired(kit, dry_run=True)
        assert len(before) + 6 == await kit.ledger.client.hlen(key)
        assert ("mended", "work", 6, said) in await repaired(kit)
        assert before == await kit.ledger.client.hgetall(key)
        assert said not in {words for *_, words in await repaired(kit)}
        await see_versions(kit, life)


async def test_a_repair_keeps_what_the_newest_follows_from(server):
    """Even if the record says that there is nothing so old."""
    async with opened(server) as kit:
        life, claim = await begun(kit, "a")
        await kit.ledger.commit(claim.lease, life.change(grown(14), Sleep(HOUR_MS)))
        key = kit.ledger.keys.key("work")
        head, label, rest, *lines = (await kit.ledger.client.hget(key, "a")).split(b"\n")
        words = rest.split(b" ")
        assert b"-" == words[-1]  # the oldest
        damaged = [head, label, b" ".join([*words[:-1], b"v999999"]), *lines]
        await kit.ledger.client.hset(key, "a", b"\n".join(damaged))
        await repaired(kit)
        assert [3, 4, 5] == versions_in(await fields_of(kit, "a"))
        assert life.raws[5] == (await kit.read("a")).snapshot


async def test_thousands(server):
    """As many as the settings allow go with the work, and into a fork."""
    async with opened(server, history_versions=10_000, history_bytes=64 << 20) as kit:
        life, claim = Life("a"), await kit.leased("a")
        for n in range(4500):
            await kit.ledger.commit(claim.lease, life.whole({"n": n}))
        await kit.ledger.commit(claim.lease, life.whole({"n": 0}, Finish()))
        history = await kit.ledger.history("a")
        assert tuple(range(4501, 0, -1)) == history.versions
        text = life.raws[4501].replace(b'"work_id":"a"', b'"work_id":"f"')
        past = Past(4502, text, "look", "@alice", 4501, WHOLE + life.raws[4501])
        fork = new_work("f", fork_of=ForkOf(past, "a", ACTOR, history.commits))
        (answer,) = await kit.ledger.enqueue([fork])
        assert EnqueueOutcome.CREATED is answer.outcome
        forked = await kit.ledger.history("f")
        assert tuple(range(4502, 0, -1)) == forked.versions
        assert life.raws[1] == forked.snapshot(1)
        assert ["a"] == await kit.purge(0, None, 10)
        assert {} == await fields_of(kit, "a")


BOUNDS = [
    (0, 1 << 20),
    (0, 0),
    (50, 0),
    (1, 1 << 20),
    (3, 60_000),
    (50, 100_000),
    (10_000, 64 << 20),
]


@pytest.mark.parametrize(("versions", "size"), BOUNDS)
async def test_within_any_bounds(server, versions, size):
    """Through hundreds of steps of all kinds, what can be read is right, and the newest can be."""
    dice = random.Random(versions + size)
    async with opened(server, history_versions=versions, history_bytes=size) as kit:
        claim = await kit.leased("a")
        texts, last, data = [b""], None, grown(5)
        item = StoredItem(encode_item(WorkItem(work_id="a", engine=claim.engine)), 0)
        for number in range(1, 301):
            how = dice.choices(("row", "drop", "small", "other"), (20, 5, 1, 1))[0]
            if how == "row":
                rows = [*data.get("rows", []), {"n": number, "pad": dice.randbytes(60).hex()}]
                data = {**grown(0), **data, "rows": rows}
            else:
                few = {"drop": {**data, "rows": data.get("rows", [])[3:]}, "small": {"n": number}}
                data = few.get(how) or {"pad": dice.randbytes(10_000).hex(), "rows": []}
            one = Snapshot("a", claim.engine, version=number, step="look", data=data)
            encoded = item.encode(one, last)
            is_last = number % 23 == 0
            commit = Commit(
                f"c{number}",
                number - 1,
                encoded.raw if encoded.is_whole else b"",
                "look",
                Yield() if is_last else GoOn(HOUR_MS),
                change=encoded.change,
                is_base=encoded.is_base,
            )
            await kit.ledger.commit(claim.lease, commit)
            texts.append(encoded.raw)
            last = encoded
            if is_last:
                claim = await kit.claim_one("a", worker_id=f"worker-{number}")
                assert texts[-1] == claim.snapshot
                history = await kit.ledger.history("a")
                assert number == history.versions[0]
                for version in history.versions:
                    assert texts[version] == history.snapshot(version)
                assert min(versions, number) <= len(history.commits) or size < 1 << 20
