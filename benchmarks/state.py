"""``python -m benchmarks.state``: what large states cost, and what other encodings would save."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import click
from rich.console import Console
from rich.table import Table

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle
from benchmarks.measuring.harness import Job, Sample, measure
from benchmarks.probes.encodings import candidates, cost, json_cost, snapshots
from benchmarks.probes.states import KINDS, state_of
from benchmarks.showing.table import explain, show_surroundings, wide_console

#: Bytes of a snapshot's data.
_SIZES: Final = (300, 10_000, 100_000, 1_000_000)
_LANES: Final = (1, 10)
_STEPS: Final = 10
#: Steps of one sample at most, and the bytes that they may store.
_MOST_STEPS: Final = 2_000
_BYTES: Final = 60_000_000
_QUICK_BYTES: Final = 15_000_000
_ROUNDS: Final = 3
#: Consecutive snapshots that the encodings are measured with.
_CONSECUTIVE: Final = 5


def costs(bench: Bench) -> list[dict[str, Any]]:
    """Measure chained steps of each size, kind and number of lanes: medians over the rounds."""
    found: dict[tuple[str, int, int], list[Sample]] = defaultdict(list)
    rounds = 1 if bench.is_quick else _ROUNDS
    for number in range(rounds):
        for size in _SIZES:
            bench.say(f"round {number + 1} of {rounds}: {size / 1000:g} KB …")
            for kind in KINDS:
                for lanes in _LANES:
                    sample = measure(bench.server, _job(bench, kind, size, lanes))
                    found[kind, size, lanes].append(sample)
    return [
        {
            "kind": kind,
            "size": size,
            "lanes": lanes,
            "wall_us": middle([one.seconds / one.steps for one in samples]) * 1e6,
            "client_us": middle([one.client_cpu for one in samples]) * 1e6,
            "server_us": middle([one.server_cpu for one in samples]) * 1e6,
            "aof_bytes": middle([one.aof_bytes for one in samples]),
        }
        for (kind, size, lanes), samples in found.items()
    ]


def _job(bench: Bench, kind: str, size: int, lanes: int) -> Job:
    most = min(_MOST_STEPS, (_QUICK_BYTES if bench.is_quick else _BYTES) // size)
    return bench.job(
        "state",
        max(1, most // _STEPS // lanes) * lanes,
        steps=_STEPS,
        size=size,
        lanes=lanes,
        warm_items=lanes,
        extra={"kind": kind},
    )


def server_us_per_byte(found: Sequence[Mapping[str, Any]]) -> float:
    """Return what one more byte of state costs the server: a slope, from smallest to largest."""
    lines = [one for one in found if one["lanes"] == max(_LANES)]
    slopes = []
    for kind in KINDS:
        small, large = (
            choose((one for one in lines if one["kind"] == kind), key=lambda one: one["size"])
            for choose in (min, max)
        )
        slopes.append((large["server_us"] - small["server_us"]) / (large["size"] - small["size"]))
    return middle(slopes)


def encodings(bench: Bench, us_per_byte: float) -> list[dict[str, Any]]:
    """Measure the candidates by themselves, and weigh their CPU against the server's."""
    lines = []
    for size in _SIZES:
        bench.say(f"encodings of {size / 1000:g} KB …")
        for kind in KINDS:
            stored = snapshots(state_of(kind, size, _CONSECUTIVE), _CONSECUTIVE)
            plain = json_cost(stored)
            lines.append({"kind": kind, "size": size, **attrs.asdict(plain)})
            for candidate in candidates():
                one = cost(candidate, stored)
                saved = plain.bytes - one.bytes
                spent, spared = one.encode_us + one.decode_us, saved * us_per_byte
                lines.append(
                    {
                        "kind": kind,
                        "size": size,
                        **attrs.asdict(one),
                        "saved_bytes": saved,
                        "saved_server_us": spared,
                        "client_us_per_server_us": spent / spared if spared > 0 else None,
                    }
                )
    return lines


def run(bench: Bench) -> dict[str, Any]:
    """Measure all of it; the result is plain JSON."""
    found = costs(bench)
    us_per_byte = server_us_per_byte(found)
    return {
        "costs": found,
        "server_us_per_byte": us_per_byte,
        "encodings": encodings(bench, us_per_byte),
    }


@click.command()
@options(quick="One round of short samples.")
def main(common: Options) -> None:
    """Measure chained steps with states of 0.3 KB to 1 MB, and candidates for sending less."""
    with common.server() as (bench, around):
        found = run(bench)
    console = wide_console()
    console.print(_cost_table(found["costs"]))
    for size in _SIZES:
        console.print(_encoding_table(size, found["encodings"]))
    _explain(console, found["server_us_per_byte"])
    show_surroundings(console, around)
    common.write({**around, "state": found})


def _cost_table(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="a chained step", title_justify="left")
    table.add_column("state")
    for name in ("lanes", "wall µs", "client µs", "server µs", "AOF bytes"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            f"{one['size'] / 1000:g} KB, {one['kind']}",
            str(one["lanes"]),
            *(f"{one[name]:,.0f}" for name in ("wall_us", "client_us", "server_us", "aof_bytes")),
        )
    return table


def _encoding_table(size: int, found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"encodings of {size / 1000:g} KB, for a step", title_justify="left")
    table.add_column("")
    for name in ("bytes", "saved", "encode µs", "decode µs", "server µs saved", "client/server"):
        table.add_column(name, justify="right")
    for kind in KINDS:
        for one in found:
            if (one["kind"], one["size"]) != (kind, size):
                continue
            saved, spared, ratio = "", "", ""
            if "saved_bytes" in one:
                saved = f"{one['saved_bytes'] / (one['saved_bytes'] + one['bytes']):.0%}"
                spared = f"{one['saved_server_us']:,.1f}"
                weight = one["client_us_per_server_us"]
                ratio = "never" if weight is None else f"{weight:,.1f}"
            table.add_row(
                f"{kind}: {one['name']}",
                f"{one['bytes']:,.0f}",
                saved,
                f"{one['encode_us']:,.1f}",
                f"{one['decode_us']:,.1f}",
                spared,
                ratio,
            )
        table.add_section()
    return table


def _explain(console: Console, us_per_byte: float) -> None:
    explain(
        console,
        f"server, measured: {us_per_byte * 1000:.2f} µs a KB of state. client/server: µs of the "
        "client for encoding and decoding, for each µs that the server is spared; below 1 it "
        "costs less than it saves. Candidates come on top of the JSON's cost in each first line.",
    )


if __name__ == "__main__":
    main()
