"""What the measuring commands share: their options, a server with a folder, and the JSON."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import click
from rich.console import Console

from benchmarks.measuring.figures import rounded
from benchmarks.measuring.harness import Job
from benchmarks.measuring.machine import surroundings
from benchmarks.measuring.nodes import Node, cluster
from benchmarks.measuring.processes import unwind_when_told
from benchmarks.measuring.server import Server, running
from benchmarks.measuring.working import settings_of
from roost_core import Roost

_FSYNC: Final = ("no", "everysec", "always")


@attrs.frozen
class Bench:
    """What a measurement gets: where, how much, and how to report progress."""

    server: Server
    folder: str
    is_quick: bool
    say: Callable[[str], None]

    def job(self, key: str, items: int, **fields: Any) -> Job:
        """Return a job on this server."""
        return Job(row=key, url=self.server.url, folder=self.folder, items=items, **fields)

    def connect(self, **more: Any) -> AbstractAsyncContextManager[Roost]:
        """Return a client of this server, not connected yet, with these settings."""
        return Roost.connect(settings_of(self.job("", 0), **more))


@attrs.frozen
class Options:
    """The options of every measuring command."""

    is_quick: bool
    fsync: str
    program: str | None
    json_path: Path | None

    @contextmanager
    def server(self) -> Iterator[tuple[Bench, dict[str, Any]]]:
        """Start a server, and record its surroundings; nothing of it is left behind."""
        with _folder() as folder, running(self.program, self.fsync) as server:
            yield Bench(server, folder, self.is_quick, _say), self._around(server)

    @contextmanager
    def cluster(self) -> Iterator[tuple[Bench, Sequence[Node], dict[str, Any]]]:
        """Start the nodes of a cluster, in the same way; the first one is in the bench."""
        with _folder() as folder, cluster(self.program, self.fsync) as nodes:
            around = {**self._around(nodes[0].server), "nodes": len(nodes)}
            yield Bench(nodes[0].server, folder, self.is_quick, _say), nodes, around

    def write(self, report: Mapping[str, Any]) -> None:
        """Write a report as JSON, if requested; figures keep their significant digits."""
        if self.json_path is not None:
            text = json.dumps(rounded(report), indent=1, ensure_ascii=False, allow_nan=False)
            self.json_path.write_text(text + "\n")

    def _around(self, server: Server) -> dict[str, Any]:
        return {**surroundings(server.version), "fsync": self.fsync}


def options(quick: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that every measuring command has; it gets them as its first argument.

    :param quick: what it leaves out with ``--quick``, for its help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(
            *, quick: bool, fsync: str, server: str | None, json_path: Path | None, **own: Any
        ) -> None:
            command(Options(quick, fsync, server, json_path), **own)

        path = click.Path(dir_okay=False, path_type=Path)
        for option in (
            click.option("--json", "json_path", type=path, help="Where to write the figures."),
            click.option("--server", help="The server program; the one that Roost runs if absent."),
            click.option(
                "--fsync",
                type=click.Choice(_FSYNC),
                default="everysec",
                show_default=True,
                help="When the append-only file reaches the disk.",
            ),
            click.option("--quick", is_flag=True, help=quick),
        ):
            called = option(called)
        return called

    return decorate


@contextmanager
def _folder() -> Iterator[str]:
    unwind_when_told()
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        yield folder


def _say(text: str) -> None:
    Console(stderr=True, highlight=False).print(text)
