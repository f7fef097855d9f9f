"""The contract of a survey: a whole queue at one glance."""

from __future__ import annotations

from roost_core.backend.messages import Finish, Sleep
from roost_core.backend.rates import UNKNOWN_ENGINE, FailureTally, StepTally, Tally
from roost_core.backend.survey import MINUTES, EngineLine, ResourceHold, Survey
from roost_core.codec.records import decode_model
from roost_core.models.control import Verb
from roost_core.models.work import State
from roost_core.models.worker import WorkerInfo
from roost_core.query.fingerprints import fingerprint
from roost_core.testing.contract.kit import (
    ACTOR,
    ENGINE,
    HOUR_MS,
    MINUTE_MS,
    WORKER,
    ContractTests,
    Harness,
    driven,
    error_bytes,
    heartbeat_bytes,
)

OTHER = "other"


def line(survey: Survey, engine: str = ENGINE) -> EngineLine:
    """Return the line of an engine that has to have one."""
    (found,) = [one for one in survey.lines if one.engine == engine]
    return found


def hold(survey: Survey, resource: str) -> ResourceHold:
    """Return a resource that has to be held or waited for."""
    (found,) = [one for one in survey.holds if one.resource == resource]
    return found


class SurveyContract(ContractTests):
    """A queue is read as a whole, and nothing in it changes."""

    @driven
    async def test_an_empty_queue(self, kit: Harness) -> None:
        """Nothing is there but the clock and an hour in which nothing was done."""
        before = await kit.server.now_ms()
        found = await kit.ledger.survey()
        assert before <= (found.now_ms or 0) <= await kit.server.now_ms()
        assert dict.fromkeys(State, 0) == found.counts
        assert ((), (), (), ()) == (found.lines, found.workers, found.running, found.holds)
        assert ((), 0, True) == (found.errors, found.error_count, found.is_indexed)
        assert (MINUTES, 0) == (len(found.minutes), sum(one.steps for one in found.minutes))

    @driven
    async def test_what_is_ready(self, kit: Harness) -> None:
        """By engine: how much, the first in line, who offers it, and how fast it goes."""
        await kit.created("a", "b", "c")
        await kit.created("high", priority=5)
        await kit.created("x", engine=OTHER, resources=("r",))
        await kit.renewed(worker_id="w1", engines=[ENGINE])
        await kit.renewed(tally=Tally(((ENGINE, 4),), (StepTally(ENGINE, "", 7, 70, 10),)))
        found = await kit.ledger.survey()
        assert [ENGINE, OTHER] == [one.engine for one in found.lines]
        own, other = line(found), line(found, OTHER)
        assert (4, 0, 0, 2) == (own.ready, own.suspected, own.blocked, own.offering)
        assert own.first is not None
        assert ("high", State.QUEUED) == (own.first.work_id, own.first.state)
        assert own.pace is not None
        assert (7, 4) == (own.pace.steps, own.pace.leases)
        assert (1, 0, None, None) == (other.ready, other.offering, other.first, other.pace)
        assert 0 == found.other_ready

    @driven
    async def test_what_waits_for_a_time(self, kit: Harness) -> None:
        """How much, when the next is due, and what is overdue."""
        await kit.created("soon", delay_ms=MINUTE_MS)
        await kit.created("later", delay_ms=HOUR_MS)
        await kit.fail(await kit.leased("failed"))
        found = (await kit.ledger.survey()).later
        soon, failed = await kit.read("soon"), await kit.read("failed")
        sleeping, trying = found[State.SLEEPING], found[State.RETRY_WAIT]
        assert (2, 0, None, soon.due_ms) == (
            sleeping.count,
            sleeping.overdue,
            sleeping.oldest_ms,
            sleeping.next_ms,
        )
        assert (1, failed.due_ms) == (trying.count, trying.next_ms)
        await kit.age_due("later")
        sleeping = (await kit.ledger.survey()).later[State.SLEEPING]
        assert (2, 1, soon.due_ms) == (sleeping.count, sleeping.overdue, sleeping.next_ms)
        assert sleeping.oldest_ms == (await kit.read("later")).due_ms

    @driven
    async def test_resources(self, kit: Harness) -> None:
        """Who holds each, until when, and who waits; the longest line first."""
        await kit.leased("holder", resources=("r", "free"), engine=OTHER)
        await kit.created("first", "second", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        found = await kit.ledger.survey()
        stored = await kit.read("holder")
        assert ["r", "free"] == [one.resource for one in found.holds]
        assert (2, 2) == (found.hold_count, line(found).blocked)
        expected = ResourceHold("r", "holder", OTHER, WORKER, stored.expires_ms, 2, "first")
        assert expected == hold(found, "r")
        assert (0, None) == (hold(found, "free").waiting, hold(found, "free").next_id)

    @driven
    async def test_a_resource_that_is_reserved(self, kit: Harness) -> None:
        """Nobody holds it, but it is kept for the first in its line."""
        await kit.leased("holder", resources=("s",), engine=OTHER)
        await kit.created("early", resources=("r", "s"))
        await kit.created("late", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        found = hold(await kit.ledger.survey(), "r")
        assert (None, None, 2, "early") == (
            found.work_id,
            found.expires_ms,
            found.waiting,
            found.next_id,
        )

    @driven
    async def test_who_works_on_what(self, kit: Harness) -> None:
        """Live workers, and the leases, the oldest first, with heartbeat and usual time."""
        first = await kit.leased("first", title="the first")
        await kit.pass_time(5)
        second = await kit.leased("second")
        await kit.renew(first, second, heartbeat=heartbeat_bytes("at it"))
        await kit.renewed(worker_id="idle")
        tally = Tally((), (StepTally(ENGINE, "", 3, 60, 40),))
        await kit.renewed(first, second, tally=tally)
        found = await kit.ledger.survey()
        infos = [decode_model(WorkerInfo, raw) for raw, _ in found.workers]
        assert [WORKER, "idle"] == sorted((one.worker_id for one in infos), key=len, reverse=True)
        assert (2, 2, {WORKER: 2}) == (found.worker_count, found.looked, found.leases)
        assert ["first", "second"] == [one.work.work_id for one in found.running]
        for one in found.running:
            stored = await kit.read(one.work.work_id)
            assert (stored.heartbeat, stored.leased_ms) == (one.work.heartbeat, one.work.leased_ms)
            assert (stored.expires_ms, WORKER) == (one.work.expires_ms, one.work.worker_id)
            assert StepTally(ENGINE, "", 3, 60, 40) == one.usual
        await kit.ledger.retire(WORKER)
        assert 1 == (await kit.ledger.survey()).worker_count

    @driven
    async def test_errors_of_dead_letters(self, kit: Harness) -> None:
        """Grouped by what errors have in common, the newest group first."""
        for work_id, engine, message in (
            ("a", ENGINE, "too many requests: 17"),
            ("b", ENGINE, "no such page"),
            ("c", OTHER, "too many requests: 4711"),
        ):
            claim = await kit.leased(work_id, engine=engine)
            await kit.fail(claim, permanent=True, error=error_bytes(message=message))
            await kit.pass_time(5)
        found = await kit.ledger.survey()
        many, page = found.errors
        error = error_bytes(message="too many requests: 4711")
        assert (fingerprint(error), 2, (ENGINE, OTHER), "c", error) == (
            many.fingerprint,
            many.count,
            many.engines,
            many.work_id,
            many.error,
        )
        assert (await kit.read("c")).finished_ms == many.newest_ms
        assert (1, (ENGINE,), "b") == (page.count, page.engines, page.work_id)
        assert (2, True) == (found.error_count, found.is_indexed)
        await kit.done("b", Verb.RETRY)
        assert [2] == [one.count for one in (await kit.ledger.survey()).errors]

    @driven
    async def test_an_hour_in_minutes(self, kit: Harness) -> None:
        """Steps and failures of all workers and engines, each in its minute."""
        await kit.created("a")
        steps = (StepTally(ENGINE, "", 3, 60, 40), StepTally(ENGINE, "more", 2, 2, 1))
        own = (FailureTally(ENGINE, 5, 1),)
        await kit.renewed(tally=Tally(((ENGINE, 2),), steps, own))
        await kit.renewed(worker_id="w2", tally=Tally(failures=own))
        await kit.renewed(tally=Tally(failures=(FailureTally(UNKNOWN_ENGINE, 0, 4),)))
        found = await kit.ledger.survey()
        sums = [sum(getattr(one, what) for one in found.minutes) for what in TALLIED]
        assert [5, 10, 6] == sums
        assert [one.at_ms for one in found.minutes] == sorted(one.at_ms for one in found.minutes)
        newest = found.minutes[-1].at_ms
        assert newest <= (found.now_ms or 0) < newest + MINUTE_MS
        assert 0 == sum(one.steps for one in found.minutes[:-2])

    @driven
    async def test_engines_that_are_held(self, kit: Harness) -> None:
        """As the list of them says."""
        await kit.created("a")
        await kit.ledger.halt(ENGINE, ACTOR)
        found = await kit.ledger.survey()
        assert [*await kit.ledger.halts()] == [*found.halts]
        assert (1, 0) == (line(found).ready, found.hold_count)

    @driven
    async def test_nothing_changes(self, kit: Harness) -> None:
        """No state, no event, no place in line."""
        await kit.leased("holder", resources=("r",))
        await kit.created("a", "b", resources=("r",))
        assert [] == await kit.claimed_ids(limit=5)
        done = await kit.leased("done")
        await kit.commit(done, Finish())
        await kit.commit(await kit.leased("asleep"), Sleep(HOUR_MS))
        events = await kit.ledger.events(limit=1000)
        names = ("holder", "a", "b", "done", "asleep")
        before = [await kit.read(name) for name in names]
        found = await kit.ledger.survey()
        assert await kit.ledger.counts() == found.counts
        assert before == [await kit.read(name) for name in names]
        assert events == await kit.ledger.events(limit=1000)


#: What a minute tells.
TALLIED = ("steps", "failed", "dead")
