"""The model itself: its clock, its checks, and what the contract does not ask of a backend."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from typing import Any

import pytest

from roost_core.backend import (
    Alone,
    Claim,
    ClaimRequest,
    Failure,
    Finish,
    Ledger,
    ServePlan,
    StoredWork,
)
from roost_core.errors import ArtifactNotFound, InvalidInput
from roost_core.models import State
from roost_core.testing import ManualClock, MemoryArtifactStore, MemoryLedger, RealClock
from roost_core.testing.contract.kit import HOUR_MS, MINUTE_MS, error_bytes, new_work
from roost_core.testing.model.blame import Blame
from roost_core.testing.model.serve import UPKEEP_MS
from roost_core.testing.model.state import MemoryState
from tests.contract.test_memory import MemoryHarness


@pytest.fixture
def kit() -> MemoryHarness:
    """Give a fresh model."""
    return MemoryHarness()


# -- clocks ----------------------------------------------------------------------------------------


def test_a_manual_clock_stands_still() -> None:
    """Time passes when the test says so, and never backwards."""
    clock = ManualClock(5)
    assert 5 == clock.now_ms()
    clock.advance(10)
    assert 15 == clock.now_ms()
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


async def test_sleepers_wake_when_their_time_has_come() -> None:
    """Advancing wakes those whose time has come, at once, and no others."""
    clock = ManualClock(0)
    soon = asyncio.create_task(clock.sleep_until(10))
    late = asyncio.create_task(clock.sleep_until(11))
    await asyncio.sleep(0)
    clock.advance(9)
    await asyncio.sleep(0)
    assert not soon.done()
    await asyncio.to_thread(clock.advance, 1)
    await soon
    assert not late.done()
    late.cancel()
    await clock.sleep_until(10)


async def test_a_real_clock_moves_on() -> None:
    """Sleeping until a moment returns at that moment or later."""
    clock = RealClock()
    until = clock.now_ms() + 2
    await clock.sleep_until(until)
    assert clock.now_ms() >= until
    await clock.sleep_until(0)


# -- reaching behind the model ---------------------------------------------------------------------


async def test_only_what_has_a_time_can_be_aged(kit: MemoryHarness) -> None:
    """A test that ages the wrong work gets an error."""
    await kit.created("a")
    with pytest.raises(ValueError, match="a is not leased"):
        kit.ledger.age_lease("a")
    with pytest.raises(ValueError, match="a has no due time"):
        kit.ledger.age_due("a")
    with pytest.raises(KeyError):
        kit.ledger.age_due("nobody")


async def test_sleepers_are_due_when_the_clock_says_so(kit: MemoryHarness) -> None:
    """Q2: to the millisecond."""
    await kit.created("a", delay_ms=HOUR_MS)
    await kit.pass_time(HOUR_MS - 1)
    batch = await kit.claim()
    assert ((), 1) == (batch.claims, batch.next_wake_ms)
    await kit.pass_time(1)
    await kit.claim_one("a")


async def test_leases_expire_when_the_clock_says_so(kit: MemoryHarness) -> None:
    """L3: a lease is live until its last millisecond has passed."""
    await kit.leased("a")
    await kit.pass_time(MINUTE_MS - 1)
    assert () == (await kit.claim()).claims
    await kit.pass_time(1)
    assert 2 == (await kit.claim_one("a")).lease.fence


async def test_silent_workers_leave_the_register(kit: MemoryHarness) -> None:
    """A worker whose last renewal is too old to hold a lease is not live."""
    await kit.renew(ttl_ms=MINUTE_MS)
    await kit.pass_time(MINUTE_MS - 1)
    assert 1 == len(await kit.ledger.workers())
    await kit.pass_time(1)
    assert [] == list(await kit.ledger.workers())


async def test_models_share_nothing() -> None:
    """Two ledgers are two queues."""
    one, two = MemoryLedger(), MemoryLedger()
    await one.enqueue([new_work("a")])
    assert await two.read("a") is None
    assert abs(await one.now_ms() - await two.now_ms()) < HOUR_MS


# -- serving ---------------------------------------------------------------------------------------


def plan(kit: MemoryHarness, stopping: asyncio.Event, **fields: Any) -> ServePlan:
    """Plan two lanes for the contract's engine."""
    given: dict[str, Any] = {"burst": False, "drain_timeout": 10.0, **fields}
    return ServePlan(
        ledgers=(kit.ledger,),
        worker_id="w",
        engines=("counter",),
        concurrency=2,
        lease_ttl_ms=MINUTE_MS,
        stopping=stopping,
        **given,
    )


async def nothing(*_: Any) -> None:
    """Do nothing."""


async def test_upkeep_runs_once_a_minute(kit: MemoryHarness) -> None:
    """By the model's clock, without anything else happening."""
    stopping, kept = asyncio.Event(), asyncio.Event()

    async def upkeep() -> None:
        kept.set()

    serving = asyncio.create_task(kit.server.serve(plan(kit, stopping), nothing, nothing, upkeep))
    for _ in range(3):
        for _ in range(5):
            await asyncio.sleep(0)
        assert not kept.is_set()
        await kit.pass_time(UPKEEP_MS)
        await kept.wait()
        kept.clear()
    stopping.set()
    await serving


async def test_a_handler_that_raises_ends_the_lanes(kit: MemoryHarness) -> None:
    """A bug in the handler comes out of ``serve``; the other lanes are cancelled first."""
    await kit.created("fails", "waits")
    cancelled = []

    async def handle(_ledger: Ledger, claim: Claim) -> None:
        try:
            await asyncio.sleep(0 if claim.lease.work_id == "fails" else 3600)
        except asyncio.CancelledError:
            cancelled.append(claim.lease.work_id)
            raise
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await kit.server.serve(plan(kit, asyncio.Event()), handle, nothing, nothing)
    assert ["waits"] == cancelled


async def test_cancelling_serve_cancels_the_lanes(kit: MemoryHarness) -> None:
    """Nothing keeps running."""
    await kit.created("a")
    started, ended = asyncio.Event(), asyncio.Event()

    async def handle(_ledger: Ledger, _claim: Claim) -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    serving = asyncio.create_task(
        kit.server.serve(plan(kit, asyncio.Event()), handle, nothing, nothing)
    )
    await started.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert ended.is_set()


# -- the checks ------------------------------------------------------------------------------------


async def soundly_full(kit: MemoryHarness) -> MemoryState:
    """Fill a model with work in every state, and return its state to be broken."""
    await kit.created("keyed", payload=1, idempotency_key="k")
    await kit.commit(await kit.claim_one("keyed"), Finish())
    await kit.fail(await kit.leased("failed"), permanent=True)
    await kit.leased("running", resources=("r",))
    await kit.created("blocked", resources=("r",))
    assert [] == await kit.claimed_ids()
    await kit.created("sleeping", delay_ms=HOUR_MS)
    await kit.leased("running-2", engine="other")
    await kit.created("queued")
    kit.ledger.check()
    return kit.ledger.run(lambda state, _now: state)


@pytest.mark.parametrize(
    ("work_id", "changes", "invariant"),
    [
        ("queued", {"due_ms": 5}, "Q1"),
        ("queued", {"token": "t"}, "Q1"),
        ("sleeping", {"due_ms": None}, "Q1"),
        ("running", {"expires_ms": None}, "Q1"),
        ("blocked", {"blocked_on": None}, "Q1"),
        ("keyed", {"finished_ms": None}, "Q1"),
        ("running", {"token": "same"}, "L1"),
        ("queued", {"attempts": 99}, "R1"),
        ("queued", {"blame": Blame(deaths=99)}, "R2"),
        ("queued", {"blame": Blame(alone=Alone.MAY)}, "B1"),
        ("failed", {"error": None}, "D1"),
        ("running-2", {"version": 1, "snapshot": b"{}"}, "C1"),
        ("keyed", {"version": 2}, "C1"),
        ("blocked", {"blocked_on": "unknown"}, "X2"),
        ("blocked", {"is_in_line": False}, "Q5"),
        ("running-2", {"is_in_line": True}, "X2"),
    ],
)
async def test_check_finds_what_is_broken(
    kit: MemoryHarness, work_id: str, changes: dict[str, Any], invariant: str
) -> None:
    """An impossible state is reported with the name of its invariant."""
    state = await soundly_full(kit)
    state.works["running-2"].token = "same"
    for name, value in changes.items():
        setattr(state.works[work_id], name, value)
    with pytest.raises(AssertionError, match=f"^{invariant}"):
        kit.ledger.check()


async def test_check_finds_lost_wake_ups_and_two_holders(kit: MemoryHarness) -> None:
    """X1, X2: a freed resource whose waiters sleep on, and one that two hold."""
    state = await soundly_full(kit)
    resources = state.works["running"].new
    state.works["running"].new = new_work("running")
    with pytest.raises(AssertionError, match=r"^X2 \(lost wake-up"):
        kit.ledger.check()
    state.works["running"].new = resources
    state.works["running-2"].new = resources
    with pytest.raises(AssertionError, match=r"^X1"):
        kit.ledger.check()


async def test_check_finds_lost_keys_and_events(kit: MemoryHarness) -> None:
    """Q6, C1: a key that points nowhere, and a history that does not add up."""
    state = await soundly_full(kit)
    state.keys["other"] = ("digest", "queued")
    with pytest.raises(AssertionError, match=r"^Q6"):
        kit.ledger.check()
    del state.keys["other"]
    state.events = [event for event in state.events if event.kind != "committed"]
    with pytest.raises(AssertionError, match=r"^C1"):
        kit.ledger.check()


async def test_a_claim_that_gives_up_says_so(kit: MemoryHarness) -> None:
    """A claim that takes nothing from a long line is asked to come again at once."""
    works = [new_work(f"w{number:03}", deadline_ms=1) for number in range(150)]
    await kit.ledger.enqueue(works)
    request = ClaimRequest("w", ("counter",), 2, MINUTE_MS)
    batch = await kit.ledger.claim(request)
    assert ((), 102, 0) == (batch.claims, len(batch.dead_letters), batch.next_wake_ms)
    stored: StoredWork = await kit.read("w149")
    assert State.QUEUED == stored.state


# -- artifacts -------------------------------------------------------------------------------------


def test_artifacts_are_named_by_their_bytes() -> None:
    """The same bytes are one blob, whoever puts them, and however often."""
    store = MemoryArtifactStore()
    first = store.put(b"data", work_id="a", ext="txt", name="one")
    second = store.put(b"data", work_id="b")
    assert hashlib.sha256(b"data").hexdigest() == first.artifact_id == second.artifact_id
    assert (4, "txt", "one") == (first.size_bytes, first.ext, first.name)
    assert b"data" == store.get(first.artifact_id)
    assert [("a", first), ("b", second)] == list(store.describe(first.artifact_id))
    assert [first] == list(store.of_work("a"))


def test_forgetting_drops_what_nobody_needs() -> None:
    """A blob stays as long as one work item refers to it."""
    store = MemoryArtifactStore()
    shared = store.put(b"shared", work_id="a").artifact_id
    store.put(b"shared", work_id="b")
    alone = store.put(b"alone", work_id="a").artifact_id
    store.forget("a")
    store.forget("nobody")
    assert (True, False) == (store.exists(shared), store.exists(alone))
    assert [] == list(store.of_work("a"))
    with pytest.raises(ArtifactNotFound):
        store.get(alone)


@pytest.mark.parametrize("artifact_id", ["", "x", "../" + "0" * 61, "0" * 63, "A" * 64])
def test_ids_that_are_none(artifact_id: str) -> None:
    """A2: what is not an artifact id is not looked for."""
    store = MemoryArtifactStore()
    for look in (store.get, store.exists, store.describe):
        with pytest.raises(InvalidInput):
            look(artifact_id)


def test_bad_names_are_refused() -> None:
    """A2: extension and work id are checked before anything is kept."""
    store = MemoryArtifactStore()
    with pytest.raises(InvalidInput):
        store.put(b"", work_id="a/b")
    with pytest.raises(InvalidInput):
        store.put(b"", work_id="a", ext="../x")
    assert not store.exists(hashlib.sha256(b"").hexdigest())
    assert store.description
    assert "problem" == store.diagnose()[0].level


async def test_a_state_can_be_kept_elsewhere():
    """Everything goes through ``run``, and a state pickled in between continues as it was."""

    class Pickling(MemoryLedger):
        raw = pickle.dumps(MemoryState())

        def run(self, operation):
            state = pickle.loads(self.raw)
            result = operation(state, self.clock.now_ms())
            self.raw = pickle.dumps(state)
            return result

    ledger = Pickling(ManualClock())
    await ledger.enqueue([new_work("a"), new_work("b", delay_ms=1000)])
    ledger.age_due("b")
    request = ClaimRequest("worker-1", ("counter",), limit=2, lease_ttl_ms=60_000)
    first, second = (await ledger.claim(request)).claims
    assert ["a", "b"] == [first.lease.work_id, second.lease.work_id]
    assert first.lease.token != second.lease.token
    ledger.age_lease("a")
    await ledger.fail(second.lease, Failure("c1", error_bytes(), permanent=True, delay_ms=0))
    assert State.FAILED == (await ledger.wait_terminal("b", None)).state
    assert ["enqueued", "claimed", "dead_lettered"] == [
        event.kind for event in await ledger.events(work_id="b")
    ]
    ledger.check()
