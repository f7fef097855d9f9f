"""``roost ui``."""

from __future__ import annotations

import contextlib
import signal
import threading
import webbrowser
from collections.abc import Iterator
from types import FrameType

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_plugins.console.serving.console import serving
from roost_plugins.console.settings import Bind, ConsoleSettings


@click.command(
    "ui", cls=RoostCommand, example=("roost ui --open", "roost ui --port 9000 --read-only")
)
@click.option("--host", metavar="ADDRESS", help="Listen on this address. [127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help="Listen on this port; 0: any free one. [8766]",
)
@click.option("--read-only", is_flag=True, help="Show the work only; refuse all changes.")
@click.option(
    "--external-url", metavar="URL", help="What browsers use, where a proxy stands before it."
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser, too.")
@roost_options()
@click.pass_obj
def command(
    session: Session,
    host: str | None,
    port: int | None,
    read_only: bool,
    external_url: str | None,
    opens: bool,
) -> None:
    """Serve the console until Ctrl-C, and print its URL.

    The URL has a token that signs a browser in. It is new at each start, unless
    ROOST_CONSOLE_TOKEN is set. Whoever has it may do what you may do.
    """
    plugins = session.plugins()
    own = session.settings.of(ConsoleSettings)
    bind = Bind(host or own.bind.host, own.bind.port if port is None else port)
    if read_only:
        session.override("console_read_only", True)
    if external_url is not None:
        session.override("console_external_url", external_url)
    with _until_stopped() as stopped, serving(session.settings, plugins, bind) as console:
        click.echo(console.url)
        if console.why is not None:
            output.note(f"waiting for the server: {console.why}")
        if opens:
            webbrowser.open(console.url)
        stopped.wait()


@contextlib.contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
