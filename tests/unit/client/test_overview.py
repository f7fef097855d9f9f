"""A queue at one glance, from a program."""

from __future__ import annotations

import pytest

from roost_core import SyncRoost
from roost_core.backend import ClaimRequest, Explaining, Failure, FailureTally, Tally
from roost_core.codec.records import encode_model
from roost_core.models import ErrorRecord
from tests.unit.cli.cli_harness import Bench
from tests.unit.client.verbs_bench import run


@pytest.fixture
def bench():
    """Give a queue in memory."""
    return Bench()


def overview(bench):
    """Look at it."""
    return run(bench, lambda roost: roost.overview())


def failed(bench, work_id, message):
    """Make a dead letter."""

    async def fail(roost):
        request = ClaimRequest("worker-1", ("echo",), limit=1, lease_ttl_ms=15_000)
        (claim,) = (await roost.ledger.claim(request)).claims
        error = encode_model(ErrorRecord("exception", message, "HTTPError", traceback="a\nb"))
        await roost.ledger.fail(claim.lease, Failure("f0", error, permanent=True, delay_ms=0))

    bench.enqueue(work_id=work_id)
    run(bench, fail)


def test_an_empty_queue_is_well(bench):
    """Nothing is there, and nothing is wrong."""
    found = overview(bench)
    assert found.is_well
    assert ((), (), (), 60) == (found.failures, found.waiting, found.odd, len(found.hour))


def test_dead_letters_by_error(bench):
    """The query of a group finds the group, and the command is one for a shell."""
    failed(bench, "a", "429 too many: 17")
    failed(bench, "b", "no such page")
    failed(bench, "c", "429 too many: 4")
    found = overview(bench)
    groups = {one.text: one for one in found.failures}
    many = next(one for text, one in groups.items() if "too many" in text)
    assert (2, ("echo",), None) == (many.count, many.engines, many.error.traceback)
    assert f"roost retry '{many.query}'" == many.command
    matches = run(bench, lambda roost: roost.find(many.query))
    assert {"a", "c"} == {row.meta.work_id for row in matches}
    assert not found.is_well


def test_why_work_waits_is_said_as_why_says_it(bench):
    """In the same words, with the same command, and a query that finds it."""
    bench.enqueue(work_id="w1")
    bench.enqueue(work_id="w2")
    (group,) = overview(bench).waiting
    why = run(bench, lambda roost: roost.work("w1").why())
    assert (why.sentence, why.commands) == (group.sentence, group.commands)
    assert ("no_worker", 2, "echo") == (group.cause, group.count, group.engine)
    assert 2 == len(run(bench, lambda roost: roost.find(group.query)))
    run(bench, lambda roost: roost.engine("echo").hold(reason="no"))
    (group,) = overview(bench).waiting
    why = run(bench, lambda roost: roost.work("w1").why())
    assert group.sentence[1:] in why.sentence
    assert ("held", why.commands) == (group.cause, group.commands)


def test_failures_are_counted_by_minute(bench):
    """What workers have said of the last hour."""
    tally = Tally(failures=(FailureTally("echo", 3, 1),))
    bench.ledger.run(lambda state, now: state.count(now, tally))
    found = overview(bench).hour
    assert (3, 1) == (
        sum(one.failed_attempts for one in found),
        sum(one.dead_letters for one in found),
    )


def test_a_backend_that_has_lists_only(bench, monkeypatch):
    """By default an overview is put together from what every backend can tell."""
    failed(bench, "a", "429 too many: 17")
    bench.enqueue(work_id="w1")
    run(bench, lambda roost: roost.enqueue("echo", None, delay_seconds=60))
    before = overview(bench)
    monkeypatch.setattr(type(bench.ledger), "survey", Explaining.survey)
    found = overview(bench)
    assert before.counts == found.counts
    assert [one.query for one in before.failures] == [one.query for one in found.failures]
    assert [one.cause for one in before.waiting] == [one.cause for one in found.waiting]
    assert () == found.hour


def test_the_twin_has_it(bench):
    """Programs without an event loop see the same."""
    bench.enqueue(work_id="w1")
    with SyncRoost(bench.roost()) as roost:
        assert 1 == roost.overview().waiting[0].count
