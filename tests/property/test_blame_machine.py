"""Random histories of workers that die: the model alone, and the model alongside a real server.

Everything here is about blame, so that much is suspected and runs in groups. What each
death was is recorded here, too, and a work item may never be blamed for more.
"""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from roost_core.backend import (
    Alone,
    Claim,
    ClaimRequest,
    Commit,
    Failure,
    GoOn,
    Ledger,
    Next,
    Sleep,
    Yield,
)
from roost_core.models import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    error_bytes,
    new_work,
    snapshot_bytes,
    unique,
    worker_bytes,
)
from tests.property.sides import BesideServer, Sides
from tests.property.views import claim_view
from tests.servers import Server

ENGINES = ["a", "b"]
SOME_ENGINES = st.sampled_from([["a", "b"], ["a", "b"], ["a"], ["b"]])
MOST_RECOVERIES = 2


@attrs.frozen
class Batch:
    """What one worker has taken with one claim: each side's claims, pair by pair."""

    worker_id: str
    alone: Alone
    claims: list[tuple[Claim, ...]]

    @property
    def was_alone(self) -> bool:
        """Whether the worker's death would be that of its one work item."""
        is_one = len(self.claims) == 1
        return self.alone is Alone.ALWAYS or (is_one and self.claims[0][0].is_solo)


class BlameMachine(Sides):
    """Workers take work, step, live and die."""

    work_ids = tuple(f"w{number}" for number in range(12))

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []
        #: Per work item: deaths of workers, since its last accepted step, that ran nothing else.
        self.alone_deaths: Counter[str] = Counter()

    @initialize(engines=st.lists(st.sampled_from(ENGINES), min_size=12, max_size=12))
    def enqueue(self, engines: list[str]) -> None:
        """Begin with much to do; some of it needs the same resource."""
        for number, (work_id, engine) in enumerate(zip(self.work_ids, engines, strict=True)):
            new = new_work(
                work_id,
                engine=engine,
                max_attempts=3,
                max_recoveries=MOST_RECOVERIES,
                priority=number % 5 % 2,
                resources=("r",) if number % 4 == 3 else (),
            )
            self.agreed(lambda _, side, new=new: side.enqueue([new]))

    def take(self, worker_id: str, engines: list[str], limit: int, alone: Alone) -> Batch:
        """Claim on every side; check what comes together (B1)."""
        most = 1 if alone is Alone.ALWAYS else limit
        request = ClaimRequest(worker_id, tuple(engines), most, HOUR_MS, alone)
        batches = self.ask(lambda _, side: side.claim(request))
        views = [[claim_view(claim) for claim in batch.claims] for batch in batches]
        dead = [sorted(batch.dead_letters) for batch in batches]
        assert all(view == views[0] for view in views), views
        assert all(one == dead[0] for one in dead)
        solo = [claim for claim in batches[0].claims if claim.is_solo]
        assert len(solo) in (0, len(batches[0].claims))
        assert len(solo) <= max(1, most // 2)
        assert not solo or alone is Alone.MAY
        claims = list(zip(*(batch.claims for batch in batches), strict=True))
        return Batch(worker_id, alone, claims)

    @rule(engines=SOME_ENGINES, limit=st.integers(1, 8), alone=st.sampled_from(Alone))
    def claim(self, engines: list[str], limit: int, alone: Alone) -> None:
        """Let a new worker take some."""
        batch = self.take(unique("worker"), engines, limit, alone)
        if batch.claims:
            self.batches.append(batch)

    @rule(
        engines=SOME_ENGINES,
        limit=st.integers(2, 8),
        alone=st.sampled_from([Alone.MAY, Alone.MAY, Alone.NEVER, Alone.ALWAYS]),
        comes_back=st.sampled_from([None, None, None, "renews", "retires"]),
    )
    def die(self, engines: list[str], limit: int, alone: Alone, comes_back: str | None) -> None:
        """Let a new worker take some, and be silent until that is noticed; it may come back."""
        batch = self.take(unique("worker"), engines, limit, alone)
        self.silence(batch)
        if comes_back is not None:
            self.come_back(batch.worker_id, comes_back)
            for claims in batch.claims:
                self.alone_deaths[claims[0].lease.work_id] -= batch.was_alone

    def silence(self, batch: Batch) -> None:
        """Let all leases of a worker expire, and be found."""
        for claims in batch.claims:
            work_id = claims[0].lease.work_id
            if self.holds(claims):
                self.alone_deaths[work_id] += batch.was_alone
                self.age(work_id, frozenset({State.RUNNING}), "age_lease")
        self.take("finder", ["none"], 12, Alone.NEVER)

    def come_back(self, worker_id: str, how: str) -> None:
        """Let a worker be heard from again."""

        async def request(index: int, side: Ledger) -> None:
            if how == "renews":
                self.renewers[index].renew(worker_bytes(worker_id, ENGINES), [], HOUR_MS)
            else:
                await side.retire(worker_id)

        self.agreed(request)

    def holds(self, claims: tuple[Claim, ...]) -> bool:
        """Whether a lease is current."""
        stored = self.standing(claims[0].lease.work_id)[0]
        return (
            stored is not None
            and stored.fence == claims[0].lease.fence
            and (stored.state is State.RUNNING)
        )

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def dies(self, data: st.DataObject) -> None:
        """Let a worker die that has perhaps made steps."""
        batch = self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))
        self.silence(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), what_follows=st.sampled_from([GoOn(), Yield(), Yield(), Sleep(0)]))
    def commit(self, data: st.DataObject, what_follows: Next) -> None:
        """Have a step accepted, which clears everything."""
        batch = self.batches[data.draw(st.integers(0, len(self.batches) - 1))]
        claims = batch.claims[data.draw(st.integers(0, len(batch.claims) - 1))]
        work_id = claims[0].lease.work_id
        stored = self.standing(work_id)[0]
        assert stored is not None
        commit = Commit(
            commit_id=unique("commit"),
            expected_version=stored.version,
            snapshot=snapshot_bytes(claims[0], stored.version + 1),
            step="step",
            next=what_follows,
        )
        was_held = self.holds(claims)
        self.agreed(lambda index, side: side.commit(claims[index].lease, commit))
        if was_held:
            self.alone_deaths[work_id] = 0

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """Give up an attempt: that clears nothing, and blames nobody."""
        batch = self.batches[data.draw(st.integers(0, len(self.batches) - 1))]
        claims = batch.claims[data.draw(st.integers(0, len(batch.claims) - 1))]
        failure = Failure(unique("commit"), error_bytes(), permanent=False, delay_ms=0)
        self.agreed(lambda index, side: side.fail(claims[index].lease, failure))

    @rule(work_id=st.sampled_from(work_ids))
    def become_due(self, work_id: str) -> None:
        """Let one that waits become due, if it waits."""
        self.age(work_id, frozenset({State.SLEEPING, State.RETRY_WAIT}), "age_due")

    @invariant()
    def nothing_is_blamed_that_did_nothing(self) -> None:
        """B1: only deaths alone count, and after so many of them it is buried."""
        for work_id in self.work_ids:
            stored = self.standing(work_id)[0]
            if stored is None:
                continue
            assert stored.recoveries <= self.alone_deaths[work_id]
            if stored.state is State.FAILED and stored.attempts < stored.max_attempts:
                assert stored.recoveries == MOST_RECOVERIES


class RealMachine(BesideServer, BlameMachine):
    """The same alongside a real server."""


def test_the_model_blames_nobody_wrongly() -> None:
    """Any history leaves the model sound."""
    run_state_machine_as_test(BlameMachine, settings=settings(stateful_step_count=40))


@pytest.fixture(params=["redis_server", "valkey_server"])
def machine(request: pytest.FixtureRequest) -> type[RealMachine]:
    """Give a machine alongside each server."""
    server: Server = request.getfixturevalue(request.param)
    return type("Machine", (RealMachine,), {"url": server.url})


def test_model_and_server_blame_alike(machine: type[RealMachine]) -> None:
    """Any history gives the same answers and the same state on both sides."""
    effort = settings.default.max_examples
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(5, effort // 4),
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
