"""The stored text of a work item on a real server: as it has always been, and with a new field."""

from __future__ import annotations

import contextlib

import attrs
import pytest

from roost_core.backend import (
    Claim,
    ClaimRequest,
    Commit,
    EnqueueOutcome,
    Failure,
    GoOn,
    ListQuery,
    NewWork,
    Sleep,
    StoredWork,
    Yield,
)
from roost_core.errors import BackendError, LeaseLost
from roost_core.models import State
from roost_plugins.redis_saq.ledger import envelope
from roost_plugins.redis_saq.record import claims, fields, kinds, standing
from roost_plugins.redis_saq.server import RedisServer
from tests.integration.redis_bench import settings_for

NEW = NewWork(
    work_id="w",
    engine="demo",
    item=b'{"schema":1}',
    nonce="a-nonce",
    digest="a-digest",
    priority=-7,
    resources=("r2", "r1"),
    idempotency_key="a key",
    deadline_ms=4_000_000_000_000,
    max_attempts=6,
    max_recoveries=2,
    max_steps=9,
)
#: As it stood on servers before scripts were made from the table.
ENQUEUED = (
    b"2 queued demo 0 - - {at} 0 0 - 0 9 0 0 4000000000000\n\n"
    b"0 - -7 1 {at} 0 - 6 2 a-nonce 0 0 0\nr1 r2\na key\n"
)
CLAIMED = (
    b"2 running demo 0 {token} - {now} 0 0 - 0 9 0 0 4000000000000\n\n"
    b"1 worker -7 1 {at} {now} - 6 2 a-nonce {now} 0 0\nr1 r2\na key\n"
)
ADVANCED = (
    b"2 running demo 1 {token} c1 {now} {now} 0 - 1 9 0 0 4000000000000\nlook\n"
    b"1 worker -7 1 {at} {started} - 6 2 a-nonce {started} 0 1\nr1 r2\na key\n"
)
FAILED = (
    b"2 retry_wait demo 1 - - {now} {committed} 1 - 1 9 1 0 4000000000000\nlook\n"
    b"1 - -7 1 {at} {started} - 6 2 a-nonce {started} 0 4\nr1 r2\na key\n"
    b";{token} c2 retry_wait 1 1 {now} {due}"
)


@pytest.fixture
@contextlib.asynccontextmanager
async def ledger(redis_server):
    """Give the ledger of a real server, with a namespace of its own."""
    async with opened(settings_for(redis_server)) as found:
        yield found


@contextlib.asynccontextmanager
async def opened(settings):
    """Open a ledger."""
    server = RedisServer(settings)
    await server.open()
    yield server.ledger("default")
    await server.close()


async def stored(ledger, work_id="w"):
    """Return a work item's record as it is stored."""
    return await ledger.client.hget(ledger.keys.key("work"), work_id)


def filled(golden, **values):
    """Return a golden record with the values that no two runs share."""
    return golden.decode().format(**values).encode()


async def claim_one(ledger):
    """Take the lease of the one work item that is ready."""
    batch = await ledger.claim(ClaimRequest("worker", ("demo",), 1, 60_000))
    return batch.claims[0]


def step(number, what_follows=None, *, events=()):
    """Make a commit, the first of which is number 1."""
    following = what_follows or GoOn()
    return Commit(f"c{number}", number - 1, b'{"schema":1}', "look", following, events)


async def known(ledger):
    """Return a work item's record without the words that were added since the layout was new."""
    lines = (await stored(ledger)).split(b"\n")
    for number, line in ((0, fields.RECORD.head), (2, fields.RECORD.rest)):
        added = sum(field.is_added for field in line)
        lines[number] = b" ".join(lines[number].split(b" ")[: -added or None])
    return b"\n".join(lines)


async def test_stored_bytes(ledger):
    """Each transition stores the text that it always has: older Roosts share the queue."""
    await ledger.enqueue([NEW])
    at = (await ledger.read("w")).created_ms
    assert filled(ENQUEUED, at=at) == await known(ledger)

    claim = await claim_one(ledger)
    token, started = claim.lease.token, (await ledger.read("w")).updated_ms
    assert filled(CLAIMED, at=at, token=token, now=started) == await known(ledger)

    ack = await ledger.commit(claim.lease, step(1, events=(b"{}",)))
    values = {"at": at, "token": token, "started": started}
    assert filled(ADVANCED, now=ack.at_ms, **values) == await known(ledger)

    failed = await ledger.fail(claim.lease, Failure("c2", b"{}", permanent=False, delay_ms=5))
    values |= {"committed": ack.at_ms, "due": failed.due_ms, "now": failed.at_ms}
    assert filled(FAILED, **values) == await known(ledger)


async def stepped(ledger, number):
    """Claim the work item, and commit one more step, which ends the lease; return the lease."""
    lease = (await claim_one(ledger)).lease
    assert number == (await ledger.commit(lease, step(number, Yield()))).version
    return lease


async def test_answers_of_the_last_three_leases(ledger):
    """The first is in the record; of a second lease on they are beside it, each written once."""
    await ledger.enqueue([attrs.evolve(NEW, resources=(), max_steps=0)])
    leases = [await stepped(ledger, 1)]
    assert b"\n;" in await stored(ledger)
    assert await stored(ledger, "w a1") is None
    for number in range(2, 9):
        leases.append(await stepped(ledger, number))
        assert b";" not in await stored(ledger)
        for version, lease in enumerate(leases, 1):
            asked = ledger.commit(lease, step(version, Yield()))
            if version > number - 3:
                assert version == (await asked).version
            else:
                with pytest.raises(LeaseLost):
                    await asked


async def test_answers_that_an_older_roost_has_kept(ledger):
    """They are found where it has them, and as long as they would have been."""
    await ledger.enqueue([attrs.evolve(NEW, resources=(), max_steps=0)])
    work = ledger.keys.key("work")
    leases = [await stepped(ledger, number) for number in (1, 2, 3)]
    # As it writes them: the newest first, all in the record.
    kept = [await stored(ledger, f"w a{fence % 3}") for fence in (3, 2, 1)]
    await ledger.client.hdel(work, "w a0", "w a1", "w a2")
    await ledger.client.hset(work, "w", await stored(ledger) + b"".join(kept))
    for number in (4, 5):
        for version in range(number - 3, 4):
            again = await ledger.commit(leases[version - 1], step(version, Yield()))
            assert version == again.version
        leases.append(await stepped(ledger, number))
        assert b";" not in await stored(ledger)
    assert 3 == (await ledger.commit(leases[2], step(3, Yield()))).version


# -- a new field ----------------------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class TaggedWork(NewWork):
    """Work with one more field."""

    tag: str | None = None


@attrs.frozen(eq=False, repr=False)
class TaggedClaim(Claim):
    """A claim that brings it."""

    tag: str | None = None


@attrs.frozen(eq=False, repr=False)
class TaggedStored(StoredWork):
    """What people are shown of it, and of two more."""

    tag: str | None = None
    ticks: int = 0
    noted_ms: int | None = None


TAG = fields.Field("tag", kinds.WORD, shown=("tag",), claimed="tag", enqueued="tag", is_added=True)
NOTED = fields.Field("noted", kinds.TIME, shown=("noted_ms",), is_added=True)
#: In the first line, and an accepted step makes something of it.
TICKS = fields.Field("ticks", kinds.COUNT, shown=("ticks",), accepted="'7'", is_added=True)


@pytest.fixture
def wider(monkeypatch):
    """Give what makes this a Roost whose table has three more fields: nothing else knows them."""

    @contextlib.contextmanager
    def made():
        known = fields.RECORD
        table = fields.Table(
            known.layout,
            head=(*known.head, TICKS),
            label=known.label,
            rest=(*known.rest, TAG, NOTED),
            lines=known.lines,
        )
        with monkeypatch.context() as patch:
            patch.setattr(fields, "RECORD", table)
            patch.setattr(claims, "Claim", TaggedClaim)
            patch.setattr(standing, "StoredWork", TaggedStored)
            yield

    return made


async def test_a_new_field(ledger, wider):
    """Enqueued, claimed, committed, read and listed: only the table was told about it."""
    work = TaggedWork(
        **{one.name: getattr(NEW, one.name) for one in attrs.fields(NewWork)}, tag="blue"
    )
    with wider():
        outcomes = await ledger.enqueue([work])
        assert [EnqueueOutcome.CREATED] == [one.outcome for one in outcomes]
        head, _, rest, *_ = (await stored(ledger)).split(b"\n")
        assert (head.endswith(b" 0"), rest.endswith(b" blue 0")) == (True, True)

        claim = await claim_one(ledger)
        assert ("blue", "demo", "w") == (claim.tag, claim.engine, claim.lease.work_id)
        ack = await ledger.commit(claim.lease, step(1, events=(b"{}",)))
        found = await ledger.read("w")
        assert (State.RUNNING, "blue", 7, None) == (
            ack.state,
            found.tag,
            found.ticks,
            found.noted_ms,
        )
        assert ("look", 1, "worker") == (found.step, found.version, found.worker_id)

        ack = await ledger.commit(claim.lease, step(2, Yield()))
        assert (State.QUEUED, ack) == (
            ack.state,
            await ledger.commit(claim.lease, step(2, Yield())),
        )
        assert ["blue"] == [one.tag for one in await ledger.list(ListQuery())]


async def test_a_new_field_beside_an_older_roost(redis_server, wider):
    """It has its default in what the older one stored, and the older one leaves it as it is."""
    settings = settings_for(redis_server)
    async with opened(settings) as older, opened(settings) as newer:
        await older.enqueue([NEW])
        assert b"\n0 - -7 1 " in await stored(older)
        with wider():
            claim = await claim_one(newer)
            assert None is claim.tag
            assert ["w"] == [one.work_id for one in await newer.list(ListQuery())]
            await newer.commit(claim.lease, step(1))
            assert 7 == (await newer.read("w")).ticks
        ack = await older.commit(claim.lease, step(2, Sleep(0)))
        assert State.SLEEPING is ack.state
        assert ("look", 2) == ((await older.read("w")).step, ack.version)
        with wider():
            found = await newer.read("w")
            assert (State.SLEEPING, 7, None, 2) == (
                found.state,
                found.ticks,
                found.tag,
                found.version,
            )


# -- what a commit brings -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["advance", "commit"])
async def test_a_part_that_the_scripts_do_not_know(ledger, name):
    """A call with another version's arguments is refused by name, and never half carried out."""
    await ledger.enqueue([NEW])
    claim = await claim_one(ledger)
    tail = (0,) if name == "advance" else ("yield", 0, "")
    begin, before = envelope.step(claim.lease, step(1)), await stored(ledger)
    with pytest.raises(BackendError, match="no such part of a commit: wishes"):
        await ledger.call(ledger.scripts[name], *begin, *tail, "events", 1, "{}", "wishes", 0)
    assert before == await stored(ledger)
    assert ["enqueued", "claimed"] == [one.kind for one in await ledger.events()]
    assert (await ledger.read("w")).expires_ms is not None
