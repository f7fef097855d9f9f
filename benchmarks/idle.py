"""``python -m benchmarks.idle``: what idle workers and starting processes cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import click
from rich.table import Table

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle
from benchmarks.measuring.harness import count_commands, measure
from benchmarks.measuring.machine import memory_of, parse_memory
from benchmarks.measuring.processes import Processes
from benchmarks.probes.plugin import SmallEngine
from benchmarks.showing.table import show_surroundings, wide_console
from roost_core import State
from roost_core.client.requests import EnqueueRequest

#: Modules whose import is timed: what a person's program imports, and what the commands do.
_MODULES: Final = (
    "roost_core",
    "roost_core.client.roost",
    "roost_core.cli.app",
    "roost_core.cli.work.status",
    "roost_core.worker",
)
#: The name under which Python alone is timed alongside them.
_NOTHING: Final = "python -c pass"
#: The modules besides Roost's own that `roost status` needs: a Python that imports only those is
#: timed alongside it, with the collector set as the command sets it. The command uses each of them
#: for what it prints; whatever else it imports comes with one of these, except queue and gc
#: of Python's own.
LIBRARIES: Final = (
    "asyncio, hashlib, importlib.metadata, json, attrs, cattrs, click, hiredis, pluggy"
)
_IMPORT_LIBRARIES: Final = (
    f"from roost_core.cli import hold_collector_back as hold; hold(); import {LIBRARIES}"
)
#: Work items after which a worker's memory is measured, and the steps of each.
_ITEMS: Final = 1_000
_STEPS: Final = 10
#: For a process to settle, and for work to be done. Seconds.
_SETTLE: Final = 1.0
_PATIENCE: Final = 120.0
_PLUGIN: Final = ("--plugin", "benchmarks.probes.plugin:plugin", "--engines", SmallEngine.engine_id)


def commands(bench: Bench) -> dict[str, float]:
    """Count the commands a second that an idle worker sends, renewals included, with MONITOR."""
    seconds = 11.0 if bench.is_quick else 21.0
    job = bench.job("idle", 1, extra={"seconds": seconds})
    sent, in_scripts = count_commands(bench.server, job)
    return {"sent": sent / seconds, "in_scripts": in_scripts / seconds}


def cpu(bench: Bench) -> dict[str, float]:
    """Return the CPU of an idle worker, and of the server with and without it, in µs a second."""
    seconds = 6.0 if bench.is_quick else 21.0
    bench.server.clear()
    before = bench.server.counters()
    time.sleep(seconds)
    alone = bench.server.counters() - before
    found = measure(bench.server, bench.job("idle", 1, extra={"seconds": seconds}))
    return {
        "worker": found.client_cpu / seconds * 1e6,
        "server": found.server_cpu / seconds * 1e6,
        "server_alone": alone.cpu / seconds * 1e6,
    }


def imports(bench: Bench) -> dict[str, float]:
    """Time a fresh Python that imports one thing, and one that imports nothing: medians, in ms."""
    processes = Processes(bench.folder)
    programs = {_NOTHING: "pass", **{name: f"import {name}" for name in _MODULES}}
    calls = {
        name: partial(_seconds, processes.python, "-c", text) for name, text in programs.items()
    }
    _in_turns(calls, 1)  # compiles
    return _medians(_in_turns(calls, 7 if bench.is_quick else 21))


def status(bench: Bench) -> dict[str, float]:
    """Time `roost status` against an embedded server that is up, process start included, in ms.

    A median, with those of a Python that only imports the libraries, and of one that does nothing.
    """
    from roost_plugins.redis_saq.embedded import server as embedded

    processes = Processes(bench.folder)
    try:
        arguments = ("--engine", "bench", "--payload", "{}", "--any-engine")
        work_id, _ = processes.roost("enqueue", *arguments)
        calls = {
            "roost status": partial(_seconds, processes.roost, "status", work_id),
            LIBRARIES: partial(_seconds, processes.python, "-c", _IMPORT_LIBRARIES),
            _NOTHING: partial(_seconds, processes.python, "-c", "pass"),
        }
        _in_turns(calls, 1)  # compiles
        return _medians(_in_turns(calls, 10 if bench.is_quick else 25))
    finally:
        embedded.stop(processes.home)


def _seconds(start: Callable[..., tuple[str, float]], *arguments: str) -> float:
    return start(*arguments)[1]


def _in_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each once in every round, so that drift affects all alike."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took[name].append(call())
    return took


def _medians(took: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: 1000 * middle(seconds) for name, seconds in took.items()}


def memory(bench: Bench) -> dict[str, dict[str, float]]:
    """Read the resident memory of `roost worker`, idle and after work, in bytes."""
    processes = Processes(bench.folder, bench.server.url)
    bench.server.clear()
    own_status = "print(open('/proc/self/status').read())"
    found = {}
    if Path("/proc/self/status").exists():
        found[_NOTHING] = parse_memory(processes.python("-c", own_status)[0])
    with processes.worker(*_PLUGIN) as worker:
        asyncio.run(_until_registered(bench, worker.pid))
        time.sleep(_SETTLE)
        found["idle"] = memory_of(worker.pid)
        asyncio.run(_work_off(bench))
        time.sleep(_SETTLE)
        found[f"after {_ITEMS:,} work items"] = memory_of(worker.pid)
    return {name: attrs.asdict(one) for name, one in found.items()}


async def _until_registered(bench: Bench, pid: int) -> None:
    async with bench.connect() as roost, asyncio.timeout(_PATIENCE):
        while all(one.pid != pid for one in await roost.workers()):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


async def _work_off(bench: Bench) -> None:
    async with bench.connect() as roost, asyncio.timeout(_PATIENCE):
        await roost.enqueue_many(_request(_STEPS) for _ in range(_ITEMS))
        while (await roost.counts())[State.DONE] < _ITEMS:  # noqa: ASYNC110 - cheaper than events
            await asyncio.sleep(0.05)


def _request(steps: int) -> EnqueueRequest:
    return EnqueueRequest(engine=SmallEngine.engine_id, payload={"steps": steps})


def start(bench: Bench) -> float:
    """Time `roost worker` from its start to its first accepted step, in ms: a median."""
    processes = Processes(bench.folder, bench.server.url)
    took = [asyncio.run(_first_step(bench, processes)) for _ in range(4 if bench.is_quick else 10)]
    return 1000 * middle(took[1:])  # the first one compiles


async def _first_step(bench: Bench, processes: Processes) -> float:
    """Let work wait for a worker that is just starting."""
    bench.server.clear()
    async with bench.connect() as roost:
        await roost.enqueue(SmallEngine.engine_id, {"steps": 1}, any_engine=True)
        (enqueued,) = await roost.events()
        began = time.time()
        with processes.worker(*_PLUGIN):
            async with asyncio.timeout(_PATIENCE):
                async for event in roost.follow(after=enqueued.event_id):
                    if event.kind == "committed":
                        return event.at.timestamp() - began
    raise RuntimeError("the events ended")


def run(bench: Bench) -> dict[str, Any]:
    """Measure all of it; the result is plain JSON."""
    found: dict[str, Any] = {}
    for name, part in (
        ("commands_per_second", commands),
        ("cpu_us_per_second", cpu),
        ("import_ms", imports),
        ("status_ms", status),
        ("memory_bytes", memory),
        ("start_to_first_step_ms", start),
    ):
        bench.say(f"{name.replace('_', ' ')} …")
        found[name] = part(bench)
    return found


@click.command()
@options(quick="Fewer and shorter samples.")
def main(common: Options) -> None:
    """Measure an idle worker, imports, `roost status`, memory, and the start of a worker."""
    with common.server() as (bench, around):
        found = run(bench)
    _show(found, around)
    common.write({**around, "idle": found})


def _show(found: Mapping[str, Any], around: Mapping[str, Any]) -> None:
    table = Table()
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("beyond Python alone", justify="right")
    sent, cpu_us = found["commands_per_second"], found["cpu_us_per_second"]
    table.add_row("idle worker: commands sent", f"{sent['sent']:.2f} /s")
    table.add_row("idle worker: commands in scripts", f"{sent['in_scripts']:.2f} /s")
    table.add_row("idle worker: CPU", f"{cpu_us['worker']:,.0f} µs/s")
    table.add_row("server beside it: CPU", f"{cpu_us['server']:,.0f} µs/s")
    table.add_row("server alone: CPU", f"{cpu_us['server_alone']:,.0f} µs/s", end_section=True)
    for what, times in (("import", found["import_ms"]), ("run", found["status_ms"])):
        for name, value in times.items():
            label = name if name == _NOTHING else f"{what} {name}"
            table.add_row(label, f"{value:.1f} ms", f"{value - times[_NOTHING]:+.1f} ms")
    table.add_row(
        "`roost worker` to its first accepted step",
        f"{found['start_to_first_step_ms']:.0f} ms",
        end_section=True,
    )
    alone = found["memory_bytes"].get(_NOTHING, {"now": float("nan")})["now"]
    for name, value in found["memory_bytes"].items():
        label = name if name == _NOTHING else f"worker {name}"
        table.add_row(
            f"memory: {label}",
            f"{value['now'] / 1e6:.1f} MB, peak {value['peak'] / 1e6:.1f}",
            f"{(value['now'] - alone) / 1e6:+.1f} MB",
        )
    console = wide_console()
    console.print(table)
    show_surroundings(console, around)


if __name__ == "__main__":
    main()
