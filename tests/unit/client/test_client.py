"""The Python client over a backend in memory."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime

import attrs
import pytest

from roost_core.backend import ClaimRequest, Commit, Sleep
from roost_core.client import waiting
from roost_core.client.requests import EnqueueRequest
from roost_core.client.roost import Roost
from roost_core.client.work import Work
from roost_core.codec.records import encode_model
from roost_core.codec.snapshots import encode_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.errors import (
    BackendUnavailable,
    CodecError,
    CorruptRecord,
    IdempotencyConflict,
    InvalidInput,
    RoostError,
    SettingsError,
    UnknownEngine,
    WorkIdTaken,
    WorkNotFound,
)
from roost_core.models import RetryPolicy, Snapshot, State, WorkerInfo
from roost_core.settings import Settings
from roost_core.shown.plain import status_json
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory."""
    return Bench()


def run(bench, work, **settings):
    """Run ``work(roost)`` with an open connection."""

    async def main():
        async with bench.roost(**settings) as roost:
            return await work(roost)

    return asyncio.run(main())


class Counting:
    """Counts the calls of a backend's methods, and fails the first of each if told to."""

    def __init__(self, monkeypatch, ledger, *, unanswered=0, applied=True):
        self.calls = []
        for name in ("enqueue", "workers", "now_ms", "read"):
            self._wrap(monkeypatch, ledger, name, unanswered if name == "enqueue" else 0, applied)

    def _wrap(self, monkeypatch, ledger, name, unanswered, applied):
        method = getattr(ledger, name)
        left = [unanswered]

        async def call(*args, **kwargs):
            self.calls.append(name)
            if left[0] > 0:
                left[0] -= 1
                if applied:
                    await method(*args, **kwargs)
                raise BackendUnavailable("no answer")
            return await method(*args, **kwargs)

        monkeypatch.setattr(ledger, name, call)


@contextmanager
def renewed(bench, info):
    """Announce a worker."""
    renewer = bench.ledger.renewer()
    renewer.renew(info, [], 15_000)
    yield
    renewer.close()


@pytest.fixture
def no_pauses(monkeypatch):
    """Let pauses take no time, on a clock that counts them."""
    now = [0.0]

    async def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr(waiting.asyncio, "sleep", sleep)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return now


def test_enqueue_of_an_installed_engine_is_one_round_trip(bench, monkeypatch):
    """An engine that an installed plugin offers is not looked up on the server."""
    counting = Counting(monkeypatch, bench.ledger)
    item = run(bench, lambda roost: roost.enqueue("echo", {"a": 1}))

    assert ["enqueue"] == counting.calls
    assert {"a": 1} == item.payload


def test_a_live_worker_can_offer_the_engine(bench):
    """Without the plugin here, a live worker that announces it is enough."""
    now = datetime(2023, 1, 1, tzinfo=UTC)
    info = WorkerInfo("x-1", "h", 1, ("far",), 1, 15.0, "0", now)
    with renewed(bench, encode_model(info)):
        item = run(bench, lambda roost: roost.enqueue("far"))

    assert "far" == item.engine


def test_unknown_engine_names_close_ones(bench):
    """The error for a typo has the engine that was meant."""
    with pytest.raises(UnknownEngine, match="'ech'; did you mean echo"):
        run(bench, lambda roost: roost.enqueue("ech"))


def test_unknown_engine_says_where_plugins_are_named(bench):
    """Nothing is close: most likely the plugin that has the engine was not named."""
    with pytest.raises(UnknownEngine, match=r"--plugin or ROOST_PLUGINS \(offered are: echo\)"):
        run(bench, lambda roost: roost.enqueue("countdown"))


def test_any_engine_asks_nobody(bench, monkeypatch):
    """any_engine accepts the name as it is, in one round trip."""
    counting = Counting(monkeypatch, bench.ledger)
    run(bench, lambda roost: roost.enqueue("later", any_engine=True))

    assert ["enqueue"] == counting.calls


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_counts_once(bench, monkeypatch, no_pauses, applied):
    """A repeated request, applied before or not, is one work item under one id."""
    counting = Counting(monkeypatch, bench.ledger, unanswered=2, applied=applied)
    item = run(bench, lambda roost: roost.enqueue("echo"))

    assert ["enqueue"] * 3 == counting.calls
    assert [item.work_id] == [row.meta.work_id for row in run(bench, lambda roost: roost.list())]


def test_patience_has_an_end(bench, monkeypatch, no_pauses):
    """After a few seconds without an answer the error comes out."""
    Counting(monkeypatch, bench.ledger, unanswered=1000)
    with pytest.raises(BackendUnavailable):
        run(bench, lambda roost: roost.enqueue("echo"))

    assert no_pauses[0] <= 3.0


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"payload": float("nan")}, CodecError),
        ({"payload": "x" * (1 << 20)}, CodecError),
        ({"payload": object()}, CodecError),
        ({"work_id": "a b"}, InvalidInput),
        ({"delay_seconds": -1}, InvalidInput),
        ({"delay_seconds": float("inf")}, InvalidInput),
        ({"deadline_at": datetime(2030, 1, 1)}, InvalidInput),  # noqa: DTZ001  # the point of it
        ({"deadline_at": datetime(2030, 1, 1, tzinfo=UTC), "deadline_seconds": 1}, InvalidInput),
        ({"step_timeout_seconds": 0}, InvalidInput),
        ({"resources": "abc"}, InvalidInput),
        ({"title": ""}, InvalidInput),
        ({"max_recoveries": -1}, InvalidInput),
        ({"retry": {"max_attempts": 3}}, InvalidInput),
    ],
)
def test_enqueue_checks_before_it_asks(bench, monkeypatch, fields, error):
    """A value that cannot be accepted never reaches the server."""
    counting = Counting(monkeypatch, bench.ledger)
    with pytest.raises(error):
        run(bench, lambda roost: roost.enqueue("echo", **fields))

    assert "enqueue" not in counting.calls


def test_deadline_counts_from_the_servers_clock(bench):
    """deadline_seconds is relative to the server's now, not to this machine's."""
    item = run(bench, lambda roost: roost.enqueue("echo", deadline_seconds=0.5))
    status = run(bench, lambda roost: roost.work(item).status())

    assert bench.provider.clock.now_ms() + 500 == round(item.deadline_at.timestamp() * 1000)
    assert item.deadline_at == status.meta.deadline_at


@pytest.mark.parametrize("late_ms", [0, 1, 86_400_000])
def test_a_deadline_that_has_passed(bench, late_ms):
    """By the server's clock it is past: such work would only be dead-lettered."""
    past = from_milliseconds(bench.provider.clock.now_ms() - late_ms)
    with pytest.raises(InvalidInput, match="has passed"):
        run(bench, lambda roost: roost.enqueue("echo", deadline_at=past))
    with pytest.raises(InvalidInput, match="deadline_seconds must be above 0"):
        run(bench, lambda roost: roost.enqueue("echo", deadline_seconds=0))


def test_only_a_deadline_costs_a_look_at_the_clock(bench, monkeypatch):
    """Work without a deadline is enqueued without another round trip."""
    counting = Counting(monkeypatch, bench.ledger)
    run(bench, lambda roost: roost.enqueue("echo"))
    assert "now_ms" not in counting.calls


def test_refusals_have_their_own_errors(bench):
    """A taken id and a key with another payload are told apart; a repeat gives the stored item."""

    async def work(roost):
        await roost.enqueue("echo", 1, work_id="w1", idempotency_key="k", title="first")
        with pytest.raises(WorkIdTaken):
            await roost.enqueue("echo", 1, work_id="w1")
        with pytest.raises(IdempotencyConflict):
            await roost.enqueue("echo", 2, idempotency_key="k")
        return await roost.enqueue("echo", 1, idempotency_key="k", title="second")

    again = run(bench, work)
    assert ("w1", "first") == (again.work_id, again.title)


def test_enqueue_many_keeps_order_and_goes_on(bench, monkeypatch):
    """One result per request, in order; refused ones are errors and stop nobody."""
    counting = Counting(monkeypatch, bench.ledger)
    wishes = [EnqueueRequest(engine="echo", work_id=f"w{n}") for n in range(1100)]
    wishes[3] = EnqueueRequest(engine="echo", work_id="w1")
    wishes[5] = EnqueueRequest(engine="nobody")
    wishes[700] = EnqueueRequest(engine="echo", priority=5000)
    results = run(bench, lambda roost: roost.enqueue_many(iter(wishes)))

    assert 1100 == len(results)
    errors = {n: type(one) for n, one in enumerate(results) if isinstance(one, RoostError)}
    assert {3: WorkIdTaken, 5: UnknownEngine, 700: InvalidInput} == errors
    assert all(f"w{n}" == one.work_id for n, one in enumerate(results) if n not in errors)
    assert ["workers", "enqueue", "enqueue", "enqueue"] == counting.calls


def test_status_list_counts_and_dead_letters_agree(bench):
    """The views of one failed work item fit together."""
    run(bench, lambda roost: roost.enqueue("echo", work_id="w1", retry=RetryPolicy(max_attempts=1)))
    bench.fail("boom")

    async def work(roost):
        return (
            await roost.work("w1").status(),
            await roost.list("failed"),
            await roost.counts(),
            await roost.dead_letters(),
        )

    status, rows, counts, letters = run(bench, work)
    assert State.FAILED is status.meta.state
    assert ["w1"] == [row.meta.work_id for row in rows]
    assert 1 == counts[State.FAILED]
    assert ["boom"] == [letter.error.message for letter in letters]
    assert status.meta.finished_at == letters[0].failed_at


def test_unknown_work_is_an_error(bench):
    """status, wait and row say so; list of an unknown state too."""
    for call in (Work.status, Work.wait, Work.row):
        with pytest.raises(WorkNotFound):
            run(bench, lambda roost, call=call: call(roost.work("w-none")))
    with pytest.raises(InvalidInput, match="unknown state 'lost'"):
        run(bench, lambda roost: roost.list("lost"))


def test_wait_returns_terminal_or_last_known(bench):
    """With a timeout wait returns how the work stands; without one it waits for the end."""
    item = run(bench, lambda roost: roost.enqueue("echo"))

    assert State.QUEUED is run(bench, lambda roost: roost.work(item).wait(timeout=0)).meta.state
    bench.finish(item.work_id)
    status = run(bench, lambda roost: roost.work(item).wait())
    assert State.DONE is status.meta.state
    assert status.snapshot.is_finished


def test_wait_outlives_a_short_outage(bench, monkeypatch, no_pauses):
    """A server that is away for a moment does not end a wait."""
    item = run(bench, lambda roost: roost.enqueue("echo"))
    bench.finish(item.work_id)
    method = bench.ledger.wait_terminal
    failures = [1, 2, 3]

    async def flaky(*args):
        if failures:
            failures.pop()
            raise BackendUnavailable("away")
        return await method(*args)

    monkeypatch.setattr(bench.ledger, "wait_terminal", flaky)
    assert State.DONE is run(bench, lambda roost: roost.work(item).wait()).meta.state


def test_corrupt_bytes_are_told_and_kept(bench):
    """Status raises CorruptRecord with the id; the listing still has the row."""
    item = run(bench, lambda roost: roost.enqueue("echo", title="T"))

    def corrupt(state, now):
        work = state.works[item.work_id]
        work.new = attrs.evolve(work.new, item=b"\xff")

    bench.ledger.run(corrupt)
    with pytest.raises(CorruptRecord, match=item.work_id):
        run(bench, lambda roost: roost.work(item).status())
    (row,) = run(bench, lambda roost: roost.list())
    assert (False, State.QUEUED) == (row.is_readable, row.meta.state)


def test_follow_yields_what_happens_next(bench):
    """Follow starts with the next event, and keeps to one work item if asked."""
    bench.enqueue(work_id="old")

    async def work(roost):
        events = roost.work("w1").follow()
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await roost.enqueue("echo", work_id="other")
        await roost.enqueue("echo", work_id="w1")
        event = await first
        await events.aclose()
        return event

    event = run(bench, work)
    assert ("enqueued", "w1") == (event.kind, event.work_id)


def test_artifacts_come_verified_from_the_store(bench):
    """Artifact returns the bytes by their id."""
    artifact_id = bench.provider.store.put(b"bytes", work_id="w1").artifact_id

    assert b"bytes" == run(bench, lambda roost: roost.artifact(artifact_id))


def test_connect_overrides_settings_by_name(bench):
    """Overrides are parsed like the command line's, and win over the settings given."""
    roost = Roost.connect(Settings(queue="a", lease_ttl=3.0), plugins=bench.plugins, queue="b")

    assert ("b", 3.0) == (roost.settings.queue, roost.settings.lease_ttl)
    with pytest.raises(SettingsError, match="setting queu: unknown setting; did you mean queue"):
        Roost.connect(Settings(), plugins=bench.plugins, queu="b")
    with pytest.raises(SettingsError):
        Roost.connect(Settings(), plugins=bench.plugins, queue="a b")


def test_a_connection_has_to_be_entered(bench):
    """Without async with the error says what to do."""
    with pytest.raises(RoostError, match="async with"):
        asyncio.run(bench.roost().counts())


def test_workers_with_broken_records_are_left_out(bench):
    """One unreadable worker record does not hide the others."""
    now = datetime(2023, 1, 1, tzinfo=UTC)
    info = WorkerInfo("x-1", "h", 1, ("echo",), 1, 15.0, "0", now)
    with renewed(bench, encode_model(info)):
        bench.ledger.run(lambda state, now: state.workers.update(bad=(b"{", now, 15_000)))
        found = run(bench, lambda roost: roost.workers())

    assert ["x-1"] == [worker.worker_id for worker in found]


def test_claims_show_in_the_status(bench):
    """A leased work item shows its worker, and no token."""
    bench.enqueue(work_id="w1")
    asyncio.run(bench.ledger.claim(ClaimRequest("worker-9", ("echo",), 1, 15_000)))
    lease = run(bench, lambda roost: roost.work("w1").status()).meta.lease

    assert ("worker-9", "") == (lease.worker_id, lease.token)


def test_status_tells_why_work_sleeps(bench):
    """What RetryLater said is shown while the work sleeps for it, and not after."""
    bench.enqueue(work_id="w1")
    reason = "the quota at https://me:pass@host is used up"
    asyncio.run(bench.ledger.interrupt(bench.claim().lease, "i0", reason, 60_000))
    asleep = run(bench, lambda roost: roost.work("w1").status())
    assert (State.SLEEPING, reason) == (asleep.meta.state, asleep.meta.reason)
    assert reason.replace("pass", "***") == status_json(asleep)["meta"]["reason"]

    bench.provider.clock.advance(60_000)
    claim = bench.claim()
    assert run(bench, lambda roost: roost.work("w1").status()).meta.reason is None
    data = encode_snapshot(Snapshot("w1", "echo", version=1, step="on"))
    commit = Commit("c1", claim.version, data, "on", Sleep(60_000))
    asyncio.run(bench.ledger.commit(claim.lease, commit))
    delayed = run(bench, lambda roost: roost.work("w1").status())
    assert (State.SLEEPING, None) == (delayed.meta.state, delayed.meta.reason)


def test_status_of_work_that_never_ran_has_no_reason(bench):
    """Work that sleeps because it was enqueued that way gives no reason."""
    bench.enqueue(work_id="w1", delay_seconds=60)
    found = run(bench, lambda roost: roost.work("w1").status())

    assert (State.SLEEPING, None) == (found.meta.state, found.meta.reason)


async def test_a_connection_that_is_open_is_not_opened_again(bench):
    """The first would stay open for ever; it is as it was. Closed, it may be opened again."""
    roost = bench.roost()
    async with roost:
        with pytest.raises(RoostError, match="already connected"):
            await roost.__aenter__()
        assert 0 == sum((await roost.counts()).values())
    async with roost:
        assert 0 == sum((await roost.counts()).values())
