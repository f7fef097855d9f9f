"""``roost demo``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, plugin_option
from roost_core.cli.session import Session
from roost_core.client.roost import Roost
from roost_core.errors import RoostError
from roost_core.models import Artifact, Event, State, WorkItem, WorkStatus
from roost_core.plugins.registry import Plugins
from roost_core.settings import Settings, without_settings
from roost_core.shown.redaction import clean
from roost_core.shown.sentences import sentence
from roost_plugins.watchlist.demo_page import CLAIM, DemoPage

#: The lease TTL of the demo's workers, in seconds: how long until a dead one's work is taken over.
LEASE_TTL: Final = 2.0
#: Recovery later than this after the kill breaks the promise: the TTL, 0.5 s, and slack for
#: machines on which the second worker takes its time to start.
RECOVERY_LIMIT: Final = LEASE_TTL + 4.0
#: The whole demo gives up after this many seconds.
TIME_LIMIT: Final = 120.0
#: Roost's own server ends soon after the demo.
_IDLE: Final = {"embedded_idle": 1.0}
_CHECKS: Final = 3
_DELAY_SECONDS: Final = 1.0
#: Colours of the 256: they are seen on a dark and on a white ground.
_KEPT: Final = 28
_BROKEN: Final = 196
#: The version that stands when the first worker is killed: init is 1, the first check 2.
_KILLED_AT: Final = 2


class PromiseBroken(RoostError):
    """The demo did not end as Roost promises."""


@attrs.frozen
class Stage:
    """Where the demo runs: a home folder, whether it is kept, and the plugins that were named."""

    home: Path
    plugins: Sequence[str]
    keep: bool = False


@attrs.define
class Story:
    """What the demo has seen."""

    events: list[Event] = attrs.field(factory=list)
    killed_at: float | None = None
    resumed_after: float | None = None

    def versions(self) -> list[int]:
        """Return the versions that were accepted, in order."""
        return [event.version for event in self.events if event.kind == "committed"]


@click.command(
    "demo",
    cls=RoostCommand,
    params=[plugin_option()],
    example=("roost demo",),
)
@click.option("--keep", is_flag=True, help="Keep the demo's folder, to look around.")
@click.pass_context
def command(ctx: click.Context, keep: bool) -> None:
    """See a worker die in the middle of a step, and its work continue. Needs no setup.

    A temporary folder, a server of Roost's own, a web page on this machine, and two workers: the
    first is killed while it fetches, the second continues from the last accepted step. Nothing is
    left behind. Exits with 1 if any of Roost's promises did not hold.
    """
    home = Path(tempfile.mkdtemp(prefix="roost-demo-"))
    try:
        asyncio.run(_interruptible(Stage(home, ctx.ensure_object(Session).explicit, keep)))
    except asyncio.CancelledError:
        ctx.exit(128 + signal.SIGTERM)
    finally:
        _clear(home, keep)


async def _interruptible(stage: Stage) -> None:
    task = asyncio.current_task()
    if task is not None:
        # Killed politely, the demo still cleans up.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await _play(stage)
    except TimeoutError as error:
        raise PromiseBroken(f"the demo was not done after {TIME_LIMIT:g} s") from error


async def _play(stage: Stage) -> None:
    plugins = Plugins.load(explicit=stage.plugins, strict=False)
    settings = Settings(home=stage.home, lease_ttl=LEASE_TTL, extra=_IDLE)
    story = Story()
    with DemoPage(hold=2) as page:
        async with Roost.connect(settings, plugins=plugins) as roost:
            _say(f"a home for this demo: {stage.home}")
            item = await roost.enqueue(
                "watchlist",
                {
                    "url": page.url,
                    "claim": CLAIM,
                    "checks_required": _CHECKS,
                    "delay_seconds": _DELAY_SECONDS,
                },
                title="Is the page still there?",
            )
            _say(f"enqueued {item.work_id}: look at {page.url} {_CHECKS} times")
            async with _told(roost, item, story):
                async with _worker(stage, "first") as first:
                    await _until_held(page, first, story)
                    _say("the first worker is in the middle of its second look: kill -9")
                    first.kill()
                    story.killed_at = time.monotonic()
                    await first.wait()
                page.release()
                async with _worker(stage, "second"):
                    status = await roost.work(item).wait(timeout=60)
            await _conclude(roost, status, story)
            _what_next(stage, status)


async def _until_held(page: DemoPage, worker: asyncio.subprocess.Process, story: Story) -> None:
    while not await asyncio.to_thread(page.held.wait, 0.2):
        if worker.returncode is not None:
            raise PromiseBroken(
                f"the first worker ended by itself with exit code {worker.returncode}"
            )
        if story.events and story.events[-1].state.is_terminal:
            raise PromiseBroken(
                f"the work ended without a second look at {page.url}: can this machine reach its "
                "own address 127.0.0.1?"
            )


def worker_command(stage: Stage) -> list[str]:
    """Return the command line of the demo's workers."""
    options = {
        "home": str(stage.home),
        "lease-ttl": str(LEASE_TTL),
        "drain-timeout": "5",
        "watchlist-allow-private-addresses": "yes",
    }
    return [
        # Without the current folder on the path, which may have anything in it.
        *(sys.executable, "-P", "-m", "roost_core.cli", "worker"),
        *("--engines", "watchlist", "--quiet"),
        *(f"--{key}={value}" for key, value in options.items()),
        *(f"--plugin={text}" for text in stage.plugins),
    ]


@contextlib.asynccontextmanager
async def _worker(stage: Stage, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker process, as a person would; it is gone on exit."""
    process = await asyncio.create_subprocess_exec(
        *worker_command(stage),
        # Other settings are not meant for the demo.
        env=without_settings(),
        stdin=asyncio.subprocess.DEVNULL,
        # Ctrl-C is for the demo, which stops its workers itself.
        start_new_session=True,
    )
    try:
        _say(f"the {name} worker is process {process.pid}")
        yield process
        await _end(process)
    except BaseException:
        # The demo is aborted: a drain would wait for a page that nobody serves any more.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
    await process.wait()


@contextlib.asynccontextmanager
async def _told(roost: Roost, item: WorkItem, story: Story) -> AsyncIterator[None]:
    """Print the work item's events as they come, and keep them."""

    async def tell() -> None:
        # From its first event on: the newest one before this must not be missed.
        for event in await roost.work(item).events():
            _tell(story, event)
        last = story.events[-1].event_id if story.events else None
        async with contextlib.aclosing(roost.work(item).follow(after=last)) as events:
            async for event in events:
                _tell(story, event)
                if event.state.is_terminal:
                    return

    task = asyncio.create_task(tell())
    try:
        yield
        async with asyncio.timeout(10):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _tell(story: Story, event: Event) -> None:
    story.events.append(event)
    # The claim of the step in flight may arrive after the kill: only one after the recovery is the
    # second worker's.
    was_recovered = any(one.kind == "recovered" for one in story.events)
    is_resumed = event.kind == "claimed" and was_recovered and story.resumed_after is None
    if is_resumed and story.killed_at is not None:
        story.resumed_after = time.monotonic() - story.killed_at
    click.echo(f"  {event.at:%H:%M:%S}  v{event.version}  {clean(sentence(event))}")


async def _conclude(roost: Roost, status: WorkStatus, story: Story) -> None:
    """Name the report, and print the promises; complain about those that did not hold."""
    artifact = _report(status)
    if artifact is not None:
        report = json.loads(await roost.artifact(artifact.artifact_id))
        _say(f"verdict: {report['verdict']}, after {report['checks_completed']} looks")
        click.echo(f"  the report with the evidence is artifact {artifact.artifact_id[:12]}…")
    _say("what Roost promises:")
    broken = [text for text, holds in _promises(status, story) if not _shown(text, holds)]
    if broken:
        raise PromiseBroken(f"{len(broken)} of the promises above did not hold")


def _report(status: WorkStatus) -> Artifact | None:
    is_done = status.meta.state is State.DONE
    artifacts = status.snapshot.artifacts if is_done and status.snapshot is not None else ()
    return artifacts[-1] if artifacts else None


def _what_next(stage: Stage, status: WorkStatus) -> None:
    """Print what people may try now."""
    artifact = _report(status)
    found = [
        ("roost new my-agent", "write an engine, with its test"),
        ("roost --help", "see all commands"),
    ]
    if not stage.keep:
        found.insert(0, ("roost demo --keep", "do it again, and look around in its folder"))
    elif artifact is not None:
        at = f"--home {stage.home}"
        found.insert(0, (f"roost status {status.meta.work_id} {at}", "see the work"))
        show = f"roost artifact-show {artifact.artifact_id} {at}"
        found.insert(1, (show, "see the report"))
    _say("what to try next:")
    for words, what in found:
        click.echo(f"  {words}  # {what}")


def _promises(status: WorkStatus, story: Story) -> Iterator[tuple[str, bool]]:
    meta = status.meta
    versions = story.versions()
    after = story.resumed_after
    yield f"the work is {meta.state}", meta.state is State.DONE
    yield (
        f"accepted versions {_listed(versions)}: no gap, no repeat",
        versions == list(range(1, _CHECKS + 2)),
    )
    resumed = _resumed_at(story.events)
    yield (
        f"the second worker continued from version {resumed}, the last one accepted",
        resumed == _KILLED_AT,
    )
    took = "never" if after is None else f"{after:.1f} s"
    yield (
        f"it took the work over {took} after the kill; a lease lasts {LEASE_TTL:g} s",
        after is not None and after < RECOVERY_LIMIT,
    )
    kinds = [event.kind for event in story.events]
    failed = kinds.count("attempt_failed")
    yield (
        f"the kill cost {failed} attempts and {kinds.count('recovered')} step, the one in flight",
        failed == 0 and kinds.count("recovered") == 1,
    )


def _resumed_at(events: Sequence[Event]) -> int | None:
    kinds = [event.kind for event in events]
    if "recovered" not in kinds:
        return None
    later = events[kinds.index("recovered") :]
    return next((event.version for event in later if event.kind == "claimed"), None)


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions)) or "none"


def _shown(text: str, holds: bool) -> bool:
    mark = click.style("kept", fg=_KEPT) if holds else click.style("BROKEN", fg=_BROKEN)
    click.echo(f"  {mark}  {text}", color=output.on_terminal())
    return holds


def _say(text: str) -> None:
    click.echo(click.style(clean(text), bold=True), color=output.on_terminal())


def _clear(home: Path, keep: bool) -> None:
    """Wait for the demo's server to end, and remove its folder."""
    if keep:
        output.note(f"kept {home}; remove it when you have seen it")
        return
    ends = time.monotonic() + 15
    # The server ends soon after its last user, and removes its socket.
    while _has_socket(home) and time.monotonic() < ends:
        time.sleep(0.05)
    shutil.rmtree(home, ignore_errors=True)
    if home.exists():
        output.note(f"could not remove all of {home}")


def _has_socket(home: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(path.is_socket() for path in home.rglob("*"))
    return False
