"""``roost worker``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from roost_core.cli import output
from roost_core.cli.app import INTERRUPTED
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.client import Roost
from roost_core.errors import UnknownEngine
from roost_core.requests import unknown_engine
from roost_core.views import clean

if TYPE_CHECKING:
    from roost_core.worker import Worker

#: A worker's own settings, beside those that say where the data is.
_SETTINGS: Final = (
    "concurrency",
    "lease_ttl",
    "drain_timeout",
    "slice_steps",
    "slice_seconds",
    "retention",
    "dead_letter_retention",
    "workspace_source",
    "allow_private_addresses",
)


@click.command(
    "worker",
    cls=RoostCommand,
    short_help="Run a worker.",
    example=(
        "roost worker --engines watchlist --concurrency 20",
        "roost worker --plugin ./my_engine.py --burst",
    ),
)
@click.option(
    "--engines",
    default="all",
    show_default=True,
    metavar="A,B|all",
    help="Take the work of these engines only.",
)
@click.option("--burst", is_flag=True, help="Stop once nothing is ready.")
@click.option("--verbose", "-v", is_flag=True, help="Tell more about what happens.")
@click.option("--quiet", "-q", is_flag=True, help="Tell warnings and errors only.")
@roost_options(*_SETTINGS)
@click.pass_obj
def command(session: Session, engines: str, burst: bool, verbose: bool, quiet: bool) -> None:
    """Run a worker until it is told to stop.

    Ctrl-C or SIGTERM: it takes no new work and lets its steps end, for as long as
    the drain timeout. A second one cancels the steps now and gives their work
    back; neither counts as an attempt. A third ends the process at once.

    A worker does not start if a plugin is broken, and leaves work of engines that
    it lacks to others.
    """
    _log_to_stderr(verbose=verbose, quiet=quiet)
    offered = session.plugins(strict=True).engines()
    wanted = _wanted(engines, sorted(offered))

    from roost_core.worker import Worker

    async def serve(roost: Roost) -> None:
        worker = Worker(
            session.settings,
            roost.plugins,
            roost.backend,
            roost.store,
            engines=wanted,
            burst=burst,
        )
        with StopSignals(worker, session.settings.drain_timeout, is_quiet=quiet):
            if not quiet:
                click.echo(
                    f"worker {worker.worker_id} runs {', '.join(wanted)}; "
                    f"data: {roost.backend.description}",
                    err=True,
                )
            await worker.run()

    session.run(serve)


def _wanted(text: str, offered: Sequence[str]) -> list[str]:
    if not offered:
        raise UnknownEngine("no engine is installed: name one with --plugin, see `roost plugins`")
    if text.strip() == "all":
        return list(offered)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UnknownEngine("--engines names no engine: all, or names separated by commas")
    for name in names:
        if name not in offered:
            raise unknown_engine(name, offered, by="no loaded plugin offers")
    return names


class StopSignals:
    """SIGINT and SIGTERM while a worker runs: drain, then cancel, then leave at once."""

    def __init__(self, worker: Worker, drain_timeout: float, *, is_quiet: bool) -> None:
        self._worker = worker
        self._drain_timeout = drain_timeout
        self._is_quiet = is_quiet
        self._count = 0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._received)

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

    def _received(self) -> None:
        self._count += 1
        if self._count == 1:
            self._say_what_is_awaited(sorted(self._worker.running))
            self._worker.stop()
        elif self._count == 2:
            output.note("cancelling the steps; their work is given back. Once more leaves at once")
            self._worker.abort()
        else:
            os._exit(INTERRUPTED)

    def _say_what_is_awaited(self, running: Sequence[str]) -> None:
        if self._is_quiet:
            return
        if running:
            more = f" and {len(running) - 5} more" if len(running) > 5 else ""
            output.note(
                f"stopping; waiting up to {self._drain_timeout:g} s for the steps of "
                f"{', '.join(running[:5])}{more}. Once more cancels them now"
            )
        else:
            output.note("stopping; no step is running")


class _Formatter(logging.Formatter):
    """One line a record, safe for a terminal; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n".join(clean(one) for one in lines)


def _log_to_stderr(*, verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("roost").setLevel(level)
    # What the lanes' machinery has to say is about itself, not about the work.
    logging.getLogger("saq").setLevel(logging.DEBUG if verbose else logging.ERROR)
