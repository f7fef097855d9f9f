"""The contract of finding: what a query is true of is found and counted, and nothing else."""

from __future__ import annotations

import contextlib

from roost_core.backend.finding import Counted
from roost_core.backend.messages import Finish, GoOn, Yield
from roost_core.codec.records import encode_model
from roost_core.errors import InvalidInput
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import State
from roost_core.query.fingerprints import fingerprint
from roost_core.query.grouping import By
from roost_core.query.parsing import parse
from roost_core.testing.contract.kit import (
    HOUR_MS,
    ContractTests,
    Harness,
    driven,
    error_bytes,
)

SEARCH = {"team": "search", "env": "prod"}


async def found(kit: Harness, text: str) -> list[str]:
    """Return the ids of what a query is true of, in order."""
    now_ms = await kit.server.now_ms()
    return sorted(one.work_id for one in (await kit.ledger.find(parse(text), now_ms=now_ms)).works)


async def counted(kit: Harness, text: str, by: str | None = None) -> Counted:
    """Count what a query is true of."""
    group_by = None if by is None else By.parse(by)
    return await kit.ledger.count(parse(text), group_by, now_ms=await kit.server.now_ms())


async def groups(kit: Harness, text: str, by: str) -> dict[str | None, int]:
    """Count in groups; the sum is of all of them, and exact."""
    answer = await counted(kit, text, by)
    assert answer.is_exact
    assert answer.total == sum(one.count for one in answer.groups)
    return {one.name: one.count for one in answer.groups}


async def in_several_states(kit: Harness) -> None:
    """Bring six work items into as many states, of two engines, with labels and errors."""
    await kit.fail(
        await kit.leased("w-dead", labels=SEARCH, title="Refund 7", priority=5),
        permanent=True,
        error=error_bytes(message="item 7 said 429"),
    )
    await kit.fail(await kit.leased("w-retry"), error=error_bytes(message="item 8 said 429"))
    await kit.fail(
        await kit.leased("x-dead", engine="crawl", labels={"team": "ops"}),
        permanent=True,
        error=error_bytes(message='no "route"'),
    )
    await kit.commit(await kit.leased("x-done", labels={"team": "ops"}), Finish())
    await kit.leased("w-runs", engine="crawl")
    await kit.created("w-waits", engine="crawl", labels={"team": "search"}, priority=-5)


class FindContract(ContractTests):
    """A query narrows by what is indexed, and looks at the rest."""

    @driven
    async def test_labels_are_told(self, kit: Harness) -> None:
        """Whoever reads or lists work sees its labels, whatever becomes of it."""
        await kit.created("a", labels=SEARCH)
        await kit.created("b")
        assert SEARCH == (await kit.read("a")).labels
        assert {} == (await kit.read("b")).labels
        claim = await kit.claim_one("a")
        await kit.commit(claim, GoOn())
        await kit.fail(claim, permanent=True)
        (one,) = (await kit.ledger.find(parse("label:env=prod"))).works
        assert (SEARCH, State.FAILED) == (one.labels, one.state)

    @driven
    async def test_what_is_found(self, kit: Harness) -> None:
        """Each key finds what has it; several narrow."""
        await in_several_states(kit)
        alike = fingerprint(error_bytes(message="item 9 said 503"))
        for text, ids in {
            "": ["w-dead", "w-retry", "w-runs", "w-waits", "x-dead", "x-done"],
            "state:failed": ["w-dead", "x-dead"],
            "state:failed,done": ["w-dead", "x-dead", "x-done"],
            "-state:failed,done": ["w-retry", "w-runs", "w-waits"],
            "engine:crawl": ["w-runs", "w-waits", "x-dead"],
            "engine:c*": ["w-dead", "w-retry", "w-runs", "w-waits", "x-dead", "x-done"],
            "engine:cr*": ["w-runs", "w-waits", "x-dead"],
            "engine:nobody": [],
            "label:team": ["w-dead", "w-waits", "x-dead", "x-done"],
            "label:team=search": ["w-dead", "w-waits"],
            "label:team=search,ops": ["w-dead", "w-waits", "x-dead", "x-done"],
            "label:team=s*": ["w-dead", "w-waits"],
            "label:team=search label:env": ["w-dead"],
            "label:env,team": ["w-dead", "w-waits", "x-dead", "x-done"],
            "-label:team": ["w-retry", "w-runs"],
            "id:w-dead": ["w-dead"],
            "id:w-*": ["w-dead", "w-retry", "w-runs", "w-waits"],
            "id:w-r*,x-done": ["w-retry", "w-runs", "x-done"],
            "id:nobody": [],
            "error:*": ["w-dead", "w-retry", "x-dead"],
            "-error:*": ["w-runs", "w-waits", "x-done"],
            "error:429": ["w-dead", "w-retry"],
            "state:failed error:429": ["w-dead"],
            f"error:#{alike}": ["w-dead", "w-retry"],
            f"state:retry_wait error:#{alike}": ["w-retry"],
            f"error:#{'0' * 12}": [],
            'error:"NO \\"r"': ["x-dead"],
            "title:refund": ["w-dead"],
            "priority:>=5": ["w-dead"],
            "priority:<0 state:queued": ["w-waits"],
            "attempts:1": ["w-dead", "w-retry", "x-dead"],
            "older:1h": [],
            "newer:1h id:x-*": ["x-dead", "x-done"],
            "idle:0": ["w-dead", "w-retry", "w-runs", "w-waits", "x-dead", "x-done"],
            "ops": ["x-dead", "x-done"],
            "refund": ["w-dead"],
            "state:failed engine:crawl label:team=ops error:route": ["x-dead"],
        }.items():
            assert (text, ids) == (text, await found(kit, text))
            count = await counted(kit, text)
            assert (text, len(ids), True) == (text, count.total, count.is_exact)

    @driven
    async def test_counts_in_groups(self, kit: Harness) -> None:
        """By state, engine, error and label; what has none is a group of its own."""
        await in_several_states(kit)
        states = await groups(kit, "", "state")
        assert 2 == states["failed"]
        assert {"failed", "done", "running", "retry_wait", "queued"} == set(states)
        assert {"counter": 3, "crawl": 3} == await groups(kit, "", "engine")
        assert {"crawl": 3} == await groups(kit, "engine:cr*", "engine")
        assert {"counter": 1, "crawl": 1} == await groups(kit, "state:failed", "engine")
        assert {"search": 2, "ops": 2, None: 2} == await groups(kit, "", "label:team")
        assert {"ops": 2} == await groups(kit, "label:team=ops", "label:team")
        assert {"prod": 1, None: 3} == await groups(kit, "label:team", "label:env")
        alike = fingerprint(error_bytes(message="item 7 said 429"))
        route = fingerprint(error_bytes(message='no "route"'))
        assert {alike: 2, route: 1, None: 3} == await groups(kit, "", "error")
        assert {alike: 1, route: 1} == await groups(kit, "state:failed", "error")
        assert {alike: 2} == await groups(kit, f"error:#{alike}", "error")
        answer = await counted(kit, "state:failed", "error")
        for one in answer.groups:
            assert one.error is not None
            assert one.name == fingerprint(one.error)

    @driven
    async def test_counts_by_state(self, kit: Harness) -> None:
        """Of what a part of the index holds, of what a label is the beginning of, and of others."""
        await in_several_states(kit)
        await kit.created("y", labels={"team": "search-two", "a.team": "search"})
        for text, states in {
            "engine:crawl": {"running": 1, "queued": 1, "failed": 1},
            "engine:crawl state:failed": {"failed": 1},
            "engine:crawl,nobody": {"running": 1, "queued": 1, "failed": 1},
            "engine:cr*,cra*": {"running": 1, "queued": 1, "failed": 1},
            "label:team=search": {"failed": 1, "queued": 1},
            "label:team=search engine:crawl": {"queued": 1},
            "label:team=search label:env=prod": {"failed": 1},
            "label:team,env": {"failed": 2, "done": 1, "queued": 2},
            "-engine:crawl": {"failed": 1, "retry_wait": 1, "done": 1, "queued": 1},
            "id:w-*": {"failed": 1, "retry_wait": 1, "running": 1, "queued": 1},
            "error:*": {"failed": 2, "retry_wait": 1},
            "error:429": {"failed": 1, "retry_wait": 1},
            "priority:5": {"failed": 1},
            "refund": {"failed": 1},
        }.items():
            assert (text, states) == (text, await groups(kit, text, "state"))
            assert (text, sum(states.values())) == (text, (await counted(kit, text)).total)

    @driven
    async def test_a_text_however_it_is_spelt(self, kit: Harness) -> None:
        """In capitals or not, beyond ASCII, with marks that JSON writes otherwise, over words."""
        for work_id, title in (
            ("a", "Straße nach Köln"),
            ("b", "20 \u212a"),
            ("c", 'say "yes" \\ now'),
            ("d", "PLAIN Words"),
        ):
            await kit.created(work_id, title=title, labels={"team": "Ops"})
        await kit.fail(
            await kit.leased("e", engine="other"),
            permanent=True,
            error=encode_model(ErrorRecord("permanent", "Über 9", "Broken")),
        )
        for text, ids in {
            "STRASSE": ["a"],
            "köln": ["a"],
            '"20 k"': ["b"],
            "k": ["a", "b", "e"],
            '"yes"': ["c"],
            "yes": ["c"],
            '"PLAIN words"': ["d"],
            "title:LAIN": ["d"],
            "über": ["e"],
            '"broken: ÜBER"': ["e"],
            "team=ops": ["a", "b", "c", "d"],
            "nowhere": [],
            "plain nowhere": [],
            "-plain": ["a", "b", "c", "e"],
            "error:broken": ["e"],
            "...": [],
        }.items():
            assert (text, ids) == (text, await found(kit, text))

    @driven
    async def test_an_error_is_found_as_long_as_it_is_there(self, kit: Harness) -> None:
        """The newest one; and none once a step was accepted."""
        claim = await kit.leased("a", delay_ms=0)
        await kit.fail(claim, error=error_bytes(message="first"), delay_ms=1)
        assert ["a"] == await found(kit, "error:*")
        await kit.age_due("a")
        claim = await kit.claim_one("a")
        assert ["a"] == await found(kit, "error:first state:running")
        await kit.fail(claim, error=error_bytes(message="second"), delay_ms=1)
        assert [] == await found(kit, f"error:#{fingerprint(error_bytes(message='first'))}")
        assert ["a"] == await found(kit, f"error:#{fingerprint(error_bytes(message='second'))}")
        await kit.age_due("a")
        await kit.commit(await kit.claim_one("a"), GoOn())
        for text in ("error:*", "error:second"):
            assert ([], 0) == (await found(kit, text), (await counted(kit, text)).total)

    @driven
    async def test_an_error_goes_with_a_step_that_ends_its_lease(self, kit: Harness) -> None:
        """As with one whose lease continues."""
        await kit.fail(await kit.leased("a"), delay_ms=1)
        assert 1 == (await counted(kit, "error:*")).total
        await kit.age_due("a")
        await kit.commit(await kit.claim_one("a"), Yield())
        assert 0 == (await counted(kit, "error:*")).total
        assert {None: 1} == await groups(kit, "", "error")

    @driven
    async def test_what_is_purged_is_not_found(self, kit: Harness) -> None:
        """Nor counted; its id can come again, with other labels."""
        await kit.fail(await kit.leased("a", labels=SEARCH), permanent=True)
        await kit.commit(await kit.leased("b", labels=SEARCH), Finish())
        assert ["a", "b"] == sorted(await kit.purge(0, 0, 10))
        for text in ("", "engine:counter", "label:team", "id:a*", "error:*", "state:failed"):
            assert (text, []) == (text, await found(kit, text))
            assert (text, 0) == (text, (await counted(kit, text)).total)
        await kit.created("a", engine="crawl", labels={"team": "ops"})
        assert [] == await found(kit, "label:team=search")
        assert {"ops": 1} == await groups(kit, "", "label:team")
        assert {"crawl": 1} == await groups(kit, "", "engine")

    @driven
    async def test_pages(self, kit: Harness) -> None:
        """Each work item comes once, in however many pages; an end is told."""
        for number in range(7):
            await kit.created(f"a{number}", labels=SEARCH, engine="odd" if number % 2 else "even")
        for text, total in (("", 7), ("engine:even", 4), ("label:team=search", 7), ("id:a*", 7)):
            ids: list[str] = []
            cursor = None
            for _ in range(total):
                page = await kit.ledger.find(parse(text), limit=2, cursor=cursor)
                assert len(page.works) <= 2
                ids += [one.work_id for one in page.works]
                cursor = page.cursor
                if cursor is None:
                    break
            assert cursor is None
            assert (text, total) == (text, len(ids))
            assert len(ids) == len(set(ids))

    @driven
    async def test_a_cursor_that_no_page_gave(self, kit: Harness) -> None:
        """It is refused as input, or the first page comes: no fault, whatever is sent."""
        await kit.created("a", labels=SEARCH)
        for text in ("", "state:queued", "label:team", "engine:counter", "title:x"):
            for cursor in ("", " ", "-1", "x", "created", "created x y", "created 0 -5", "9" * 40,
                           "created 9 [x", "sorted -1", "sorted x", "label0 0 x", "engine -1 [a",
                           "states 0 1e9", "\u0663"):  # fmt: skip
                with contextlib.suppress(InvalidInput):
                    page = await kit.ledger.find(parse(text), cursor=cursor)
                    assert {one.work_id for one in page.works} <= {"a"}

    @driven
    async def test_what_is_looked_at_has_a_bound(self, kit: Harness) -> None:
        """An answer that is not of all says so, and how much it has looked at."""
        for number in range(6):
            await kit.created(f"a{number}", priority=number)
        page = await kit.ledger.find(parse("priority:>9"), look=4)
        assert ((), 4) == (page.works, page.looked)
        assert page.cursor is not None
        page = await kit.ledger.find(parse("priority:>9"), look=4, cursor=page.cursor)
        assert ((), None) == (page.works, page.cursor)
        answer = await kit.ledger.count(parse("priority:>9"), look=4)
        assert (0, False, 4) == (answer.total, answer.is_exact, answer.looked)

    @driven
    async def test_the_order_is_that_of_a_list(self, kit: Harness) -> None:
        """Newest first; or next first, where a state waits for its turn."""
        for number in range(3):
            await kit.created(f"a{number}", delay_ms=(3 - number) * HOUR_MS, labels=SEARCH)
            await kit.pass_time(3)
        for text, ids in (
            ("", ["a2", "a1", "a0"]),
            ("label:team=search", ["a2", "a1", "a0"]),
            ("engine:counter", ["a2", "a1", "a0"]),
            ("state:sleeping label:team", ["a2", "a1", "a0"]),
        ):
            page = await kit.ledger.find(parse(text))
            assert (text, ids) == (text, [one.work_id for one in page.works])
            back = await kit.ledger.find(parse(text), reverse=True)
            assert (text, ids[::-1]) == (text, [one.work_id for one in back.works])

    @driven
    async def test_pages_the_other_way_round(self, kit: Harness) -> None:
        """Each work item once, the last of the list first."""
        for number in range(7):
            await kit.created(f"a{number}", labels=SEARCH)
            await kit.pass_time(3)
        for text in ("", "state:queued", "label:team", "engine:counter"):
            ids: list[str] = []
            cursor = None
            while len(ids) < 7:
                page = await kit.ledger.find(parse(text), limit=3, cursor=cursor, reverse=True)
                ids += [one.work_id for one in page.works]
                cursor = page.cursor
                if cursor is None:
                    break
            whole = await kit.ledger.find(parse(text))
            assert (text, ids[::-1]) == (text, [one.work_id for one in whole.works])
