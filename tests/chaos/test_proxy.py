"""Single calls cut, swallowed, trickled and delayed, and workers killed in the middle of them."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from roost_core import Settings
from roost_core.models import RetryPolicy, State
from tests.chaos.crew import (
    Crew,
    accepted_versions,
    ask,
    counts,
    enqueue,
    events,
    eventually,
)
from tests.chaos.proxy import Harm, Plan, Proxy, proxied
from tests.servers import Server

Tally = Callable[[int, str, int], None]

STEPS = 6
#: What a worker calls while it works; the first of them at its start, too.
AT_WORK = ("claim", "advance", "commit", "fail", "interrupt", "renew")
#: One step of each item fails once, and one asks to run later: so all of these are called.
WISH = {"once": {"2": "raise", "4": "later"}}
SOON = RetryPolicy(base_seconds=0.05, jitter=0.0)


def settings_of(server: Server, home: Path, name: str, lease_ttl: float) -> Settings:
    """Make the settings of a queue of a test's own."""
    return Settings(
        home=home,
        extra={"redis_url": server.url},
        namespace=name,
        lease_ttl=lease_ttl,
        events_kept=100_000,
    )


def enqueue_some(settings: Settings, count: int) -> list[str]:
    """Enqueue items that make a worker call every script."""
    return enqueue(settings, count, payload=WISH, retry=SOON, max_recoveries=10)


def check_all(settings: Settings, work_ids: list[str]) -> list[str]:
    """Assert that all is done, each version once, nothing buried, no blame left.

    Return the ids of the failed attempts, one for each.
    """
    found = events(settings)
    # The first version is init_snapshot's.
    expected = {work_id: list(range(1, STEPS + 2)) for work_id in work_ids}
    assert expected == accepted_versions(found)
    assert [] == [one for one in found if one.kind == "dead_lettered"]
    for work_id in work_ids:
        meta = ask(settings, lambda roost, one=work_id: roost.work(one).status()).meta  # type: ignore[attr-defined]
        assert (State.DONE, 0, 0) == (meta.state, meta.recoveries, meta.suspicions)
    return [one.work_id for one in found if one.kind == "attempt_failed"]


def make_purge_known(settings: Settings) -> None:
    """Load the script beforehand: a purge runs once a minute, and a cut ends that attempt."""
    ask(settings, lambda roost: roost.ledger.purge(10**12, None, 0))


def done(settings: Settings, work_ids: list[str]) -> Callable[[], bool]:
    """Return a function that asks whether all items are done."""
    return lambda: counts(settings)[State.DONE] == len(work_ids)


def harmed(proxy: Proxy) -> None:
    """Wait until every planned harm is done."""
    try:
        eventually(proxy.is_calm, "every planned harm is done")
    except AssertionError as error:
        raise AssertionError(f"never called: {proxy.open_plans()}") from error


@pytest.mark.parametrize("harm", Harm)
def test_each_call_harmed(
    redis_server: Server, server_root: Path, tmp_path: Path, tally: Tally, harm: Harm
) -> None:
    """Each script of a worker meets the same harm: nothing is lost, run twice or blamed."""
    settings = settings_of(redis_server, tmp_path, f"harm-{harm.name.lower()}", 3.0)
    work_ids = enqueue_some(settings, 12)
    make_purge_known(settings)
    with (
        proxied(redis_server.socket, server_root / "h", settings) as proxy,
        Crew(tmp_path, settings, steps=STEPS, pause=0.3) as crew,
    ):
        proxy.plan(*(Plan(script, harm, seconds=0.7) for script in (*AT_WORK, "purge")))
        worker = crew.start(proxy.url)
        harmed(proxy)
        eventually(done(settings, work_ids), "all done")
        proxy.plan(Plan("retire", harm, seconds=0.7))
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        harmed(proxy)
        assert 0 == worker.returncode
        # Only the engine's own failure counts as an attempt.
        assert sorted(work_ids) == sorted(check_all(settings, work_ids))
        tally(4, f"a call {harm}", proxy.hits.total())


@pytest.mark.parametrize("harm", [Harm.CUT_BEFORE, Harm.CUT_AFTER])
@pytest.mark.parametrize("script", [*AT_WORK, "purge", "retire"])
def test_killed_in_a_call(
    redis_server: Server,
    server_root: Path,
    tmp_path: Path,
    tally: Tally,
    script: str,
    harm: Harm,
) -> None:
    """A worker dies as its call is seen, or as its reply arrives: another one continues."""
    settings = settings_of(redis_server, tmp_path, f"{script}-{harm.name.lower()}", 1.0)
    work_ids = enqueue_some(settings, 3)
    make_purge_known(settings)
    with (
        proxied(redis_server.socket, server_root / "k", settings) as proxy,
        Crew(tmp_path, settings, steps=STEPS, pause=0.05) as crew,
    ):
        # Renewals come every third of the lease: its steps have to last for longer.
        proxy.plan(Plan(script, harm, then=lambda: crew.workers[0].kill()))
        worker = crew.start(proxy.url, pause=0.5 if script == "renew" else None)
        if script == "retire":
            eventually(lambda: bool(crew.runs()), "a first step")
            worker.send_signal(signal.SIGTERM)
        harmed(proxy)
        assert -signal.SIGKILL == worker.wait(60)
        crew.start()
        eventually(done(settings, work_ids), "all done")
        # A failure in the dying worker may not have been recorded; nothing else failed.
        failed = Counter(check_all(settings, work_ids))
        assert Counter() == failed - Counter(work_ids)
        tally(3, f"kill -9 in a call, {harm}", 1)
