"""``roost worker``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from roost_core.cli.operate.waiting import connected
from roost_core.cli.operate.worker_log import WorkerLog
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.signals import LEFT_BEHIND
from roost_core.cli.stderr import Stderr
from roost_core.client.requests import unknown_engine
from roost_core.client.roost import Roost
from roost_core.errors import UnknownEngine
from roost_core.models.work import State
from roost_core.settings.declaring import On

_queue_option = click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Serve this queue. Repeatable: queues with a backlog get equal shares of the "
    "lanes. [ROOST_QUEUE; default default]",
)

_LOG: Final = (
    click.option(
        "--verbose",
        "-v",
        count=True,
        help="Log more about what happens; twice: SAQ's own log, too.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="Log only warnings and errors."),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        metavar="text|json",
        help="How the log is written: text, or one JSON object per line.",
    ),
)


_F = TypeVar("_F", bound=Callable[..., Any])


def log_options(function: _F) -> _F:
    """Add the options about the log."""
    for option in reversed(_LOG):
        function = option(function)
    return function


@click.command(
    "worker",
    cls=RoostCommand,
    example=(
        "roost worker --engines watchlist --concurrency 20",
        "roost worker --plugin ./my_engine.py --burst",
        "roost worker --queue mail --queue reports",
    ),
)
@click.option(
    "--engines",
    default="all",
    show_default=True,
    metavar="A,B|all",
    help="Take work for these engines only.",
)
@_queue_option
@click.option("--burst", is_flag=True, help="Stop once nothing is ready.")
@log_options
@roost_options(On.WORKER, but=("queue",))
@click.pass_obj
def command(
    session: Session,
    engines: str,
    queues: tuple[str, ...],
    burst: bool,
    verbose: int,
    quiet: bool,
    log_format: str,
) -> None:
    """Run a worker until it is told to stop.

    After Ctrl-C, SIGTERM, SIGHUP or SIGQUIT it takes no new work and lets its steps
    end, within the drain timeout. A second signal cancels the steps now and gives
    their work back; neither counts as an attempt. A third ends the process at once.

    A worker whose server cannot be reached waits for it, unless waiting cannot help:
    the login is refused, or TLS does not match.

    A worker does not start if a plugin is broken, and leaves work for engines that
    it lacks to others.

    With several queues it serves each of them: those with a backlog get equal shares
    of its lanes. All other commands act on one queue.

    Standard error has a line for each step, and for each failure; a second with more than 20 of
    them has one line for all. On a terminal the last line tells what runs, waits and is done.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet: one or the other")
    log = WorkerLog(Stderr(), -1 if quiet else verbose, log_format == "json")
    try:
        _run(session, log, engines, queues, burst=burst)
    finally:
        log.close()


def _run(
    session: Session, log: WorkerLog, engines: str, queues: Sequence[str], *, burst: bool
) -> None:
    log.open()
    signals = session.signals
    signals.say_with(log.say, is_quiet=log.verbosity < 0)
    offered = session.plugins(strict=True).engines()
    wanted = _wanted(engines, sorted(offered))
    names = _queues(session, queues)
    session.before_work()

    from roost_core.stepping import loops
    from roost_core.worker import Worker

    async def serve(roost: Roost) -> int:
        outcomes = log.outcomes()
        worker = Worker(
            session.settings,
            roost.plugins,
            roost.server,
            roost.store,
            queues=names,
            engines=wanted,
            burst=burst,
            listener=outcomes,
        )
        log.begin(worker.worker_id, wanted, _place(roost, names))
        signals.attach(worker, asyncio.get_running_loop(), session.settings.drain_timeout)
        exit_code = 1

        async def counts() -> Sequence[Mapping[State, int]]:
            return [await roost.server.ledger(name).counts() for name in names]

        try:
            async with log.footer(lambda: len(worker.running), counts, outcomes):
                await worker.run()
            exit_code = LEFT_BEHIND if worker.running else 0
        finally:
            signals.leaving(exit_code)
        return exit_code

    async def serve_when_there() -> int:
        async with await connected(session) as roost:
            return await serve(roost)

    if exit_code := loops.run(serve_when_there()):
        raise SystemExit(exit_code)


def _place(roost: Roost, names: Sequence[str]) -> str:
    """Return where the data of the queues is."""
    if len(names) == 1:
        return roost.server.ledger(names[0]).description
    return f"{roost.server.description}, queues {', '.join(names)}"


def _queues(session: Session, given: Sequence[str]) -> list[str]:
    """Return the names of the queues, each once; the setting if none is given.

    :raises SettingsError: one cannot be a name.
    """
    names = []
    for name in reversed(given):
        # Read like the setting; the first one stays set, for code that wants one queue.
        session.override("queue", name)
        names.append(session.settings.queue)
    return list(dict.fromkeys(reversed(names))) or [session.settings.queue]


def _wanted(text: str, offered: Sequence[str]) -> list[str]:
    if not offered:
        raise UnknownEngine("no engine is installed: name one with --plugin, see `roost plugins`")
    if text.strip() == "all":
        return list(offered)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UnknownEngine("--engines names no engine: give all, or names separated by commas")
    for name in names:
        if name not in offered:
            raise unknown_engine(name, offered, by="no loaded plugin offers")
    return names
