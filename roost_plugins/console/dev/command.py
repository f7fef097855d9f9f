"""``roost dev``."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click

from roost_core import Settings, SyncRoost
from roost_core.cli.operate.voice import Voice
from roost_core.cli.operate.worker import log_options
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.errors import BackendUnavailable, InvalidInput
from roost_core.plugins.registry import Plugins
from roost_core.settings import On
from roost_plugins.console.dev import running, targets
from roost_plugins.console.dev.greeting import Greeter
from roost_plugins.console.dev.process import Plan, WorkerProcess
from roost_plugins.console.dev.supervisor import Supervisor
from roost_plugins.console.dev.watching import Watcher
from roost_plugins.console.opening import open_in_browser
from roost_plugins.console.serving.console import Console, serving
from roost_plugins.console.settings import Bind, ConsoleSettings

#: Roost's own server, if it is started here, ends this soon after its last user. Seconds.
_IDLE_SECONDS: Final = 2.0
#: How many ports are tried, from the first on.
_PORTS: Final = 50


@attrs.frozen
class Wish:
    """What the command line says about the worker and the console, apart from settings."""

    names: tuple[str, ...]
    engines: str
    queues: tuple[str, ...]
    verbose: int
    quiet: bool
    log_format: str
    port: int | None
    has_console: bool
    opens: bool
    remote: bool


_OPTIONS: Final[list[click.Parameter]] = [
    click.Argument(["names"], metavar="[FILE|FOLDER|PLUGIN]...", nargs=-1),
    click.Option(["--open", "opens"], is_flag=True, help="Open the console in the browser, too."),
    click.Option(
        ["--port"],
        type=click.IntRange(0, 65_535),
        metavar="N",
        help="Port of the console; if it is taken, the next free one. 0: any. [default: 8766]",
    ),
    click.Option(["--no-console"], is_flag=True, help="Run the worker alone."),
    click.Option(
        ["--remote"],
        is_flag=True,
        help="Use the server that the settings name: without this only Roost's own is used.",
    ),
    click.Option(
        ["--engines"],
        default="all",
        show_default=True,
        metavar="A,B|all",
        help="Take work for these engines only.",
    ),
    click.Option(
        ["--queue", "queues"],
        multiple=True,
        metavar="NAME",
        help="Serve this queue; the console shows the first. Repeatable. "
        "[ROOST_QUEUE; default default]",
    ),
]


@click.command(
    "dev",
    cls=RoostCommand,
    params=_OPTIONS,
    example=("roost new my_agent && roost dev my_agent", "roost dev ./my_engine.py --open"),
)
@log_options
@roost_options(On.WORKER, but=("queue",))
@click.pass_obj
def command(session: Session, /, no_console: bool, **fields: Any) -> None:
    """Run an engine while you write it: a worker that follows its files, and the console.

    Names are those of --plugin: a .py file, a module or an installed plugin; or a folder with a
    pyproject.toml that has entry points, which need not be installed. Without a name it is the
    current folder's project, or else what is installed.

    When a file changes, the worker lets its steps end and a new one takes over. Code that cannot be
    loaded changes nothing: file and line are shown, the worker before continues, and the next save
    tries again. A worker that dies is started again, after a pause that grows.

    Ctrl-C ends all of it: steps in flight have 5 seconds, then their work is given back, which
    is not an attempt. A second Ctrl-C gives it back at once.

    A server that ROOST_REDIS_URL or another setting names is refused without --remote, so that
    code that is being written does not meet work in production.
    """
    wish = Wish(has_console=not no_console, **fields)
    if wish.verbose and wish.quiet:
        raise click.UsageError("--verbose and --quiet: one or the other")
    for name in wish.queues[:1]:
        session.override("queue", name)
    if code := _run(session, wish):
        raise SystemExit(code)


def _run(session: Session, wish: Wish) -> int:
    """Run until it is told to stop; return the exit code."""
    target = targets.find(wish.names)
    plugins = session.plugins(keep_going=True)
    settings = session.known_settings(plugins, embedded_idle=_IDLE_SECONDS)
    is_own = plugins.make_server(settings).is_started_here
    if not is_own and not wish.remote:
        raise InvalidInput(
            "the settings name a server, and `roost dev` runs code that is being written: add "
            "--remote if it may have that server's work, or unset ROOST_REDIS_URL for Roost's own"
        )
    voice = Voice("dev", is_json=wish.log_format == "json", is_quiet=wish.quiet)
    try:
        with _connected(settings, plugins, voice) as roost:
            kept = settings.home if is_own else None
            greeter = Greeter(voice, roost, session.given(is_shared=True), kept)
            with _console(settings, plugins, wish, voice):
                greeter.begin()
                return _follow(session, wish, target, greeter, voice)
    finally:
        voice.close()


def _follow(
    session: Session, wish: Wish, target: targets.Target, greeter: Greeter, voice: Voice
) -> int:
    """Run workers until it is told to stop."""
    settings = session.settings
    watcher = Watcher()
    watcher.keep(target.signatures(), target.folders)

    def spawn() -> WorkerProcess:
        # Anew each time: the project's file may have changed.
        found = targets.find(wish.names)
        watcher.keep(found.signatures(), found.folders)
        but = (str(Path(settings.home).absolute()),)
        words = _words(session, wish, found.plugins)
        return WorkerProcess(Plan(words, found.roots, but, settings.drain_timeout))

    def working(ready: running.Ready, has_changed: bool) -> None:
        greeter.working(ready.engines, ready.own, len(watcher), has_changed=has_changed)

    supervisor = Supervisor(
        spawn, watcher, voice, on_work=working, stuck_after=settings.stuck_after
    )
    return running.run(supervisor, voice)


def _words(session: Session, wish: Wish, plugins: Sequence[str]) -> list[str]:
    """Return the command line of the worker."""
    named = dict.fromkeys((*session.explicit, *plugins))
    return [
        "worker",
        *(f"--plugin={text}" for text in named),
        *session.given(),
        *(f"--queue={name}" for name in wish.queues[1:]),
        f"--engines={wish.engines}",
        f"--log-format={wish.log_format}",
        *(["--quiet"] if wish.quiet else ["--verbose"] * wish.verbose),
    ]


@contextlib.contextmanager
def _connected(settings: Settings, plugins: Plugins, voice: Voice) -> Iterator[SyncRoost | None]:
    """Connect; a server of somebody else may come later.

    :raises RoostError: waiting cannot help.
    """
    with contextlib.ExitStack() as stack:
        roost: SyncRoost | None = None
        try:
            roost = stack.enter_context(SyncRoost.connect(settings, plugins=plugins))
        except BackendUnavailable as error:
            if plugins.make_server(settings).is_started_here:
                raise
            voice.warn(f"waiting for the server: {error}", "unavailable")
        yield roost


@contextlib.contextmanager
def _console(
    settings: Settings, plugins: Plugins, wish: Wish, voice: Voice
) -> Iterator[Console | None]:
    """Serve the console, on the first port that is free."""
    if not wish.has_console:
        yield None
        return
    own = settings.of(ConsoleSettings).bind
    first = own.port if wish.port is None else wish.port
    with serving(settings, plugins, Bind(own.host, first), tries=_PORTS) as console:
        if console.place.port != first and first != 0:
            voice.warn(
                f"port {first} is taken: the console is on port {console.place.port}", "port_taken"
            )
        url = console.sign_in_url
        # A token of a person's own is theirs to keep.
        shown = url if console.is_own_token else console.place.url
        voice.console(shown)
        if wish.opens:
            open_in_browser(
                console.opening_url(), functools.partial(voice.warn, action="no_browser")
            )
        yield console
