"""Random histories of work that needs several resources: the model alone, and beside a real server.

Everything here is about resources, so that many wait for many: whoever
stands in line is not overtaken, nobody waits for nothing, and everything comes to an end.
"""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from roost_core.backend import Alone, Claim, ClaimRequest, Commit, Failure, Finish, Ledger, Yield
from roost_core.models import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    error_bytes,
    new_work,
    snapshot_bytes,
    worker_bytes,
)
from tests.property.sides import ENGINES, NAMED_ENGINES, WORKERS, BesideServer, Sides
from tests.property.views import claim_view, in_line, overtaken, reserved_for_nobody
from tests.servers import Server

#: A resource may have an engine's name, or begin with another's.
RESOURCES = ["r", "rs", "a", "t"]
SETS = st.lists(st.sampled_from(RESOURCES), unique=True, min_size=1, max_size=3)
SOME_ENGINES = st.lists(st.sampled_from(ENGINES), unique=True, min_size=1)


@attrs.frozen
class Wanted:
    """What one work item needs, and who may run it."""

    resources: list[str]
    engine: str
    priority: int


WANTED = st.builds(
    Wanted,
    resources=SETS,
    engine=st.sampled_from([*NAMED_ENGINES, "a", "a"]),
    priority=st.sampled_from([0, 0, 0, 1, -1]),
)


class ResourceMachine(Sides):
    """Leases are taken and end in all ways, and workers come and go."""

    work_ids = tuple(f"w{number}" for number in range(24))

    def __init__(self) -> None:
        super().__init__()
        self.unused = list(reversed(self.work_ids))
        self.leased: list[tuple[Claim, ...]] = []

    def enqueue_one(self, wanted: Wanted) -> None:
        """Store one more work item."""
        new = new_work(
            self.unused.pop(),
            engine=wanted.engine,
            resources=tuple(wanted.resources),
            priority=wanted.priority,
            max_recoveries=1,
        )
        self.agreed(lambda _, side: side.enqueue([new]))

    def claim_some(
        self, engines: list[str], limit: int, worker: str, alone: Alone = Alone.NEVER
    ) -> int:
        """Claim; nobody who stood in line was overtaken by a later one (Q5)."""
        request = ClaimRequest(worker, tuple(engines), limit, HOUR_MS, alone)
        before = in_line(self.model)
        batches = self.ask(lambda _, side: side.claim(request))
        views = [[claim_view(claim) for claim in batch.claims] for batch in batches]
        assert all(views[0] == other for other in views[1:]), views
        taken = [claim.lease.work_id for claim in batches[0].claims]
        assert [] == overtaken(self.model, before, taken)
        self.leased += zip(*(batch.claims for batch in batches), strict=True)
        return len(taken)

    def end_one(self, claims: tuple[Claim, ...], way: str) -> None:
        """End a lease, unless it was lost."""

        async def request(index: int, side: Ledger) -> object:
            claim, name = claims[index], f"end-{claims[0].lease.token}"
            if way == "fail":
                return await side.fail(claim.lease, Failure(name, error_bytes(), True, 0))
            if way == "interrupt":
                return await side.interrupt(claim.lease, name, "stop", None)
            version = 0 if stored is None else stored.version
            snapshot = snapshot_bytes(claim, version + 1)
            what_follows = Yield() if way == "yield" else Finish()
            commit = Commit(name, version, snapshot, "step", what_follows)
            return await side.commit(claim.lease, commit)

        stored = self.standing(claims[0].lease.work_id)[0]
        self.leased.remove(claims)
        self.agreed(request)

    # -- rules ------------------------------------------------------------------------------------

    @initialize(many=st.lists(WANTED, min_size=4, max_size=10), limit=st.integers(0, 3))
    def begin(self, many: list[Wanted], limit: int) -> None:
        """Begin with some that are leased, and many that have to wait."""
        for wanted in many:
            self.enqueue_one(wanted)
        if limit:
            self.claim_some(ENGINES, limit, WORKERS[0])
            self.claim_some(ENGINES, 1, WORKERS[1])

    @precondition(lambda self: self.unused)
    @rule(wanted=WANTED)
    def enqueue(self, wanted: Wanted) -> None:
        """Enqueue one more."""
        self.enqueue_one(wanted)

    @rule(engines=SOME_ENGINES, limit=st.integers(1, 3), worker=st.sampled_from(WORKERS))
    def claim(self, engines: list[str], limit: int, worker: str) -> None:
        """Claim of some engines."""
        self.claim_some(engines, limit, worker)

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), way=st.sampled_from(["finish", "finish", "yield", "interrupt", "fail"]))
    def end(self, data: st.DataObject, way: str) -> None:
        """End a lease in one of the ways there are."""
        self.end_one(data.draw(st.sampled_from(self.leased), label="lease"), way)

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Let a lease expire."""
        claims = data.draw(st.sampled_from(self.leased), label="lease")
        self.age(claims[0].lease.work_id, frozenset({State.RUNNING}), "age_lease")

    @rule(worker=st.sampled_from(WORKERS), engines=st.none() | SOME_ENGINES)
    def come_or_go(self, worker: str, engines: list[str] | None) -> None:
        """Let a worker announce what it runs, or retire: what nobody runs reserves nothing."""

        async def request(index: int, side: Ledger) -> object:
            if engines is None:
                return await side.retire(worker)
            return self.renewers[index].renew(worker_bytes(worker, engines), [], HOUR_MS)

        self.agreed(request)
        assert [] == reserved_for_nobody(self.model)

    def all_ends(self) -> None:
        """Check that everything that has a worker comes to an end (Q3)."""
        for _ in range(4 * len(self.work_ids)):
            for claims in list(self.leased):
                self.end_one(claims, "finish")
            # Nothing else runs by now, so what is suspected may run, too.
            if not self.claim_some(ENGINES, 3, WORKERS[0], Alone.MAY):
                break
        every = [self.standing(work_id)[0] for work_id in self.work_ids]
        waiting = [
            (one.work_id, one.state)
            for one in every
            if one is not None and not one.state.is_terminal and one.engine != "nobody"
        ]
        assert [] == waiting
        assert 0 == self.run(self.model.counts())[State.BLOCKED]

    def teardown(self) -> None:
        """Let all come to an end, compare the histories and close everything."""
        try:
            self.all_ends()
        finally:
            super().teardown()


class RealMachine(BesideServer, ResourceMachine):
    """The same alongside a real server."""


def test_the_model_serves_sets_in_order() -> None:
    """X1, X2, Q5: any history leaves the model sound, and nobody is overtaken."""
    run_state_machine_as_test(ResourceMachine, settings=settings(stateful_step_count=40))


@pytest.fixture(params=["redis_server", "valkey_server"])
def machine(request: pytest.FixtureRequest) -> type[RealMachine]:
    """Give a machine alongside each server."""
    server: Server = request.getfixturevalue(request.param)
    return type("Machine", (RealMachine,), {"url": server.url})


def test_model_and_server_serve_sets_alike(machine: type[RealMachine]) -> None:
    """Any history gives the same answers and the same state on both sides."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings.default.max_examples // 4,
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
