"""What the measuring commands share: their options, a server with a folder, and the JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click
from rich.console import Console

from benchmarks import server as server_module
from benchmarks.harness import Job
from benchmarks.server import Server
from benchmarks.table import surroundings

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FSYNC: Final = ("no", "everysec", "always")


@attrs.frozen
class Bench:
    """What a measurement is given: where, how much, and whom to tell how far it is."""

    server: Server
    folder: str
    is_quick: bool
    say: Callable[[str], None]

    def job(self, key: str, items: int, **fields: Any) -> Job:
        """Return a job on this server."""
        return Job(row=key, url=self.server.url, folder=self.folder, items=items, **fields)


def options(command: _Command) -> _Command:
    """Add the options that every measuring command has."""
    for option in (
        click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path)),
        click.option("--server", help="The server program; by default the one that Roost runs."),
        click.option("--fsync", type=click.Choice(_FSYNC), default="everysec"),
        click.option("--quick", is_flag=True, help="Fewer and shorter samples."),
    ):
        command = option(command)
    return command


@contextmanager
def opened(
    *, is_quick: bool, fsync: str, server: str | None
) -> Iterator[tuple[Bench, dict[str, Any]]]:
    """Start a server for a command, and gather its surroundings; nothing is left of it."""
    notes = Console(stderr=True, highlight=False)
    with (
        tempfile.TemporaryDirectory(prefix="rb-") as folder,
        server_module.running(server, fsync) as running,
    ):
        around = {**surroundings(running.version), "fsync": fsync}
        yield Bench(running, folder, is_quick, notes.print), around


def write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    """Write a report, if somebody wants it."""
    if path is not None:
        path.write_text(json.dumps(report, indent=2) + "\n")
