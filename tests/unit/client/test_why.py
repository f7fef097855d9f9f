"""Why work does not run, from a program."""

from __future__ import annotations

import pytest

from roost_core.backend import ClaimRequest, Explaining
from roost_core.errors import WorkNotFound
from roost_core.models import State
from tests.unit.cli.cli_harness import Bench
from tests.unit.client.verbs_bench import run, use


@pytest.fixture
def bench():
    """Give a queue in memory, with one work item of the id w1."""
    bench = Bench()
    bench.enqueue(work_id="w1")
    return bench


def why(bench, work_id="w1"):
    """Ask why it does not run."""
    return run(bench, lambda roost: roost.work(work_id).why())


def test_the_answer(bench):
    """A sentence, and what would change it."""
    found = why(bench)
    assert ("w1", State.QUEUED) == (found.work_id, found.state)
    assert "No live worker offers engine echo." == found.sentence
    assert ("roost worker --plugin PATH --engines echo",) == found.commands
    use(bench, "pause")
    assert ("roost resume w1",) == why(bench).commands


def test_the_reason_of_a_sleep(bench):
    """It is looked up in the work item's own history."""

    async def give_back(roost):
        request = ClaimRequest("worker-1", ("echo",), limit=1, lease_ttl_ms=15_000)
        (claim,) = (await roost.ledger.claim(request)).claims
        await roost.ledger.interrupt(claim.lease, "i1", "quota used up", 60_000)

    run(bench, give_back)
    assert "quota used up" in why(bench).sentence


def test_nothing_has_this_id(bench):
    """As everywhere."""
    with pytest.raises(WorkNotFound):
        why(bench, "w-none")


def test_a_backend_that_knows_no_more_than_it_can_read(bench, monkeypatch):
    """By default the facts are put together from what every backend can tell."""
    bench.enqueue(work_id="w2")
    monkeypatch.setattr(type(bench.ledger), "facts", Explaining.facts)
    assert "No live worker offers engine echo." == why(bench, "w2").sentence
    run(bench, lambda roost: roost.engine("echo").hold(reason="no"))
    found = why(bench, "w2")
    assert ("roost resume --engine echo",) == found.commands
