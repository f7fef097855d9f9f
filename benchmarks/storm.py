"""``python -m benchmarks.storm``: the work of many dead workers comes back almost at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import click
from rich.table import Table

import roost_core
from benchmarks.measuring import filling
from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle, percentile
from benchmarks.measuring.harness import child
from benchmarks.probes.storming import LEASE_TTL, SETTINGS, VICTIM_VERSIONS, Bystander, Victim
from benchmarks.showing.table import explain, show_surroundings, wide_console
from roost_core import Roost, State
from roost_core.backend import Beat, ClaimRequest
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import encode_model
from roost_core.models import Event, WorkerInfo

#: Work items that keep stepping during the storm.
_BYSTANDERS: Final = 20
#: Leases of each dead worker, and how long they last until the last renewal sets their end.
_LEASES: Final = 100
_HELD_MS: Final = 600_000
#: Time allowed for a storm to end: this many seconds, and one more for this many work items.
_PATIENCE: Final = 60.0
_PATIENCE_ITEMS: Final = 100
#: How often to check whether the storm has ended. Seconds.
_LOOK_AGAIN: Final = 0.02
#: Events per request.
_PAGE: Final = 2_000
#: Commands of the server that take longer are counted. Microseconds.
_SLOW_US: Final = 1_000
#: Work items that come back while single claims are timed.
_BACKLOG: Final = 6_000


@attrs.frozen
class Case:
    """Whoever serves the bystanders.

    :ivar is_apart: a worker of their own does; else the one that also serves the victims.
    """

    key: str
    title: str
    is_apart: bool
    priority: int


CASES: Final = (
    Case("shared", "one worker", is_apart=False, priority=0),
    Case("ahead", "one worker, bystanders first", is_apart=False, priority=1),
    Case("apart", "a worker each", is_apart=True, priority=0),
)


@attrs.frozen
class Dead:
    """A worker that died, with the leases it had."""

    worker_id: str
    beats: Sequence[Beat]


@attrs.frozen
class Times:
    """When what happened, in seconds by the server's clock."""

    calm_from: float
    first_expiry: float
    last_expiry: float
    script_us: int
    slow_us: Sequence[int]


def storms(bench: Bench, items: int, cases: Iterable[Case] = CASES) -> dict[str, dict[str, Any]]:
    """Measure a storm of this many work items for each case, by the case's title."""
    found = {}
    for case in cases:
        bench.say(f"{items:,} work items come back: {case.title} …")
        found[case.title] = _storm(bench, case, items)
    return found


async def _claims(bench: Bench) -> dict[str, dict[str, float]]:
    """Return how long single claims hold the server while very much work comes back at once."""
    found = {}
    for name, is_expired in (("recovering", True), ("promoting", False)):
        bench.say(f"claims, {name} …")
        bench.server.clear()
        async with bench.connect(**SETTINGS) as roost:
            took = await filling.backlog_claims(
                roost, bench.server, _BACKLOG, is_expired=is_expired
            )
        found[name] = {"median": middle(took), "longest": max(took)}
    return found


def is_sound(found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether in every case each work item was done, and no step of it twice."""
    return not any(one["twice"] or one["missing"] for one in found.values())


def _storm(bench: Bench, case: Case, count: int) -> dict[str, Any]:
    bench.server.clear()
    job = bench.job("storm", _BYSTANDERS)
    groups: list[list[str]] = [[Victim.engine_id, Bystander.engine_id]]
    if case.is_apart:
        groups = [[Victim.engine_id], [Bystander.engine_id]]
    dead, after = asyncio.run(_die(bench, count))
    with ExitStack() as stack:
        children = []
        for engines in groups:
            extra = {"engines": engines, "priority": case.priority}
            children.append(stack.enter_context(child(attrs.evolve(job, extra=extra))))
        for one in children:
            one.hear()
        times = asyncio.run(_watch(bench, dead, count))
        reports = []
        for one in children:
            one.tell("go")
            reports.append(one.hear())
            one.tell("seen")
    events, done = asyncio.run(_look(bench, after, count))
    steps = [step for report in reports for step in report["bystander"]]
    begun_twice = sum(report["begun_twice"] for report in reports)
    return _figures(times, steps, judge(events, done, count, begun_twice), events)


async def _die(bench: Bench, count: int) -> tuple[list[Dead], str]:
    """Enqueue victims and lease them all; return who holds them, and the last event's id."""
    async with bench.connect(**SETTINGS) as roost:
        requests = (EnqueueRequest(engine=Victim.engine_id) for _ in range(count))
        await roost.enqueue_many(requests, any_engine=True)
        dead: list[Dead] = []
        left = count
        while left:
            worker_id = f"dead-{len(dead)}"
            engines = (Victim.engine_id,)
            request = ClaimRequest(worker_id, engines, min(left, _LEASES), _HELD_MS)
            claims = (await roost.ledger.claim(request)).claims
            if not claims:
                raise RuntimeError("work that was enqueued cannot be claimed")
            leases = [claim.lease for claim in claims]
            dead.append(Dead(worker_id, [Beat(one.work_id, one.token) for one in leases]))
            left -= len(leases)
        (newest,) = await roost.events(limit=1)
    return dead, newest.event_id


async def _watch(bench: Bench, dead: Sequence[Dead], count: int) -> Times:
    """Let the dead renew their leases a last time, and wait until others have done their work."""
    ttl_ms = round(LEASE_TTL * 1000)
    async with bench.connect(**SETTINGS) as roost:
        before = await roost.server.now_ms()
        await asyncio.to_thread(_renew, roost, dead, ttl_ms)
        after = await roost.server.now_ms()
        await asyncio.sleep((before + ttl_ms - after) / 1000 - _LOOK_AGAIN)
        bench.server.log_slow(_SLOW_US)
        counters = bench.server.counters()
        patience = time.monotonic() + LEASE_TTL + _PATIENCE + count / _PATIENCE_ITEMS
        while time.monotonic() < patience:
            await asyncio.sleep(_LOOK_AGAIN)
            if (await roost.counts())[State.DONE] >= count:
                break
        slow, spent = bench.server.slow(), bench.server.counters() - counters
    first, last = (before + ttl_ms) / 1000, (after + ttl_ms) / 1000
    return Times(after / 1000, first, last, spent.script_us, slow)


def _renew(roost: Roost, dead: Sequence[Dead], ttl_ms: int) -> None:
    renewer = roost.ledger.renewer()
    try:
        for one in dead:
            info = WorkerInfo(
                worker_id=one.worker_id,
                host="nowhere",
                pid=1,
                engines=(Victim.engine_id,),
                concurrency=_LEASES,
                lease_ttl_seconds=LEASE_TTL,
                roost_version=roost_core.__version__,
                started_at=datetime.now(UTC),
            )
            lost = renewer.renew(encode_model(info), one.beats, ttl_ms).lost
            if lost:
                raise RuntimeError(f"{len(lost)} leases were lost before the storm")
    finally:
        renewer.close()


async def _look(bench: Bench, after: str, count: int) -> tuple[list[Event], dict[str, int]]:
    """Return the victims' events since then, and the versions of those that are done."""
    events: list[Event] = []
    async with bench.connect(**SETTINGS) as roost:
        while page := await roost.events(after=after, limit=_PAGE):
            after = page[-1].event_id
            events += (event for event in page if event.engine == Victim.engine_id)
        rows = await roost.list(State.DONE, Victim.engine_id, limit=count)
    return events, {row.meta.work_id: row.meta.version for row in rows}


def judge(
    events: Iterable[Event], done: Mapping[str, int], count: int, begun_twice: int
) -> dict[str, int]:
    """Count what came back, what was done twice, and what is not done as it should be.

    :param done: the versions of the work items that are done.
    :param begun_twice: how many steps workers have begun more than once.
    """
    recovered = 0
    versions: dict[str, list[int]] = defaultdict(list)
    for event in events:
        recovered += event.kind == "recovered"
        if event.kind == "committed":
            versions[event.work_id].append(event.version)
    whole = sum(
        version == VICTIM_VERSIONS[-1] and tuple(sorted(set(versions[work_id]))) == VICTIM_VERSIONS
        for work_id, version in done.items()
    )
    committed_twice = sum(len(one) > len(set(one)) for one in versions.values())
    return {
        "items": count,
        "recovered": recovered,
        "twice": committed_twice + begun_twice,
        "missing": count - whole,
    }


def _figures(
    times: Times,
    steps: Sequence[Sequence[float]],
    judged: Mapping[str, int],
    events: Iterable[Event],
) -> dict[str, Any]:
    accepted = [event.at.timestamp() for event in events if event.kind == "committed"]
    end = max(accepted, default=times.last_expiry)
    seconds = max(end - times.first_expiry, 0.001)
    # A step that waits into the storm is the storm's.
    calm = _lateness(
        [one for one in steps if one[0] >= times.calm_from and one[2] < times.first_expiry],
        times.first_expiry - times.calm_from,
    )
    storm = _lateness(
        [one for one in steps if one[0] < end and one[2] >= times.first_expiry], seconds
    )
    return {
        **judged,
        "seconds": seconds,
        "items_per_second": judged["recovered"] / seconds,
        "expiry_spread_ms": 1000 * (times.last_expiry - times.first_expiry),
        "calm": calm,
        "storm": storm,
        "late_p99_ratio": storm["late_p99_ms"] / max(calm["late_p99_ms"], 1.0),
        "server_in_scripts": times.script_us / 1e6 / seconds,
        "slow_commands": len(times.slow_us),
        "longest_command_ms": max(times.slow_us, default=0) / 1000,
    }


def _lateness(steps: Sequence[Sequence[float]], seconds: float) -> dict[str, float]:
    """Return milliseconds from due to begun and to accepted."""
    if not steps:
        raise RuntimeError("the machine is too busy: no bystander took a step")
    found: dict[str, float] = {"steps_per_second": len(steps) / seconds}
    for name, index in (("late", 1), ("through", 2)):
        took = [1000 * (step[index] - step[0]) for step in steps]
        found |= {
            f"{name}_p50_ms": percentile(took, 0.5),
            f"{name}_p99_ms": percentile(took, 0.99),
            f"{name}_worst_ms": max(took),
        }
    return found


@click.command()
@click.option("--items", type=click.IntRange(1), help="10,000; 1,000 with --quick.")
@options(quick="1,000 work items.")
def main(common: Options, *, items: int | None) -> None:
    """Let many leases expire at once; exit with 1 if a work item ran twice or is missing."""
    with common.server() as (bench, around):
        found = storms(bench, items or (1_000 if common.is_quick else 10_000))
        claims = asyncio.run(_claims(bench))
    console = wide_console()
    console.print(_table(found))
    explain(console, "bystanders: in the calm before → in the storm")
    for name, took in claims.items():
        explain(
            console,
            f"server's time for one claim, {name} out of {_BACKLOG:,}: "
            f"median {took['median']:.1f} ms, longest {took['longest']:.1f} ms",
        )
    show_surroundings(console, around)
    common.write({**around, "storm": found, "claim_ms": claims})
    sys.exit(0 if is_sound(found) else 1)


def _table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table()
    table.add_column("")
    for title in found:
        table.add_column(title, justify="right")

    def add(what: str, form: str, *paths: str, end_section: bool = False) -> None:
        cells = []
        for one in found.values():
            values = [_at(one, path) for path in paths]
            cells.append(" → ".join(format(value, form) for value in values))
        table.add_row(what, *cells, end_section=end_section)

    add("recovered", ",", "recovered")
    add("ran twice", ",", "twice")
    add("missing", ",", "missing")
    add("seconds until all are through", ".2f", "seconds")
    add("work items a second", ",.0f", "items_per_second")
    add("from the first expiry to the last, ms", ".0f", "expiry_spread_ms")
    add("server's time in scripts", ".0%", "server_in_scripts")
    add("server's longest command, ms", ".1f", "longest_command_ms")
    add("server's commands over 1 ms", ",", "slow_commands", end_section=True)
    both = ("calm", "storm")
    add("bystanders: steps a second", ",.0f", *(f"{one}.steps_per_second" for one in both))
    for name, what in (("late", "begin late"), ("through", "due until accepted")):
        for share in ("p50", "p99", "worst"):
            paths = [f"{one}.{name}_{share}_ms" for one in both]
            add(f"bystanders: {what}, {share}, ms", ",.1f", *paths)
    return table


def _at(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = found[name]
    return found


if __name__ == "__main__":
    main()
