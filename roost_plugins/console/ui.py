"""``roost ui``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from roost_core.cli import output
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_plugins.console.opening import open_in_browser
from roost_plugins.console.serving.console import Console, serving
from roost_plugins.console.settings import Bind, ConsoleSettings, host_of, url_of
from roost_plugins.console.stopping import Stops

if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    # Older releases of click take no parameter here.
    _Type = click.ParamType


class _Read(_Type):
    """A value that is read as the setting of the same name is."""

    def __init__(self, name: str, parse: Callable[[Any], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return the value.

        :raises click.BadParameter: it cannot be read.
        """
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    "ui", cls=RoostCommand, example=("roost ui --open", "roost ui --port 9000 --read-only")
)
@click.option(
    "--host",
    type=_Read("address", host_of),
    metavar="ADDRESS",
    help="Listen on this address. [default: 127.0.0.1]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help="Listen on this port; 0: any free one. [default: 8766]",
)
@click.option("--read-only", is_flag=True, help="Show the work only; refuse all changes.")
@click.option(
    "--external-url",
    type=_Read("url", url_of),
    metavar="URL",
    help="The URL that browsers use, where a proxy stands before the console.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in a browser, too.")
@roost_options()
@click.pass_obj
def command(
    session: Session,
    host: str | None,
    port: int | None,
    read_only: bool,
    external_url: object,
    opens: bool,
) -> None:
    """Serve the console until Ctrl-C, and print its URL.

    The URL has a token that signs a browser in, new at each start. Whoever has it may do what you
    may do. A token of your own, in ROOST_CONSOLE_TOKEN, stays the same and is not printed.

    The console waits for a server that is away. It needs no worker, and stops none when it ends.
    """
    if read_only:
        session.override("console_read_only", True)
    if external_url is not None:
        session.override("console_external_url", external_url)
    plugins = session.plugins()
    own = session.settings.of(ConsoleSettings)
    bind = Bind(host or own.bind.host, own.bind.port if port is None else port)
    with Stops() as stops, serving(session.settings, plugins, bind) as console:
        _tell(console)
        if opens:
            open_in_browser(console.opening_url(), output.note)
        stops.wait()


def _tell(console: Console) -> None:
    click.echo(console.sign_in_url if console.is_own_token else console.place.url)
    if console.why is not None:
        output.note(f"waiting for the server: {console.why}")
    output.note("Ctrl-C ends the console; workers and their work do not need it")
