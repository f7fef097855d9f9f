"""Random histories of the ledger: the model alone, and the model alongside a real server.

After every rule both sides must have given the same answer and are in the same
state. The model checks its own invariants, so what agrees with it keeps them, too.
Tokens differ between the sides: a lease is known here by the pair of both.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from roost_core.backend import (
    Ack,
    Alone,
    Beat,
    ClaimRequest,
    Commit,
    EnqueueOutcome,
    Failure,
    Finish,
    GoOn,
    Ledger,
    NewWork,
    Next,
    Sleep,
    Yield,
)
from roost_core.models import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    error_bytes,
    heartbeat_bytes,
    new_work,
    snapshot_bytes,
    unique,
    worker_bytes,
)
from tests.property.ordering import Ordering
from tests.property.sides import ENGINES, NAMED_ENGINES, WORKERS, BesideServer
from tests.property.views import (
    WORK_IDS,
    Held,
    Refused,
    claim_view,
    in_line,
    overtaken,
    reserved_for_nobody,
)
from tests.servers import Server

#: A resource may have an engine's name, or begin with another's.
RESOURCES = ["r", "rs", "a", "t"]
DELAYS = st.sampled_from([0, HOUR_MS])
#: The few commit ids that histories use again and again; None stands for a new one.
COMMIT_IDS = st.sampled_from([None, None, "c1", "c2", "c3"])


class LedgerMachine(Ordering):
    """All transitions in any order, with current, old and stolen leases."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[NewWork] = []
        self.held: list[Held] = []
        #: Per work item, and per life of it: the last fence, and the versions accepted.
        self.fences: dict[str, int] = {}
        self.accepted: dict[str, list[int]] = {}

    def answer_to_holder(
        self, held: Held, request: Callable[[int, Ledger], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Ask under a lease; a refusal must not have changed a byte (C3)."""
        before = self.standing(held.work_id)
        answer = self.agreed(request)
        if isinstance(answer, Refused):
            assert before == self.standing(held.work_id)
        return answer

    def any_held(self, data: st.DataObject) -> Held:
        """Draw a lease, old or new; the newest are the likely ones."""
        back = data.draw(st.integers(0, len(self.held) - 1) | st.integers(0, 2), label="lease")
        return self.held[max(0, len(self.held) - 1 - back)]

    # -- rules ------------------------------------------------------------------------------------

    @rule(
        work_id=st.sampled_from(WORK_IDS),
        engine=st.sampled_from(NAMED_ENGINES),
        payload=st.integers(0, 1),
        key=st.sampled_from([None, None, "k1", "k2"]),
        delay_ms=DELAYS,
        deadline_ms=st.sampled_from([None, None, None, 1, 9_000_000_000_000]),
        resources=st.lists(st.sampled_from(RESOURCES), unique=True, max_size=3),
        labels=st.sampled_from([{}, {}, {"team": "a"}, {"team": "b", "env": "x"}]),
        priority=st.integers(-1, 1),
        limits=st.tuples(st.integers(1, 3), st.integers(0, 2), st.sampled_from([0, 2, 3])),
    )
    def enqueue(
        self,
        work_id: str,
        engine: str,
        payload: int,
        key: str | None,
        delay_ms: int,
        deadline_ms: int | None,
        resources: list[str],
        labels: dict[str, str],
        priority: int,
        limits: tuple[int, int, int],
    ) -> None:
        """Enqueue, new or not."""
        new = new_work(
            work_id,
            payload=payload,
            engine=engine,
            idempotency_key=key,
            delay_ms=delay_ms,
            deadline_ms=deadline_ms,
            resources=tuple(resources),
            labels=labels,
            priority=priority,
            max_attempts=limits[0],
            max_recoveries=limits[1],
            max_steps=limits[2],
        )
        self.requests.append(new)
        self.send(new)

    @rule(
        work_id=st.sampled_from(WORK_IDS),
        engine=st.sampled_from(ENGINES),
        resources=st.sampled_from([(), (), ("r",)]),
        worker=st.sampled_from(WORKERS),
    )
    def lease(self, work_id: str, engine: str, resources: tuple[str, ...], worker: str) -> None:
        """Enqueue and claim, so that there is mostly something that runs."""
        self.send(new_work(work_id, engine=engine, resources=resources))
        self.claim([engine], 1, worker, Alone.NEVER)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def enqueue_again(self, data: st.DataObject) -> None:
        """Repeat an enqueue whose reply was lost, or whose work was purged long ago."""
        self.send(data.draw(st.sampled_from(self.requests), label="request"))

    def send(self, new: NewWork) -> None:
        """Enqueue; check what the key and the id imply (Q6)."""
        known = self.standing(new.work_id)[0]
        (answer,) = self.agreed(lambda _, side: side.enqueue([new]))
        if answer.outcome is EnqueueOutcome.CREATED and known is None:
            self.fences[answer.work_id] = 0
            self.accepted[answer.work_id] = []
        if answer.outcome is EnqueueOutcome.TAKEN:
            assert known is not None
            assert known == self.standing(new.work_id)[0]

    @rule(
        engines=st.lists(st.sampled_from(ENGINES), unique=True, min_size=1),
        limit=st.integers(1, 4),
        worker=st.sampled_from([*WORKERS, "worker-3"]),
        alone=st.sampled_from(Alone),
    )
    def claim(self, engines: list[str], limit: int, worker: str, alone: Alone) -> None:
        """Claim; each lease has a higher fence than all before it (L2)."""
        # A worker that is always alone runs one item at a time.
        most = 1 if alone is Alone.ALWAYS else limit
        request = ClaimRequest(worker, tuple(engines), most, HOUR_MS, alone)
        before = in_line(self.model)
        batches = self.ask(lambda _, side: side.claim(request))
        views = [[claim_view(claim) for claim in batch.claims] for batch in batches]
        dead = [sorted(batch.dead_letters) for batch in batches]
        for index in range(1, len(self.sides)):
            assert views[0] == views[index]
            assert dead[0] == dead[index]
            if len(views[0]) < most:
                wakes = [batch.next_wake_ms for batch in (batches[0], batches[index])]
                assert (wakes[0] is None) == (wakes[1] is None)
        for claims in zip(*(batch.claims for batch in batches), strict=True):
            lease = claims[0].lease
            assert lease.fence > self.fences[lease.work_id]
            self.fences[lease.work_id] = lease.fence
            self.held.append(Held(claims))
        taken = [claim.lease.work_id for claim in batches[0].claims]
        assert [] == overtaken(self.model, before, taken)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        what_follows=st.sampled_from([None, Yield(), Sleep(HOUR_MS), Finish()]),
        off=st.sampled_from([0, 0, 0, 0, -1, 1]),
        commit_id=COMMIT_IDS,
        events=st.integers(0, 2),
        extends=st.booleans(),
    )
    def commit(
        self,
        data: st.DataObject,
        what_follows: Next | None,
        off: int,
        commit_id: str | None,
        events: int,
        extends: bool,
    ) -> None:
        """Commit under any lease there ever was, on top of any version (C1, C2)."""
        held = self.any_held(data)
        stored = self.standing(held.work_id)[0]
        version = max(0, off + (stored.version if stored else 0))
        commit = Commit(
            commit_id=commit_id or unique("commit"),
            expected_version=version,
            snapshot=snapshot_bytes(held.claims[0], version + 1, by=unique("step")),
            step=f"step-{version}",
            next=what_follows or GoOn(HOUR_MS if extends else 0),
            events=tuple(b'{"n":%d}' % number for number in range(events)),
        )
        answer = self.answer_to_holder(
            held, lambda index, side: side.commit(held.claims[index].lease, commit)
        )
        after = self.standing(held.work_id)[0]
        if stored and after and after.version > stored.version:
            assert stored.version + 1 == after.version == answer.version
            assert after.version not in self.accepted[held.work_id]
            self.accepted[held.work_id].append(after.version)
        # C4: at once again, the answer is the same and nothing moves.
        if isinstance(answer, Ack):
            before = self.standing(held.work_id)
            again = self.agreed(lambda index, side: side.commit(held.claims[index].lease, commit))
            assert answer == again
            assert before == self.standing(held.work_id)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        permanent=st.booleans(),
        commit_id=COMMIT_IDS,
        delay_ms=DELAYS,
        message=st.sampled_from(["it broke", "item 7 said 429", "item 8 said 503"]),
    )
    def fail(
        self,
        data: st.DataObject,
        permanent: bool,
        commit_id: str | None,
        delay_ms: int,
        message: str,
    ) -> None:
        """Fail an attempt under any lease; attempts stay within the maximum (R1)."""
        held = self.any_held(data)
        error = error_bytes(message=message)
        failure = Failure(commit_id or unique("commit"), error, permanent, delay_ms)
        self.answer_to_holder(
            held, lambda index, side: side.fail(held.claims[index].lease, failure)
        )

    @precondition(lambda self: self.held)
    @rule(data=st.data(), commit_id=COMMIT_IDS, delay_ms=st.none() | DELAYS)
    def interrupt(self, data: st.DataObject, commit_id: str | None, delay_ms: int | None) -> None:
        """Give back under any lease; that counts nothing (R1)."""
        held = self.any_held(data)
        name = commit_id or unique("commit")
        before = self.standing(held.work_id)[0]
        self.answer_to_holder(
            held,
            lambda index, side: side.interrupt(held.claims[index].lease, name, "stop", delay_ms),
        )
        after = self.standing(held.work_id)[0]
        if before and after:
            assert before.attempts == after.attempts
            assert before.recoveries == after.recoveries
            assert before.suspicions == after.suspicions

    @rule(
        data=st.data(),
        beat=st.none() | st.sampled_from(["one", "two"]),
        worker=st.sampled_from(WORKERS),
        engines=st.lists(st.sampled_from(ENGINES), unique=True),
    )
    def renew(self, data: st.DataObject, beat: str | None, worker: str, engines: list[str]) -> None:
        """Renew some leases, old and new, in one command, and announce what the worker runs."""
        chosen = []
        if self.held:
            chosen = data.draw(st.lists(st.sampled_from(self.held), unique=True, max_size=3))
        heartbeat = None if beat is None else heartbeat_bytes(beat)
        info = worker_bytes(worker, engines)

        async def request(index: int, _side: Ledger) -> list[list[int]]:
            leases = [held.claims[index].lease for held in chosen]
            beats = [Beat(lease.work_id, lease.token, heartbeat) for lease in leases]
            renewed = self.renewers[index].renew(info, beats, HOUR_MS)
            tokens = [lease.token for lease in leases]
            return [
                [tokens.index(token) for token in those] for those in (renewed.lost, renewed.wanted)
            ]

        self.agreed(request)

    @rule(worker=st.sampled_from(WORKERS))
    def retire(self, worker: str) -> None:
        """Remove a worker: what only it ran reserves nothing any more."""

        async def request(_index: int, side: Ledger) -> None:
            await side.retire(worker)

        self.agreed(request)
        assert [] == reserved_for_nobody(self.model)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Let a lease expire, if the work is leased."""
        self.age(self.any_held(data).work_id, frozenset({State.RUNNING}), "age_lease")

    @rule(work_id=st.sampled_from(WORK_IDS))
    def become_due(self, work_id: str) -> None:
        """Let a sleeper become due, if it sleeps."""
        self.age(work_id, frozenset({State.SLEEPING, State.RETRY_WAIT}), "age_due")

    @rule(dead_letters=st.sampled_from([None, 0]), retention_ms=st.sampled_from([0, 0, HOUR_MS]))
    def purge(self, dead_letters: int | None, retention_ms: int) -> None:
        """Remove what is terminal; dead letters only if their retention is stated (D2)."""

        async def request(_index: int, side: Ledger) -> list[str]:
            gone = await side.purge(retention_ms, dead_letters, 100)
            await side.purge(retention_ms, dead_letters, 0, gone)
            return sorted(one.work_id for one in gone)

        failed = [one for one in WORK_IDS if self.is_in(one, State.FAILED)]
        self.agreed(request)
        for work_id in failed:
            assert self.is_in(work_id, State.FAILED) == (dead_letters is None)

    @invariant()
    def what_people_want_holds(self) -> None:
        """V1: what was acknowledged is true from then on."""
        self.wishes_come_true()

    def is_in(self, work_id: str, state: State) -> bool:
        """Return whether a work item is in a state."""
        stored = self.standing(work_id)[0]
        return stored is not None and stored.state is state


class RealMachine(BesideServer, LedgerMachine):
    """The same alongside a real server."""


def test_the_model_keeps_its_invariants() -> None:
    """Any history leaves the model sound."""
    run_state_machine_as_test(LedgerMachine, settings=settings(stateful_step_count=60))


@pytest.fixture(params=["redis_server", "valkey_server"])
def machine(request: pytest.FixtureRequest) -> type[RealMachine]:
    """Give a machine alongside each server."""
    server: Server = request.getfixturevalue(request.param)
    return type("Machine", (RealMachine,), {"url": server.url})


def test_model_and_server_agree(machine: type[RealMachine]) -> None:
    """Any history gives the same answers and the same state on both sides."""
    effort = settings.default.max_examples
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=effort // 4,
            stateful_step_count=50,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
