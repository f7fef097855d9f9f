"""Helpers for the tests of the contract."""

from __future__ import annotations

import abc
import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from roost_core.backend.facts import Facts
from roost_core.backend.ledger import Ledger
from roost_core.backend.messages import (
    Ack,
    Alone,
    Beat,
    Claim,
    ClaimBatch,
    ClaimRequest,
    Commit,
    Enqueued,
    EnqueueOutcome,
    Failure,
    GoOn,
    NewWork,
    Next,
    Renewed,
)
from roost_core.backend.orders import Order, OrderAnswer, OrderOutcome
from roost_core.backend.rates import Tally
from roost_core.backend.reports import StoredWork
from roost_core.backend.server import Server
from roost_core.codec.records import decode_model, encode_item, encode_model
from roost_core.codec.snapshots import encode_snapshot
from roost_core.codec.strict_json import digest
from roost_core.codec.times import from_milliseconds
from roost_core.errors import LeaseLost
from roost_core.models.control import Actor, Verb
from roost_core.models.snapshot import Snapshot
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State, WorkItem
from roost_core.models.worker import Heartbeat, WorkerInfo
from roost_core.values import Json

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
#: What follows most steps.
_GO_ON = GoOn(MINUTE_MS)
ENGINE = "counter"
WORKER = "worker-1"
QUEUE = "default"
#: Who uses the verbs.
ACTOR = Actor("alice", "tests", "because")
#: No scenario takes this long, in seconds, unless it hangs.
SCENARIO_TIMEOUT = 60.0

_numbers = itertools.count(1)


def unique(word: str) -> str:
    """Return a text that was not returned before: nonces and commit ids."""
    return f"{word}-{next(_numbers)}"


def new_work(
    work_id: str,
    *,
    payload: Json = None,
    engine: str = ENGINE,
    title: str | None = None,
    **fields: Any,
) -> NewWork:
    """Make a work item as a client does; ``fields`` are those of ``NewWork``."""
    fields.setdefault("nonce", unique("nonce"))
    fields.setdefault("digest", digest(engine, payload))
    item = WorkItem(work_id=work_id, engine=engine, payload=payload, title=title)
    return NewWork(work_id=work_id, engine=engine, item=encode_item(item), **fields)


def snapshot_bytes(claim: Claim, version: int, **data: Json) -> bytes:
    """Make the snapshot that a step of this claim returns."""
    snapshot = Snapshot(
        work_id=claim.lease.work_id, engine=claim.engine, version=version, data=data
    )
    return encode_snapshot(snapshot)


def error_bytes(kind: str = "exception", message: str = "it broke") -> bytes:
    """Make the record of an error."""
    return encode_model(ErrorRecord(kind=kind, message=message))


def error_of(stored: StoredWork) -> ErrorRecord:
    """Decode the error that is stored with a work item."""
    assert stored.error is not None
    return decode_model(ErrorRecord, stored.error)


def heartbeat_bytes(message: str) -> bytes:
    """Make an engine's heartbeat."""
    return encode_model(Heartbeat(progress=0.5, message=message))


def worker_bytes(worker_id: str = WORKER, engines: Sequence[str] = (ENGINE,)) -> bytes:
    """Make a worker's announcement."""
    info = WorkerInfo(
        worker_id=worker_id,
        host="host",
        pid=1,
        engines=tuple(engines),
        concurrency=1,
        lease_ttl_seconds=60.0,
        roost_version="0",
        started_at=from_milliseconds(0),
    )
    return encode_model(info)


class Harness(abc.ABC):
    """One fresh server without work, a ledger of it, and how to let its time pass.

    Subclasses say how to make the server, and how to reach behind it so that
    leases expire and sleepers become due without waiting.
    """

    @property
    @abc.abstractmethod
    def server(self) -> Server:
        """The server under test."""

    @property
    def ledger(self) -> Ledger:
        """The ledger under test."""
        return self.server.ledger(QUEUE)

    @abc.abstractmethod
    async def open(self) -> None:
        """Open the server. It holds no work item yet."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the server and remove what it stored."""

    @abc.abstractmethod
    async def age_lease(self, work_id: str) -> None:
        """Make the lease on a work item expire now, without notice."""

    @abc.abstractmethod
    async def age_due(self, work_id: str) -> None:
        """Make a sleeping work item due now, without notice."""

    async def pass_time(self, ms: int) -> None:
        """Let the server's clock move on by ``ms`` milliseconds, or a little more."""
        await asyncio.sleep(ms / 1000)

    # -- short forms ----------------------------------------------------------------------------

    async def enqueue(self, work_id: str, **fields: Any) -> Enqueued:
        """Enqueue one work item; ``fields`` as for :func:`new_work`."""
        (answer,) = await self.ledger.enqueue([new_work(work_id, **fields)])
        return answer

    async def created(self, *work_ids: str, **fields: Any) -> None:
        """Enqueue work items one after the other, and see that they are new."""
        for work_id in work_ids:
            answer = await self.enqueue(work_id, **fields)
            assert answer == Enqueued(EnqueueOutcome.CREATED, work_id)

    async def claim(
        self,
        *,
        engines: Sequence[str] = (ENGINE,),
        limit: int = 1,
        ttl_ms: int = MINUTE_MS,
        worker_id: str = WORKER,
        alone: Alone = Alone.NEVER,
    ) -> ClaimBatch:
        """Claim as a worker does."""
        request = ClaimRequest(worker_id, tuple(engines), limit, ttl_ms, alone)
        return await self.ledger.claim(request)

    async def claimed_ids(self, **fields: Any) -> list[str]:
        """Claim, and return the ids of what was taken."""
        return [claim.lease.work_id for claim in (await self.claim(**fields)).claims]

    async def claim_one(self, work_id: str | None = None, **fields: Any) -> Claim:
        """Claim exactly one work item, which has to be this one if named."""
        (claim,) = (await self.claim(**fields)).claims
        assert work_id in (None, claim.lease.work_id)
        return claim

    async def leased(self, work_id: str, **fields: Any) -> Claim:
        """Enqueue a work item and claim it."""
        await self.created(work_id, **fields)
        return await self.claim_one(work_id, engines=[fields.get("engine", ENGINE)])

    async def commit(
        self,
        claim: Claim,
        then: Next = _GO_ON,
        *,
        version: int | None = None,
        **fields: Any,
    ) -> Ack:
        """Commit a step of a claim; ``version`` is the expected one, else the claim's."""
        expected = claim.version if version is None else version
        fields.setdefault("commit_id", unique("commit"))
        fields.setdefault("step", "count")
        fields.setdefault("snapshot", snapshot_bytes(claim, expected + 1))
        commit = Commit(expected_version=expected, next=then, **fields)
        return await self.ledger.commit(claim.lease, commit)

    async def fail(self, claim: Claim, **fields: Any) -> Ack:
        """Fail an attempt; it is retried after an hour unless ``fields`` say otherwise."""
        fields.setdefault("commit_id", unique("commit"))
        fields.setdefault("error", error_bytes())
        fields.setdefault("permanent", False)
        fields.setdefault("delay_ms", HOUR_MS)
        return await self.ledger.fail(claim.lease, Failure(**fields))

    async def interrupt(
        self, claim: Claim, delay_ms: int | None = None, commit_id: str | None = None
    ) -> Ack:
        """Give a claim back without blame."""
        name = commit_id or unique("commit")
        return await self.ledger.interrupt(claim.lease, name, "shutdown", delay_ms)

    async def renew(
        self,
        *claims: Claim,
        heartbeat: bytes | None = None,
        ttl_ms: int = MINUTE_MS,
        worker_id: str = WORKER,
    ) -> list[str]:
        """Renew from a thread, as a worker does; return the lost tokens."""
        renewed = await self.renewed(
            *claims, heartbeat=heartbeat, ttl_ms=ttl_ms, worker_id=worker_id
        )
        return [*renewed.lost]

    async def renewed(
        self,
        *claims: Claim,
        heartbeat: bytes | None = None,
        ttl_ms: int = MINUTE_MS,
        worker_id: str = WORKER,
        engines: Sequence[str] = (ENGINE,),
        tally: Tally | None = None,
    ) -> Renewed:
        """Renew from a thread, as a worker does."""
        beats = [Beat(one.lease.work_id, one.lease.token, heartbeat) for one in claims]
        renewer = self.ledger.renewer()
        try:
            info = worker_bytes(worker_id, engines)
            return await asyncio.to_thread(renewer.renew, info, beats, ttl_ms, tally)
        finally:
            renewer.close()

    async def order(self, work_id: str, verb: Verb, **fields: Any) -> OrderAnswer:
        """Use a verb on a work item; ``fields`` are those of ``Order``."""
        fields.setdefault("request_id", unique("request"))
        fields.setdefault("actor", ACTOR)
        return await self.ledger.order(work_id, Order(verb=verb, **fields))

    async def done(self, work_id: str, verb: Verb, **fields: Any) -> StoredWork:
        """Use a verb that takes effect at once, and return how the work item stands then."""
        answer = await self.order(work_id, verb, **fields)
        stored = await self.read(work_id)
        expected = OrderAnswer(OrderOutcome.DONE, stored.state, stored.version, stored.wish)
        assert expected == answer
        return stored

    async def requested(self, work_id: str, verb: Verb, **fields: Any) -> None:
        """Use a verb on running work, and see that it is its wish."""
        answer = await self.order(work_id, verb, **fields)
        stored = await self.read(work_id)
        expected = OrderAnswer(OrderOutcome.REQUESTED, State.RUNNING, stored.version, verb)
        assert expected == answer
        assert (State.RUNNING, verb) == (stored.state, stored.wish)

    async def read(self, work_id: str) -> StoredWork:
        """Read a work item that has to be there."""
        stored = await self.ledger.read(work_id)
        assert stored is not None
        return stored

    async def facts(self, work_id: str) -> Facts:
        """Return what decides when a work item runs that has to be there."""
        facts = await self.ledger.facts(work_id)
        assert facts is not None
        return facts

    async def purge(
        self, retention_ms: int, dead_letter_retention_ms: int | None, limit: int
    ) -> list[str]:
        """Purge, confirm that everything gone is forgotten, and return its ids."""
        gone = await self.ledger.purge(retention_ms, dead_letter_retention_ms, limit)
        await self.ledger.purge(HOUR_MS, None, 0, gone)
        return [one.work_id for one in gone]

    async def kinds(self, work_id: str) -> list[str]:
        """Return the kinds of a work item's events, in order."""
        events = await self.ledger.events(work_id=work_id, limit=1000)
        return [event.kind for event in events]

    async def see_refused(self, claim: Claim) -> None:
        """Check that a claim's token is refused everywhere, and that nothing changes (C3)."""
        work_id = claim.lease.work_id
        before = (await self.ledger.read(work_id), await self.kinds(work_id))
        with pytest.raises(LeaseLost):
            await self.commit(claim)
        with pytest.raises(LeaseLost):
            await self.fail(claim)
        with pytest.raises(LeaseLost):
            await self.interrupt(claim)
        assert [claim.lease.token] == await self.renew(claim, heartbeat=heartbeat_bytes("late"))
        assert before == (await self.ledger.read(work_id), await self.kinds(work_id))


class ContractTests:
    """What all parts of the contract have in common."""

    def make(self) -> Harness:
        """Return a harness around a new server without work. Subclasses say which."""
        raise NotImplementedError

    def drive(self, scenario: Callable[[Harness], Coroutine[Any, Any, None]]) -> None:
        """Run one scenario against one server."""

        async def run() -> None:
            harness = self.make()
            await harness.open()
            try:
                async with asyncio.timeout(SCENARIO_TIMEOUT):
                    await scenario(harness)
            finally:
                await harness.close()

        asyncio.run(run())


_Tests = TypeVar("_Tests", bound=ContractTests)


def driven(
    method: Callable[[_Tests, Harness], Coroutine[Any, Any, None]],
) -> Callable[[_Tests], None]:
    """Turn a scenario into a test method."""

    # Not functools.wraps: pytest would take the harness for a fixture.
    def test(self: _Tests) -> None:
        self.drive(lambda harness: method(self, harness))

    test.__name__ = method.__name__
    test.__qualname__ = method.__qualname__
    test.__module__ = method.__module__
    test.__doc__ = method.__doc__
    return test
