"""``roost overview`` on a terminal: one screen, as long as there is something to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from roost_core.cli import colours
from roost_core.cli.look.columns import Column, draw
from roost_core.cli.look.styles import plain
from roost_core.models.overview import (
    FailureGroup,
    OddThing,
    Overview,
    ResourceNow,
    WaitingGroup,
    WorkerNow,
)
from roost_core.models.work import State
from roost_core.shown.counts import told_counts
from roost_core.shown.spans import ago, ahead, span

_One = TypeVar("_One")

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Of each part, this many are shown; JSON has more.
_MOST: Final = 10
#: Columns before the bars, and behind them.
_NAME_WIDTH: Final = 10
_WORKERS: Final = (
    Column("worker"),
    Column("lanes", is_right=True),
    Column("does", least=16),
    Column("trouble", rank=1),
)
_RESOURCES: Final = (
    Column("resource", least=12),
    Column("waiting", is_right=True),
    Column("held by", least=10),
    Column("frees", rank=1),
    Column("next", least=8, rank=2),
)


def show(console: Console, found: Overview) -> None:
    """Print an overview."""
    console.print(_verdict(found))
    console.print(Text(told_counts(found.counts)))
    for line in _hour(found, console.width):
        console.print(line, no_wrap=True, overflow="ellipsis")
    _part(console, "dead letters", found.failures, found.more_failures, _failure(found.now))
    if not found.is_indexed:
        console.print(plain("  there are more: roost doctor --repair completes the index", "dim"))
    _part(console, "odd", found.odd, 0, _odd)
    _part(console, "waits", found.waiting, 0, _waiting)
    if found.workers:
        _title(console, "workers")
        draw(console, _WORKERS, [_worker(one) for one in found.workers[:_MOST]])
        _more(console, found.workers, found.more_workers)
    if found.resources:
        _title(console, "resources")
        draw(console, _RESOURCES, [_resource(one, found.now) for one in found.resources[:_MOST]])
        _more(console, found.resources, found.more_resources)


def _verdict(found: Overview) -> Text:
    if found.is_well:
        return Text("all is well", f"bold {colours.GOOD}")
    parts = []
    if found.failures:
        dead = found.counts.get(State.FAILED, 0)
        parts.append(f"{dead} dead letter{'' if dead == 1 else 's'}")
    if found.odd:
        parts.append(f"{len(found.odd)} odd")
    if found.needs_hand:
        parts.append(f"{sum(one.count for one in found.needs_hand)} cannot run")
    return Text(f"needs you: {', '.join(parts)}", colours.VERY_BAD)


# -- the hour ----------------------------------------------------------------------------------


def _hour(found: Overview, width: int) -> Iterator[Text]:
    if not found.hour:
        return
    steps = [one.steps for one in found.hour]
    failed = [one.failed_attempts for one in found.hour]
    dead = sum(one.dead_letters for one in found.hour)
    room = max(10, width - _NAME_WIDTH - 8)
    yield _bars("steps", steps, room, colours.BUSY)
    if any(failed) or dead:
        yield _bars("failures", failed, room, colours.WARNING)


def _bars(name: str, counts: Sequence[int], room: int, style: str) -> Text:
    most = max(counts, default=0)
    line = Text(f"{name:<{_NAME_WIDTH}}", "dim")
    for is_some, some in groupby(counts[-room:], bool):
        bars = "".join(_bar(count, most) for count in some)
        line.append(bars, style if is_some else "dim")
    return line.append(f" {sum(counts):,}")


def _bar(count: int, most: int) -> str:
    # What is there at all is higher than nothing.
    return _BARS[max(1, -(-count * len(_BARS) // most) - 1)] if count else _BARS[0]


# -- parts -------------------------------------------------------------------------------------


def _title(console: Console, name: str) -> None:
    console.print()
    console.print(Text(name, "bold"))


def _more(console: Console, all_of_it: Sequence[object], more: int) -> None:
    count = max(0, len(all_of_it) - _MOST) + more
    if count:
        console.print(Text(f"and {count} more: roost overview --json", "dim"))


def _part(
    console: Console,
    name: str,
    all_of_it: Sequence[_One],
    more: int,
    say: Callable[[_One], tuple[str, Text, Sequence[str]]],
) -> None:
    """Print a part: a word, a sentence, and commands below it, for each."""
    if not all_of_it:
        return
    _title(console, name)
    for one in all_of_it[:_MOST]:
        word, sentence, commands = say(one)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(no_wrap=True, min_width=6, justify="right")
        row.add_column(overflow="fold")
        row.add_row(plain(word, "bold"), sentence)
        console.print(row)
        for command in commands:
            console.print(plain(f"        {command}", "dim"), soft_wrap=True)
    _more(console, all_of_it, more)


def _failure(now: datetime) -> Callable[[FailureGroup], tuple[str, Text, Sequence[str]]]:
    def say(one: FailureGroup) -> tuple[str, Text, Sequence[str]]:
        sentence = plain(one.text, colours.BAD)
        sentence.append_text(plain(f"  {', '.join(one.engines)}, {ago(one.newest_at, now)}", "dim"))
        return f"{one.count:,}", sentence, (one.command,)

    return say


def _odd(one: OddThing) -> tuple[str, Text, Sequence[str]]:
    return (
        one.work_id or one.worker_id or "?",
        plain("; ".join(one.texts), colours.WARNING),
        (one.command,),
    )


def _waiting(one: WaitingGroup) -> tuple[str, Text, Sequence[str]]:
    return f"{one.count:,}", plain(one.sentence), one.commands


def _worker(one: WorkerNow) -> list[Text | None]:
    does = "idle"
    if one.running:
        first = one.running[0]
        took = "" if first.step_seconds is None else f", {span(first.step_seconds)}"
        does = f"{first.title or first.work_id} v{first.version}{took}"
        if one.lanes_used > 1:
            does += f" and {one.lanes_used - 1} more"
    trouble = None
    style = colours.VERY_BAD if one.is_hung else colours.WARNING
    if one.is_hung:
        trouble = "hangs"
    elif one.silent_seconds is not None:
        trouble = f"silent {span(one.silent_seconds)}"
    elif one.is_behind:
        trouble = f"older: {one.info.roost_version}"
    return [
        plain(one.info.worker_id, "bold"),
        plain(f"{one.lanes_used}/{one.info.concurrency}", colours.BUSY if one.lanes_used else ""),
        plain(does, "" if one.running else "dim"),
        None if trouble is None else plain(trouble, style),
    ]


def _resource(one: ResourceNow, now: datetime) -> list[Text | None]:
    frees = None if one.frees_at is None else ahead(one.frees_at, now)
    return [
        plain(one.resource),
        plain(one.waiting, colours.WARNING if one.waiting else "dim"),
        plain(one.work_id or "nobody, reserved"),
        None if frees is None else plain("overdue" if frees == "now" else frees),
        None if one.next_id is None else plain(one.next_id),
    ]
