"""What the samples say: figures per row and size, as a table and as JSON."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Sample, middle, spread
from benchmarks.rows import Row

_PACKAGES: Final = (
    "roost-runtime",
    "redis",
    "hiredis",
    "saq",
    "streaq",
    "dbos",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "celery",
)


#: The table's width, in characters.
_WIDTH: Final = 132


@attrs.frozen(kw_only=True)
class Figures:
    """One line: medians over the rounds. CPU in microseconds and bytes, all per step."""

    row: str
    title: str
    unit: str
    size: int | None
    rates: Sequence[float]
    rate: float
    rate_spread: float
    of_limit: float | None
    of_saq: float | None
    client_cpu_us: float
    server_cpu_us: float
    commands_sent: float | None
    commands_in_scripts: float | None
    aof_bytes: float
    durability: str


def figures(
    row: Row,
    size: int | None,
    samples: Sequence[Sample],
    limit: Sequence[Sample],
    saq: Sequence[Sample],
    commands: tuple[float, float] | None,
    fsync: str,
) -> Figures:
    """Condense one row's samples; ratios are taken round by round, before the median."""
    rates = [one.rate for one in samples]
    return Figures(
        row=row.key,
        title=row.title,
        unit=row.unit,
        size=size,
        rates=rates,
        rate=middle(rates),
        rate_spread=spread(rates),
        of_limit=_ratio(samples, limit),
        of_saq=_ratio(samples, saq),
        client_cpu_us=middle([one.client_cpu for one in samples]) * 1e6,
        server_cpu_us=middle([one.server_cpu for one in samples]) * 1e6,
        commands_sent=commands and commands[0],
        commands_in_scripts=commands and commands[1],
        aof_bytes=middle([one.aof_bytes for one in samples]),
        durability=row.durability.format(fsync=fsync),
    )


def _ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float | None:
    pairs = list(zip(samples, others, strict=False))
    return middle([one.rate / other.rate for one, other in pairs]) if pairs else None


def surroundings(server: str) -> dict[str, Any]:
    """Return versions and machine."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "server": server,
        "python": platform.python_version(),
        "versions": versions,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else "unknown"


def wide_console() -> Console:
    """Return a console that does not squeeze the table where it is not a terminal."""
    console = Console()
    return console if console.width >= _WIDTH else Console(width=_WIDTH)


def show(console: Console, around: Mapping[str, Any], lines: Sequence[Figures]) -> None:
    """Print a table for each size, and what all was measured with."""
    for size in sorted({line.size for line in lines if line.size is not None}):
        console.print(_table(size, [line for line in lines if line.size in (size, None)]))
    console.print("On record after each step:", style="dim")
    for title, durability in {line.title: line.durability for line in lines}.items():
        console.print(f"  {title}: {durability}", style="dim", highlight=False, soft_wrap=True)
    versions = ", ".join(f"{name} {version}" for name, version in around["versions"].items())
    console.print(
        f"{around['server']}, Python {around['python']}, {versions}\n"
        f"{around['cores']} cores, {around['cpu']}, {around['system']}; "
        f"load at the start {around['load'][0]}",
        style="dim",
        soft_wrap=True,
    )


def _table(size: int, lines: Sequence[Figures]) -> Table:
    table = Table(title=f"state of {size / 1000:g} KB", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("a second", "spread", "of limit", "of SAQ", "client µs", "server µs"):
        table.add_column(name, justify="right")
    for name in ("sent", "in scripts", "AOF bytes"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            line.title,
            f"{line.rate:,.0f}",
            f"{line.rate_spread:.0%}",
            _shown(line.of_limit),
            _shown(line.of_saq),
            f"{line.client_cpu_us:,.0f}",
            f"{line.server_cpu_us:,.0f}",
            _shown(line.commands_sent),
            _shown(line.commands_in_scripts),
            f"{line.aof_bytes:,.0f}",
        )
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
