"""``python -m benchmarks.growing``: what a state costs that grows or changes little, and history.

The states are those of ``probes/series.py``. Bytes are counted, times are ratios of what ran in
turns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
from rich.table import Table

from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.figures import middle
from benchmarks.measuring.harness import Sample, measure
from benchmarks.probes.keeping import VERSIONS, compare
from benchmarks.probes.series import KINDS, PICTURES
from benchmarks.showing import cells
from benchmarks.showing.table import explain, show_surroundings, wide_console

#: How many steps a lease has at most: by default, and if each goes through the queue.
_MODES: Final = {"chained": 50, "through the queue": 1}
_STEPS: Final = 1_000
#: Steps with a state of 1 MB.
_EDITS: Final = 60
#: From how many bytes on texts are kept in the artifact store, where they are.
_LEAST_TEXT: Final = 1 << 10
#: Small work items of a sample, and the steps of each.
_SMALL: Final = (40, 50)
#: How many steps of each kind of state are taken to compare ways of keeping them.
_COMPARED: Final = {
    "growing": 1_000,
    "edited": 100,
    "window": 200,
    "replaced": 100,
    "blob": 100,
    "small": 1_000,
}


def _sample(
    bench: Bench,
    kind: str,
    steps: int,
    slice_steps: int,
    *,
    items: int = 1,
    lanes: int = 1,
    wholes: bool = False,
    versions: int = VERSIONS,
    texts: int = 0,
) -> Sample:
    extra = {
        "kind": kind,
        "texts": texts,
        "slice_steps": slice_steps,
        "wholes": wholes,
        "versions": versions,
    }
    job = bench.job("growth", items, steps=steps, lanes=lanes, warm_items=1, extra=extra)
    return measure(bench.server, job)


def growth(bench: Bench) -> list[dict[str, Any]]:
    """Compare work whose state grows by 1 KB a step with work whose state stays at 1 KB."""
    steps, rounds = _STEPS, 1 if bench.is_quick else 5
    final = _bytes_of("growing", steps)
    rows = []
    for mode, slice_steps in _MODES.items():
        pairs = []
        for number in range(rounds):
            bench.say(f"{mode}: round {number + 1} of {rounds} …")
            kinds = ("growing", "constant")
            pairs.append([_sample(bench, kind, steps, slice_steps) for kind in kinds])
        grown = [one for one, _ in pairs]
        rows.append(
            {
                "mode": mode,
                "steps": steps,
                "final_bytes": final,
                "sent_of_final": middle([one.sent_bytes * steps / final for one in grown]),
                "aof_of_final": middle([one.aof_bytes * steps / final for one in grown]),
                "wall_of_constant": _ratio(pairs, lambda one: one.seconds),
                "client_of_constant": _ratio(pairs, lambda one: one.client_cpu),
                "server_of_constant": _ratio(pairs, lambda one: one.server_cpu),
                "wall_us": middle([one.seconds / one.steps for one in grown]) * 1e6,
            }
        )
    return rows


def edits(bench: Bench) -> dict[str, Any]:
    """Compare 1 MB of which a step changes 1 KB with the same, stored as a whole each time."""
    steps, rounds = (20, 1) if bench.is_quick else (_EDITS, 5)
    pairs = []
    for number in range(rounds):
        bench.say(f"1 MB, 1 KB changed: round {number + 1} of {rounds} …")
        both = (False, True)
        pairs.append([_sample(bench, "edited", steps, steps, wholes=one) for one in both])
    return {
        "state": "1 MB, 1 KB changed",
        "sent_of_wholes": _ratio(pairs, lambda one: one.sent_bytes),
        "written_of_wholes": _ratio(pairs, lambda one: one.aof_bytes),
        "client_of_wholes": _ratio(pairs, lambda one: one.client_cpu),
        "server_of_wholes": _ratio(pairs, lambda one: one.server_cpu),
        "wall_of_wholes": _ratio(pairs, lambda one: one.seconds),
    }


def texts(bench: Bench) -> list[dict[str, Any]]:
    """Compare large texts that are kept in the artifact store with the same in the server.

    Each step brings one.
    """
    steps, rounds = (20, 1) if bench.is_quick else (40, 5)
    rows = []
    for size in PICTURES:
        bench.say(f"pictures of {size} KB …")
        pairs, memory = [], []
        for _ in range(rounds):
            both = []
            for least in (_LEAST_TEXT, 0):
                both.append(_sample(bench, f"pictures of {size} KB", steps, steps, texts=least))
                memory.append(_memory(bench))
            pairs.append(both)
        rows.append(
            {
                "state": "a text in each step that was not there before",
                "text_kb": size,
                "wall_of_inside": _ratio(pairs, lambda one: one.seconds),
                "client_of_inside": _ratio(pairs, lambda one: one.client_cpu),
                "server_of_inside": _ratio(pairs, lambda one: one.server_cpu),
                "sent_of_inside": _ratio(pairs, lambda one: one.sent_bytes),
                "aof_of_inside": _ratio(pairs, lambda one: one.aof_bytes),
                "memory_of_inside": middle(
                    [memory[i] / memory[i + 1] for i in range(0, 2 * rounds, 2)]
                ),
                "wall_us": middle([one.seconds / one.steps for one, _ in pairs]) * 1e6,
            }
        )
    return rows


def small(bench: Bench) -> list[dict[str, Any]]:
    """Compare steps with a state of 400 bytes, with history and without."""
    items, steps = _SMALL
    rounds = 3 if bench.is_quick else 9
    rows = []
    for mode, slice_steps in _MODES.items():
        bench.say(f"400 bytes, {mode} …")
        pairs, bytes_each = [], []
        for _ in range(rounds):
            both = []
            for versions in (VERSIONS, 0):
                both.append(
                    _sample(
                        bench, "small", steps, slice_steps, items=items, lanes=10, versions=versions
                    )
                )
                bytes_each.append(_memory(bench))
            pairs.append(both)
        kept = items * steps
        more = [(bytes_each[i] - bytes_each[i + 1]) / kept for i in range(0, 2 * rounds, 2)]
        rows.append(
            {
                "mode": mode,
                "state": "400 bytes",
                "server_of_none": _ratio(pairs, lambda one: one.server_cpu),
                "client_of_none": _ratio(pairs, lambda one: one.client_cpu),
                "sent_of_none": _ratio(pairs, lambda one: one.sent_bytes),
                "aof_of_none": _ratio(pairs, lambda one: one.aof_bytes),
                "memory_of_a_version": middle(more),
            }
        )
    return rows


def _memory(bench: Bench) -> int:
    """Return the bytes of memory of all work items, as the server counts them."""
    client: Any = bench.server.client
    return sum(client.memory_usage(key, samples=0) for key in client.scan_iter("*:work"))


def ways(bench: Bench) -> list[dict[str, Any]]:
    """Compare what is built with other ways to keep a state and its versions."""
    rows = []
    for kind, steps in _COMPARED.items():
        bench.say(f"ways to keep a state: {kind} …")
        rows += compare(kind, max(VERSIONS, steps // 4) if bench.is_quick else steps)
    return rows


def _ratio(pairs: Sequence[Sequence[Sample]], of: Callable[[Sample], float]) -> float:
    """Return the median of the ratios, each of two that ran one after the other."""
    return middle([of(one) / of(other) for one, other in pairs])


def _bytes_of(kind: str, n: int) -> int:
    """Return how many bytes of JSON a state has after step ``n``."""
    return len(json.dumps(KINDS[kind]().at(n), separators=(",", ":")))


def run(bench: Bench) -> dict[str, Any]:
    """Measure all of it; the result is plain JSON."""
    return {
        "growth": growth(bench),
        "edited": [edits(bench)],
        "texts": texts(bench),
        "small": small(bench),
        "ways": ways(bench),
    }


@click.command()
@options(quick="Fewer rounds and steps.")
def main(common: Options) -> None:
    """Measure states that grow or change little, history, and other ways to keep versions."""
    with common.server() as (bench, around):
        found = run(bench)
    console = wide_console()
    console.print(_table("growing by 1 KB a step, of 1 KB that stays", found["growth"]))
    console.print(_table("1 MB with 1 KB changed, of wholes", found["edited"]))
    console.print(_table("a large text in each step, of texts in the server", found["texts"]))
    console.print(_table("400 bytes with history, of none", found["small"]))
    console.print(_table("ways to keep a state and its last versions", found["ways"]))
    explain(
        console,
        "Ratios are medians over pairs that ran one after the other. sent, written, claim and kept "
        "are bytes, by those of the final state; CPU is that of encoding and of the next step's "
        "copy, by that of wholes.",
    )
    show_surroundings(console, around)
    common.write({**around, "growing": found})


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        table.add_column(cells.head(name), justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(cells.cell(name, value) for name, value in row.items()))
    return table


if __name__ == "__main__":
    main()
