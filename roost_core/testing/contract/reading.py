"""The contract of what people see: reading, listing, events, and what is purged."""

from __future__ import annotations

import asyncio

from roost_core.backend.messages import Finish, Sleep
from roost_core.backend.reports import Finding, ListQuery
from roost_core.models.work import State
from roost_core.testing.contract.kit import (
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
)

#: A wait that is expected to end by itself, in seconds.
SHORT = 0.05


async def _listed(kit: Harness, query: ListQuery) -> list[str]:
    return [stored.work_id for stored in await kit.ledger.list(query)]


class ReadContract(ContractTests):
    """Reading shows one moment, in the order that people expect."""

    @driven
    async def test_unknown_work_is_none(self, kit: Harness) -> None:
        """There is nothing to read, and nothing to wait for."""
        assert await kit.ledger.read("nobody") is None
        assert await kit.ledger.wait_terminal("nobody", None) is None

    @driven
    async def test_the_newest_is_listed_first(self, kit: Harness) -> None:
        """A list pages through all states, newest created first."""
        for work_id in ("b", "a", "c"):
            await kit.created(work_id)
            await kit.pass_time(3)
        await kit.commit(await kit.claim_one("b"), Finish())
        assert ["c", "a", "b"] == await _listed(kit, ListQuery())
        assert ["c", "a"] == await _listed(kit, ListQuery(limit=2))
        assert ["b"] == await _listed(kit, ListQuery(limit=2, offset=2))
        assert [] == await _listed(kit, ListQuery(offset=3))

    @driven
    async def test_a_list_can_be_of_one_engine(self, kit: Harness) -> None:
        """Pages count what the filters let through."""
        for number in range(6):
            await kit.created(f"{number}", engine="even" if number % 2 == 0 else "odd")
            await kit.pass_time(3)
        assert ["4", "2", "0"] == await _listed(kit, ListQuery(engine="even"))
        assert ["2"] == await _listed(kit, ListQuery(engine="even", offset=1, limit=1))
        query = ListQuery(engine="odd", state=State.QUEUED, offset=1)
        assert ["3", "5"] == await _listed(kit, query)
        assert [] == await _listed(kit, ListQuery(engine="other"))

    @driven
    async def test_ready_work_is_listed_as_it_runs(self, kit: Harness) -> None:
        """``queued`` is listed in the order of the line."""
        await kit.created("a", "b")
        await kit.created("high", priority=1)
        assert ["high", "a", "b"] == await _listed(kit, ListQuery(state=State.QUEUED))

    @driven
    async def test_sleepers_are_listed_by_due_time(self, kit: Harness) -> None:
        """``sleeping`` and ``retry_wait`` are listed soonest due first."""
        await kit.created("late", delay_ms=3 * HOUR_MS)
        await kit.created("soon", delay_ms=HOUR_MS)
        await kit.created("mid", delay_ms=2 * HOUR_MS)
        assert ["soon", "mid", "late"] == await _listed(kit, ListQuery(state=State.SLEEPING))
        for work_id, hours in (("r-2", 2), ("r-1", 1)):
            await kit.fail(await kit.leased(work_id), delay_ms=hours * HOUR_MS)
        assert ["r-1", "r-2"] == await _listed(kit, ListQuery(state=State.RETRY_WAIT))

    @driven
    async def test_the_end_is_listed_newest_first(self, kit: Harness) -> None:
        """Terminal work is listed by when it ended, whenever it began."""
        await kit.created("a", "b", "c")
        claims = {one.lease.work_id: one for one in (await kit.claim(limit=3)).claims}
        for work_id in ("b", "c", "a"):
            await kit.commit(claims[work_id], Finish())
            await kit.pass_time(3)
        assert ["a", "c", "b"] == await _listed(kit, ListQuery(state=State.DONE))
        assert ["b"] == await _listed(kit, ListQuery(state=State.DONE, offset=2))

    @driven
    async def test_a_list_leaves_snapshots_out(self, kit: Harness) -> None:
        """A listed work item is what reading it gives, but for the snapshot."""
        await kit.commit(await kit.leased("a"), Finish())
        (listed,) = await kit.ledger.list(ListQuery())
        stored = await kit.read("a")
        assert stored.snapshot is not None
        assert listed.snapshot is None
        assert (stored.item, stored.state, stored.version) == (
            listed.item,
            listed.state,
            listed.version,
        )
        assert (stored.step, stored.finished_ms) == (listed.step, listed.finished_ms)

    @driven
    async def test_every_state_is_counted(self, kit: Harness) -> None:
        """Q1: each work item is counted in one state; empty states count 0."""
        assert dict.fromkeys(State, 0) == dict(await kit.ledger.counts())
        await kit.commit(await kit.leased("done"), Finish())
        await kit.fail(await kit.leased("failed"), permanent=True)
        await kit.fail(await kit.leased("retrying"))
        await kit.leased("running", resources=("r",))
        await kit.created("blocked", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.created("sleeping", delay_ms=HOUR_MS)
        await kit.created("queued-1", "queued-2")
        expected = dict.fromkeys(State, 0) | {
            State.DONE: 1,
            State.FAILED: 1,
            State.RETRY_WAIT: 1,
            State.RUNNING: 1,
            State.BLOCKED: 1,
            State.SLEEPING: 1,
            State.QUEUED: 2,
        }
        assert expected == dict(await kit.ledger.counts())

    @driven
    async def test_waiting_ends_when_the_work_does(self, kit: Harness) -> None:
        """A waiter learns of the end, whether success or a dead letter."""
        for permanent in (False, True):
            claim = await kit.leased(f"a-{permanent}")
            work_id = claim.lease.work_id
            waiter = asyncio.create_task(kit.ledger.wait_terminal(work_id, None))
            await asyncio.sleep(SHORT)
            assert not waiter.done()
            if permanent:
                await kit.fail(claim, permanent=True)
            else:
                await kit.commit(claim, Finish())
            assert await kit.read(work_id) == await waiter
            assert await kit.read(work_id) == await kit.ledger.wait_terminal(work_id, None)

    @driven
    async def test_waiting_ends_with_its_time(self, kit: Harness) -> None:
        """A waiter whose time is over gets the work's current standing."""
        await kit.created("a")
        assert await kit.read("a") == await kit.ledger.wait_terminal("a", SHORT)
        assert await kit.read("a") == await kit.ledger.wait_terminal("a", 0)

    @driven
    async def test_the_server_has_a_clock(self, kit: Harness) -> None:
        """Time passes by the server's own clock."""
        before = await kit.server.now_ms()
        await kit.pass_time(20)
        assert await kit.server.now_ms() >= before + 20

    @driven
    async def test_it_says_what_it_is(self, kit: Harness) -> None:
        """Server and ledger describe themselves, and find their own faults."""
        assert kit.server.description
        assert kit.ledger.description
        findings = [*await kit.server.diagnose(), *await kit.ledger.diagnose()]
        assert findings
        for finding in findings:
            assert isinstance(finding, Finding)
            assert finding.level in ("ok", "info", "warning", "problem")

    @driven
    async def test_it_can_be_closed_twice(self, kit: Harness) -> None:
        """Closing what is closed is nothing."""
        await kit.server.close()
        await kit.server.close()


class EventContract(ContractTests):
    """Accepted transitions and events are one to one, in order."""

    @driven
    async def test_a_life_in_events(self, kit: Harness) -> None:
        """E1: every transition leaves one event, with the version and state after it."""
        await kit.commit(await kit.leased("a"), Sleep(HOUR_MS))
        await kit.age_due("a")
        await kit.fail(await kit.claim_one("a"))
        await kit.age_due("a")
        await kit.interrupt(await kit.claim_one("a"))
        await kit.claim_one("a")
        await kit.age_lease("a")
        claim = await kit.claim_one("a")
        await kit.commit(claim)
        await kit.commit(claim, Finish(), version=2)
        await kit.purge(0, None, 10)
        expected = [
            ("enqueued", 0, State.QUEUED),
            ("claimed", 0, State.RUNNING),
            ("committed", 1, State.SLEEPING),
            ("claimed", 1, State.RUNNING),
            ("attempt_failed", 1, State.RETRY_WAIT),
            ("claimed", 1, State.RUNNING),
            ("interrupted", 1, State.QUEUED),
            ("claimed", 1, State.RUNNING),
            ("recovered", 1, State.QUEUED),
            ("claimed", 1, State.RUNNING),
            ("committed", 2, State.RUNNING),
            ("committed", 3, State.DONE),
            ("purged", 3, State.DONE),
        ]
        events = await kit.ledger.events(work_id="a")
        assert expected == [(event.kind, event.version, event.state) for event in events]
        assert {"counter"} == {event.engine for event in events}
        assert sorted(event.at for event in events) == [event.at for event in events]
        assert len(events) == len({event.event_id for event in events})

    @driven
    async def test_events_are_read_in_pages(self, kit: Harness) -> None:
        """After an id come the later ones; without one, the newest."""
        await kit.created("a", "b", "c", "d")
        events = list(await kit.ledger.events())
        assert ["a", "b", "c", "d"] == [event.work_id for event in events]
        assert events[2:] == list(await kit.ledger.events(limit=2))
        assert events[1:3] == list(await kit.ledger.events(after=events[0].event_id, limit=2))
        assert [] == list(await kit.ledger.events(after=events[-1].event_id))
        assert [events[1]] == list(await kit.ledger.events(work_id="b"))
        assert [] == list(await kit.ledger.events(work_id="nobody"))

    @driven
    async def test_events_can_be_waited_for(self, kit: Harness) -> None:
        """A waiting reader gets the next event, or nothing after its time."""
        await kit.created("a")
        (first,) = await kit.ledger.events()
        assert [] == list(await kit.ledger.events(after=first.event_id, block_ms=30))
        reader = asyncio.create_task(kit.ledger.events(after=first.event_id, block_ms=30_000))
        await asyncio.sleep(SHORT)
        await kit.created("b")
        assert ["b"] == [event.work_id for event in await reader]


class PurgeContract(ContractTests):
    """Only what is terminal for long enough goes away, and then all of it."""

    @driven
    async def test_live_work_is_never_purged(self, kit: Harness) -> None:
        """Nothing that is not terminal goes, in whatever state it is."""
        await kit.fail(await kit.leased("retrying"))
        await kit.leased("running", resources=("r",))
        await kit.created("blocked", resources=("r",))
        assert [] == await kit.claimed_ids()
        await kit.created("sleeping", delay_ms=HOUR_MS)
        await kit.created("queued")
        assert [] == await kit.purge(0, 0, 100)
        assert 5 == sum((await kit.ledger.counts()).values())

    @driven
    async def test_the_retention_is_kept(self, kit: Harness) -> None:
        """Finished work stays for its retention."""
        await kit.commit(await kit.leased("a"), Finish())
        assert [] == await kit.purge(HOUR_MS, 0, 100)
        assert ["a"] == await kit.purge(0, None, 100)

    @driven
    async def test_purged_work_is_gone(self, kit: Harness) -> None:
        """Nothing of it is left but events; its id and its key are free again."""
        claim = await kit.leased("a", payload=1, idempotency_key="key")
        await kit.commit(claim, Finish())
        assert ["a"] == await kit.purge(0, None, 100)
        assert await kit.ledger.read("a") is None
        assert [] == list(await kit.ledger.list(ListQuery()))
        assert 0 == sum((await kit.ledger.counts()).values())
        assert ["enqueued", "claimed", "committed", "purged"] == await kit.kinds("a")
        await kit.created("a", payload=2, idempotency_key="key")
        again = await kit.claim_one("a")
        assert (0, None, 1) == (again.version, again.snapshot, again.lease.fence)
        await kit.see_refused(claim)

    @driven
    async def test_dead_letters_have_their_own_retention(self, kit: Harness) -> None:
        """D2: without a retention, dead letters stay for ever."""
        await kit.fail(await kit.leased("a"), permanent=True)
        assert [] == await kit.purge(0, None, 100)
        assert [] == await kit.purge(0, HOUR_MS, 100)
        assert State.FAILED == (await kit.read("a")).state
        assert ["a"] == await kit.purge(HOUR_MS, 0, 100)
        assert await kit.ledger.read("a") is None

    @driven
    async def test_the_oldest_go_first(self, kit: Harness) -> None:
        """Up to the limit, in the order in which they ended."""
        await kit.created("a", "b", "c")
        claims = {one.lease.work_id: one for one in (await kit.claim(limit=3)).claims}
        for work_id in ("c", "a", "b"):
            await kit.commit(claims[work_id], Finish())
            await kit.pass_time(3)
        assert ["a", "c"] == sorted(await kit.purge(0, None, 2))
        assert ["b"] == await kit.purge(0, None, 2)

    @driven
    async def test_what_is_gone_stays_on_record_until_it_is_forgotten(self, kit: Harness) -> None:
        """A lost answer, or a worker that dies, leaves nothing behind for ever."""
        await kit.commit(await kit.leased("a"), Finish())
        created = (await kit.read("a")).created_ms
        (lost,) = await kit.ledger.purge(0, None, 100)
        assert ("a", created) == (lost.work_id, lost.life)
        assert [lost] == list(await kit.ledger.purge(HOUR_MS, None, 100))
        assert [] == list(await kit.ledger.purge(HOUR_MS, None, 100, [lost]))
        # It may be confirmed again, by another worker.
        assert [] == list(await kit.ledger.purge(HOUR_MS, None, 100, [lost]))

    @driven
    async def test_what_cannot_be_forgotten_holds_nothing_up(self, kit: Harness) -> None:
        """What was returned goes to the end of the line."""
        for work_id in ("a", "b", "c"):
            await kit.commit(await kit.leased(work_id), Finish())
        await kit.ledger.purge(0, None, 3)
        told = []
        for _ in range(6):
            await kit.pass_time(3)
            told += [one.work_id for one in await kit.ledger.purge(HOUR_MS, None, 1)]
        assert ["a", "b", "c"] * 2 == told

    @driven
    async def test_the_next_life_of_an_id_has_another_name(self, kit: Harness) -> None:
        """A clean-up that comes late cannot mean the successor."""
        await kit.commit(await kit.leased("a"), Finish())
        (first,) = await kit.ledger.purge(0, None, 100)
        await kit.pass_time(3)
        claim = await kit.leased("a")
        assert first.life is not None
        assert first.life < claim.created_ms
        await kit.commit(claim, Finish())
        both = await kit.ledger.purge(0, None, 100)
        assert [first.life, claim.created_ms] == sorted(one.life or 0 for one in both)
