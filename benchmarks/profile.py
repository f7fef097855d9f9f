"""``python -m benchmarks.profile``: where a step's time goes, in the worker and on the server."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.harness import ROOT, Clock
from benchmarks.measuring.working import Engine, serve
from benchmarks.showing.table import explain, show_modes, show_surroundings, wide_console

#: How work continues after a step: by its name, how many steps one claim may run.
_MODES: Final = {"chained": 50, "through the queue": 1}
#: CPU time between two samples of the stack. Seconds.
_EVERY: Final = 0.0007
#: Whose time it is: a frame's file, by its path in the clone. Innermost first, so what the
#: standard library does counts as its caller's time.
LAYERS: Final = {
    "benchmarks/measuring/working": "the engine itself",
    "roost_core/codec": "snapshots and items: JSON, models, checks",
    "roost_core/models": "snapshots and items: JSON, models, checks",
    "roost_core/stepping/acceptance": "snapshots and items: JSON, models, checks",
    "roost_core/stepping/leases": "keeping leases",
    "roost_core/": "stepping: context, hooks, what becomes of it",
    "roost_plugins/redis_saq/connection/": "the connection",
    "roost_plugins/redis_saq/lanes/": "claims and lanes, SAQ's part included",
    "roost_plugins/redis_saq/": "calls and answers",
}
_REST: Final = "the event loop"


def layer_of(frame: FrameType | None) -> str:
    """Return the layer whose time a stack's innermost frame spends."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT):
            name = path.relative_to(ROOT).as_posix()
            for start, layer in LAYERS.items():
                if name.startswith(start):
                    return layer
        frame = frame.f_back
    return _REST


class SamplingClock(Clock):
    """Samples the stack at even intervals of CPU time while the clock runs."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._stacks: Counter[str] = Counter()
        self._began = 0.0
        self._before: dict[str, Any] = {}
        self.found: list[dict[str, Any]] = []

    def start(self, **_: Any) -> None:
        """Start sampling."""
        self._before = self._server()
        signal.signal(signal.SIGPROF, self._look)
        self._began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def stop(self, steps: int, **_: Any) -> None:
        """Stop, and put the figures together."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        client_us = (time.process_time() - self._began) / steps * 1e6
        looks = sum(self._stacks.values())
        self.found = [
            _row("client", layer, client_us * count / looks, client_us)
            for layer, count in self._stacks.most_common()
        ]
        self.found += _server_rows(self._before, self._server(), steps)

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        self._stacks[layer_of(frame)] += 1

    def _server(self) -> dict[str, Any]:
        info: dict[str, Any] = self._bench.server.client.info("everything")
        return info


def _row(side: str, what: str, us: float, of: float, calls: float | None = None) -> dict[str, Any]:
    return {"side": side, "part": what, "us": us, "share": us / of, "calls": calls}


def _server_rows(
    before: Mapping[str, Any], after: Mapping[str, Any], steps: int
) -> list[dict[str, Any]]:
    """Break down the server's time for a step, by its own count."""

    def spent(name: str, field: str) -> float:
        earlier = before.get(name, {}).get(field, 0)
        return float(after.get(name, {}).get(field, 0) - earlier) / steps

    cpu = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    total = cpu / steps * 1e6
    scripts = spent("cmdstat_evalsha", "usec")
    inside = {
        name.removeprefix("cmdstat_").upper(): (spent(name, "usec"), spent(name, "calls"))
        for name in after
        if name.startswith("cmdstat_") and name not in ("cmdstat_evalsha", "cmdstat_info")
    }
    rows = [
        _row("server", f"in scripts: {name}", us, total, calls)
        for name, (us, calls) in sorted(inside.items(), key=lambda one: -one[1][0])
        if us >= total / 200
    ]
    lua = scripts - sum(us for us, _ in inside.values())
    calls = spent("cmdstat_evalsha", "calls")
    rows.append(_row("server", "in scripts: Lua itself, and arguments", lua, total, calls))
    rest = max(0.0, total - scripts)
    rows.append(_row("server", "protocol, append-only file, sockets", rest, total))
    return rows


def run(bench: Bench, seconds: float) -> list[dict[str, Any]]:
    """Profile both ways of continuing."""
    rows = []
    for mode, slice_steps in _MODES.items():
        bench.say(f"{mode} …")
        bench.server.clear()
        clock = SamplingClock(bench)
        job = bench.job("roost-chained", int(400 * seconds))
        asyncio.run(serve(job, clock, Engine(job, None), slice_steps))
        rows += [{"mode": mode, **one} for one in clock.found]
    return rows


@click.command()
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Of each way, about.")
@options(quick="Half a second of each.")
def main(told: Options, *, seconds: float) -> None:
    """Show where the microseconds of a step go."""
    with told.server() as (bench, around):
        rows = run(bench, 0.5 if bench.is_quick else seconds)
    console = wide_console()
    show_modes(console, "a step", rows)
    explain(
        console,
        "Client: CPU time, by where the stack is; sampling costs some, too. Server: its CPU time, "
        "and its own\ncount of the time in scripts and their commands, which includes waiting for "
        "a CPU.",
    )
    show_surroundings(console, around)
    told.write({**around, "profile": rows})


if __name__ == "__main__":
    main()
