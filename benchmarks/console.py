"""``python -m benchmarks.console``: pages and news beside many work items, streams, a long life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import attrs
import click

from benchmarks.measuring import asking, filling
from benchmarks.measuring.bench import Bench, Options, options
from benchmarks.measuring.consoles import Console, Page, console
from benchmarks.measuring.figures import middle
from benchmarks.measuring.server import running
from benchmarks.showing.table import show_surroundings, table, wide_console

_Rows = list[dict[str, Any]]
#: A page's time is the median of this many readings.
_READINGS: Final = 25
#: Events that are told, one after the other; between two of them a stream rests for a moment.
_TOLD: Final = 15
_REST: Final = 0.4
#: Streams that are open at the same time.
_STREAMS: Final = 50
#: Of all work this share is given up, one in fifty; but as many as a page looks at.
_FAILED: Final = 50
_FAILED_AT_LEAST: Final = 200
#: The long life: steps, and bytes of its last state.
_STEPS: Final = 20_000
_STATE: Final = 5_000_000
#: What another tab is shown that asks at the same time.
AGAIN: Final = "overview, in another tab"
#: What is searched for to the end, or as far as a page looks.
NOWHERE: Final = "work, a text that is nowhere"
_TEXT: Final = "nowhere"
#: Dead letters that have a text, of which there are more where there is more work.
_LIKE_IT: Final = "work, dead letters of an error"
#: How much longer pages may take beside more work, if it is not twice as long. Of a text that is
#: nowhere 5,000 work items are looked at; what has a text is read, up to 2,000.
BUDGETS: Final[Mapping[str, float | None]] = {NOWHERE: 7, _LIKE_IT: None}


@attrs.frozen
class Place:
    """A queue of some size, with a console.

    :ivar work_id: work in the middle of the line.
    """

    bench: Bench
    console: Console
    work_id: str


def pages(work_id: str) -> Mapping[str, str]:
    """Return the pages by name."""
    return {
        "overview": "/",
        AGAIN: "/",
        "work": "/work",
        "work, in line": "/work?q=state:queued",
        "work, of an engine": "/work?q=engine:bench",
        "work, of a state and an engine": "/work?q=state:sleeping+engine:bench",
        _LIKE_IT: "/work?q=state:failed+error:Broken",
        NOWHERE: f"/work?q={_TEXT}",
        "one work item, in the middle of the line": f"/work/{work_id}",
        "dead letters": "/failed",
        "events": "/events",
        "artifacts": "/artifacts",
        "workers": "/workers",
        "resources": "/resources",
        "plugins": "/plugins",
        "doctor, before it runs": "/doctor",
        "API: overview": "/api/v1/overview",
        "API: work": "/api/v1/work",
    }


@contextmanager
def places(bench: Bench, sizes: Sequence[int]) -> Iterator[list[Place]]:
    """Fill a server for each size, and start a console on each."""
    with ExitStack() as stack:
        found = []
        for size in sizes:
            one = bench
            if size != sizes[-1]:
                other = stack.enter_context(running(bench.server.program, bench.server.fsync))
                one = attrs.evolve(bench, server=other)
            one.server.clear()
            bench.say(f"{size:,} work items …")
            work_id = asyncio.run(_fill(one, size))
            streams = str(_STREAMS)
            found.append(Place(one, stack.enter_context(console(one, streams=streams)), work_id))
        yield found


async def _fill(bench: Bench, size: int) -> str:
    failed = max(_FAILED_AT_LEAST, size // _FAILED)
    async with bench.connect() as roost:
        await filling.add_failed(roost, failed)
    await asking.fill(bench, size - failed)
    async with bench.connect() as roost:
        (row,) = await roost.list("queued", limit=1, offset=size // 5)
        return row.meta.work_id


def compare(few: Place, many: Place, sizes: Sequence[int], readings: int = _READINGS) -> _Rows:
    """Read each page of both in turns.

    Times are medians. Ratios are those of the shortest times: other load only adds to them.
    """
    rows = []
    for name in pages(""):
        ways = [_way(one, name) for one in (few, many)]
        took: list[list[float]] = [[], []]
        bytes_of = [0, 0]
        # The first ones compile templates and load scripts.
        for number in range(readings + 3):
            for place, way in enumerate(ways):
                page = way()
                bytes_of[place] = page.size
                if number >= 3:
                    took[place].append(1000 * page.seconds)
        sent = [_counted(one, way) for one, way in zip((few, many), ways, strict=True)]
        row: dict[str, Any] = {"page": name}
        for size, times in zip(sizes, took, strict=True):
            row[f"{size:,}, ms"] = middle(times)
        row["ratio"] = min(took[1]) / min(took[0])
        row["KB"] = [one / 1000 for one in bytes_of]
        row["sent"] = [one[0] for one in sent]
        row["in_scripts"] = [one[1] for one in sent]
        rows.append(row)
    return rows


def _way(place: Place, name: str) -> Callable[[], Page]:
    """Return what reads a page."""
    path = pages(place.work_id)[name]
    if name != AGAIN:
        return partial(place.console.page, path)

    def again() -> Page:
        place.console.again(path)
        return place.console.again(path)

    return again


def _counted(place: Place, way: Callable[[], Page]) -> tuple[int, int]:
    way()
    with place.bench.server.commands() as count:
        way()
        time.sleep(0.05)  # what the server shows of its last commands
    return count.sent, count.in_scripts


def news(few: Place, many: Place, sizes: Sequence[int], told: int = _TOLD) -> _Rows:
    """Measure how long it takes from an event to its message, and until a stream begins."""
    late = asyncio.run(_told(few, many, told))
    opened: list[list[float]] = [[], []]
    for _ in range(told):
        for times, one in zip(opened, (few, many), strict=True):
            began = time.perf_counter()
            with one.console.stream():
                times.append(1000 * (time.perf_counter() - began))
    rows = []
    for name, both in (("from an event to its message", late), ("until a stream begins", opened)):
        row = {f"{size:,}, ms": middle(one) for size, one in zip(sizes, both, strict=True)}
        rows.append({"news": name, **row, "ratio": min(both[1]) / min(both[0])})
    return rows


async def _told(few: Place, many: Place, told: int) -> list[list[float]]:
    """Return how long each message took to come, for both in turns."""
    found: list[list[float]] = [[], []]
    async with AsyncExitStack() as stack:
        sides = []
        for one in (few, many):
            roost = await stack.enter_async_context(one.bench.connect())
            sides.append((roost, stack.enter_context(one.console.stream())))
        for _ in range(told):
            await asyncio.sleep(_REST)
            for samples, (roost, stream) in zip(found, sides, strict=True):
                began = time.perf_counter()
                item = await roost.enqueue("bench", delay_seconds=86_400, any_engine=True)
                while (await asyncio.to_thread(stream.next, "happened"))["work"] != item.work_id:
                    pass
                samples.append(1000 * (time.perf_counter() - began))
    return found


def crowd(place: Place, readings: int = _READINGS) -> _Rows:
    """Measure a page, and the process's memory, with no stream, with many, and after them."""

    def row(name: str) -> dict[str, Any]:
        took = 1000 * middle([place.console.page("/work").seconds for _ in range(readings)])
        return {"streams": name, "page of work, ms": took, "memory, MB": place.console.memory / 1e6}

    rows = [row("none")]
    with ExitStack() as stack:
        for _ in range(_STREAMS):
            stack.enter_context(place.console.stream())
        rows.append(row(f"{_STREAMS} open"))
    time.sleep(2)  # it notices within a second that they have gone
    rows.append(row("after them"))
    return rows


def long_life(place: Place, steps: int, readings: int = _READINGS) -> _Rows:
    """Open the page of work with many steps and a large state beside that of a small one."""
    place.bench.say(f"a life of {steps:,} steps …")
    lives = [
        (f"{number:,} steps, {name}", number, size)
        for name, size in (("300 bytes", 300), ("5 MB", _STATE))
        for number in (10, 1_000, steps)
    ]
    ids = asyncio.run(_live(place, lives))
    took: dict[str, list[float]] = {name: [] for name, *_ in lives}
    sizes: dict[str, int] = {}
    for number in range(readings + 3):
        for name, work_id in ids.items():
            page = place.console.page(f"/work/{work_id}")
            sizes[name] = page.size
            if number >= 3:
                took[name].append(1000 * page.seconds)
    small = min(next(iter(took.values())))
    rows = []
    for name, work_id in ids.items():
        sent, in_scripts = _counted(place, partial(place.console.page, f"/work/{work_id}"))
        rows.append(
            {
                "life": name,
                "ms": middle(took[name]),
                "ratio": min(took[name]) / small,
                "KB": sizes[name] / 1000,
                "sent": sent,
                "in_scripts": in_scripts,
            }
        )
    return rows


async def _live(place: Place, lives: Sequence[tuple[str, int, int]]) -> dict[str, str]:
    async with place.bench.connect() as roost:
        return {name: await filling.add_long_life(roost, *how) for name, *how in lives}


def run(bench: Bench, sizes: Sequence[int], readings: int = _READINGS) -> dict[str, Any]:
    """Measure all of it; the result is plain JSON."""
    with places(bench, sizes) as (few, many):
        bench.say("pages …")
        found: dict[str, Any] = {"pages": compare(few, many, sizes, readings)}
        bench.say("news …")
        found["news"] = news(few, many, sizes, 5 if bench.is_quick else _TOLD)
        found["lives"] = long_life(few, 2_000 if bench.is_quick else _STEPS, readings)
        bench.say("streams …")
        found["streams"] = crowd(many, readings)
    return found


@click.command()
@options(quick="Beside 1,000 and 10,000, with fewer readings.")
def main(common: Options) -> None:
    """Measure the console beside many work items, with many streams, and a long life."""
    sizes = (1_000, 10_000 if common.is_quick else 100_000)
    with common.server() as (bench, around):
        found = run(bench, sizes, 5 if common.is_quick else _READINGS)
    screen = wide_console()
    for name, rows in found.items():
        screen.print(table(name, rows))
    show_surroundings(screen, around)
    common.write({**around, **found})


if __name__ == "__main__":
    main()
