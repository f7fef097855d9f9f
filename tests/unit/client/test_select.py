"""What a query selects is read, counted, and acted on together."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from roost_core.backend import ClaimRequest, Failure, OrderOutcome
from roost_core.client import control
from roost_core.client.control import new_order
from roost_core.client.roost import Roost
from roost_core.client.select import previewed
from roost_core.codec.records import encode_model
from roost_core.errors import BackendUnavailable, InvalidInput, RoostError, VerbUnfit
from roost_core.models import Actor, ErrorRecord, State, Verb
from roost_core.query import parse
from roost_core.query.terms import Query
from roost_core.settings import Settings
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
@contextlib.asynccontextmanager
async def roost():
    """Give a client of a queue in memory with two dead letters and two that wait."""
    bench = Bench()
    async with Roost.connect(Settings(actor="tests"), plugins=bench.plugins) as roost:
        for name in ("a", "b"):
            await roost.enqueue("echo", work_id=f"dead-{name}", labels={"team": name})
            await fail(roost, f"item {name} said 429" if name == "a" else "no route")
        for name in ("c", "d"):
            await roost.enqueue("echo", work_id=f"wait-{name}", delay_seconds=60)
        yield roost


async def fail(roost, message):
    """Dead-letter the first that is ready."""
    (claim,) = (await roost.ledger.claim(ClaimRequest("w", ("echo",), 1, 60_000))).claims
    raw = encode_model(ErrorRecord("permanent", message))
    await roost.ledger.fail(claim.lease, Failure("c1", raw, True, 0))


def outcomes(results):
    """Return the outcomes by id."""
    return {work_id: result.outcome.value for work_id, result in results.items()}


async def states(roost):
    """Return the states by id."""
    return {row.meta.work_id: row.meta.state for row in await roost.find()}


async def test_a_query_is_read_at_once(roost):
    """A mistake is an error before anything is asked."""
    with pytest.raises(InvalidInput, match="at character 1"):
        roost.select("stat:failed")
    with pytest.raises(InvalidInput, match="negative"):
        await roost.find(limit=-1)


async def test_rows_and_counts(roost):
    """All that it is true of."""
    selection = roost.select("state:failed")
    assert {"dead-a", "dead-b"} == {row.meta.work_id async for row in selection.rows()}
    assert 2 == (await selection.count()).total
    assert {"a", "b"} == {one.name for one in (await selection.count("label:team")).groups}


async def test_every_dead_letter_with_this_error_is_retried(roost):
    """And no other; spread over a time, each has its own delay."""
    results = await roost.select('state:failed error:"429"').retry(reason="it is back")
    assert {"dead-a": "done"} == outcomes(results)
    assert State.FAILED is (await states(roost))["dead-b"]
    assert "it is back" == (await roost.work("dead-a").row()).meta.act.actor.reason
    results = await roost.select("id:wait-*").cancel()
    assert {"wait-c": "done", "wait-d": "done"} == outcomes(results)
    await roost.select("state:cancelled").retry(over_seconds=60, delay_seconds=10)
    due = sorted(row.meta.due_at for row in await roost.find("id:wait-*"))
    assert 30 == (due[1] - due[0]).total_seconds()


async def test_each_verb(roost):
    """What it does to one it does to all; what does not fit is an error of its own."""
    waiting = roost.select("id:wait-*")
    assert {"done"} == set(outcomes(await waiting.pause()).values())
    assert {State.PAUSED} == {row.meta.state async for row in waiting.rows()}
    assert {"done"} == set(outcomes(await waiting.resume()).values())
    results = await roost.select("").bury()
    assert {"already", "done"} == set(outcomes(results).values())
    results = await roost.select("").drop()
    assert {"done"} == set(outcomes(results).values())
    assert 0 == (await roost.count()).total
    await roost.enqueue("echo", work_id="x")
    (error,) = (await roost.select("id:x").drop()).values()
    assert isinstance(error, VerbUnfit)


async def test_what_has_changed_since_is_left_alone(roost):
    """An order goes with what was seen: state and fence."""
    found = await previewed(roost, parse("id:wait-*"), Verb.CANCEL, None)
    await roost.work("wait-c").pause()
    order = new_order(Verb.CANCEL, Actor("alice", "tests"))
    orders = found.chosen.orders(order)
    results = [await roost.controlling.carry_out(*one) for one in orders]
    outcomes = {result.work_id: result.outcome for result in results}
    assert {"wait-c": OrderOutcome.CHANGED, "wait-d": OrderOutcome.DONE} == outcomes
    assert State.PAUSED is (await states(roost))["wait-c"]


@pytest.mark.parametrize("verb", Verb)
async def test_other_work_under_the_same_id_is_left_alone(roost, verb):
    """Nobody was shown what took the place of what a preview has shown, or that it is gone."""
    work = roost.work("wait-c")

    async def prepare():
        if verb is Verb.RESUME:
            await work.pause()
        elif verb in (Verb.RETRY, Verb.DROP):
            await work.cancel()

    await prepare()
    preview = await previewed(roost, parse("id:wait-c"), verb, None)
    ((work_id, order),) = preview.chosen.orders(new_order(verb, Actor("me", "tests")))
    await work.cancel()
    await work.drop()
    outcome = OrderOutcome.ALREADY if verb is Verb.DROP else OrderOutcome.CHANGED
    gone = await roost.controlling.carry_out(work_id, order)
    assert (outcome, None) == (gone.outcome, gone.state)
    roost.server.clock.advance(1)
    await roost.enqueue("echo", work_id="wait-c", delay_seconds=60)
    await prepare()
    before = await work.row()
    other = await roost.controlling.carry_out(work_id, order)
    assert (outcome, before.meta) == (other.outcome, (await work.row()).meta)


async def test_a_preview_has_what_the_verb_fits(roost):
    """In groups of state and error; the rest is counted apart, and nothing is done."""
    await roost.work("wait-c").pause()
    found = await roost.select("").preview("retry")
    assert (2, True, True) == (found.total, found.is_all, found.is_indexed)
    assert {
        (State.FAILED, 1, "permanent: item a said 429"),
        (State.FAILED, 1, "permanent: no route"),
    } == {(one.state, one.count, one.error) for one in found.groups}
    assert {"dead-a", "dead-b"} == {row.meta.work_id for row in found.first}
    assert {State.SLEEPING: 1} == found.already
    assert {State.PAUSED: 1} == found.unfit
    assert 2 == (await roost.count("state:failed")).total
    assert State.PAUSED is (await states(roost))["wait-c"]


async def test_a_preview_is_limited(roost):
    """It says that there may be more; what is left out does not count."""
    found = await roost.select("").preview("cancel", limit=1)
    assert (1, False) == (found.total, found.is_all)
    found = await roost.select("").preview("cancel", limit=2)
    assert (2, True, {State.FAILED: 2}) == (found.total, found.is_all, found.unfit)
    with pytest.raises(InvalidInput, match="limit"):
        await roost.select("").preview("cancel", limit=-1)
    with pytest.raises(InvalidInput, match="no verb 'kill'; there are cancel, pause"):
        await roost.select("").preview("kill")


async def test_a_lost_connection_is_waited_for(roost, monkeypatch):
    """A page without an answer is asked for again."""
    find, lost = roost.ledger.find, [BackendUnavailable("gone")]

    async def once(*args, **fields):
        if lost:
            raise lost.pop()
        return await find(*args, **fields)

    monkeypatch.setattr(roost.ledger, "find", once)
    monkeypatch.setattr(asyncio, "sleep", lambda _: find(Query()))
    assert 2 == (await roost.select("state:failed").preview("retry")).total


async def test_a_server_that_goes_away_meanwhile(roost, monkeypatch):
    """The rest is not tried, and its error says so; what was done until then is known."""
    for number in range(100):
        await roost.enqueue("echo", work_id=f"w-{number:03}", delay_seconds=60)
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.0)
    ordered, asked = roost.ledger.order, []

    async def order(work_id, what):
        asked.append(work_id)
        if len(asked) > 2:
            raise BackendUnavailable("the server does not answer")
        return await ordered(work_id, what)

    monkeypatch.setattr(roost.ledger, "order", order)
    found = await roost.select("id:w-*").cancel()
    assert 100 == len(found)
    assert len(asked) < 40
    assert [False] * 2 == [isinstance(found[name], RoostError) for name in asked[:2]]
    texts = {name: (str(found[name]), found[name].took_no_effect) for name in [*found][2:]}
    away, untried = "the server does not answer", "not tried: the server does not answer"
    assert {(away, False)} == {texts[name] for name in asked[2:]}
    assert {(untried, True)} == {texts[name] for name in found if name not in asked}
