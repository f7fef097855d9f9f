"""``roost diff``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from roost_core.cli import output
from roost_core.cli.arguments import VERSION_TYPE, WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.naming import with_full_id
from roost_core.client.comparing import Comparison
from roost_core.client.roost import Roost
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.shown.differences import MOST_LINES, Line, hidden_patch, lines
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import clean, redacted
from roost_core.shown.sizes import size
from roost_core.shown.spans import span
from roost_core.values import Json

#: Elsewhere than on a terminal nothing is summed up, and no line cut that a person could read.
_WIDE: Final = 10_000
_ALL: Final = 1_000_000_000


@click.command(
    "diff",
    cls=RoostCommand,
    example=(
        "roost diff w-0123456789abcdef",
        "roost diff w-0123456789abcdef 3 7",
        "roost diff w-0123456789abcdef 3 --json | jq .patch",
    ),
)
@click.argument("work_id", type=WORK_ID_TYPE)
@click.argument("old", type=VERSION_TYPE, metavar="[V1]", required=False)
@click.argument("new", type=VERSION_TYPE, metavar="[V2]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--reveal", is_flag=True, help="Show fields named like secrets, too.")
@roost_options()
@click.pass_obj
def command(
    session: Session, work_id: str, old: int | None, new: int | None, as_json: bool, reveal: bool
) -> None:
    """Show how two versions of a work item's snapshot differ.

    Without versions, what the newest has changed; with one, all that has changed since; with two,
    what leads from the first to the second, also backwards. `roost history` lists them.

    Each line is a place in the data, as a JSON pointer: + what is new, - what is gone, ~ what has
    another value. A terminal cuts long ones. Step, delay and artifacts follow if they differ, too.

    The JSON object has "old" and "new", the snapshots without their data, and "patch": operations
    (RFC 6902) that turn the data of the one into that of the other. Fields named like secrets are
    hidden unless you add --reveal; "is_whole" tells whether the patch has everything.
    """
    found: Comparison = session.read(
        lambda roost: with_full_id(roost, work_id, lambda full: _compared(roost, full, old, new))
    )
    if as_json:
        output.json_line(_json(found, is_revealed=reveal), indent=2)
        return
    if not output.on_terminal():
        click.echo(_heading(found))
        for line in _lines(found, _WIDE, _ALL, is_revealed=reveal):
            click.echo(f"{line.mark} {line.text}".lstrip())
        return
    from roost_core.cli.look.versions import show_lines

    console = output.console()
    shown = _lines(found, console.width, MOST_LINES, is_revealed=reveal)
    show_lines(console, _heading(found), shown)


async def _compared(roost: Roost, full: str, old: int | None, new: int | None) -> Comparison:
    return await roost.work(full).diff(old, new)


def _heading(found: Comparison) -> str:
    old, new = found.old.version, found.new.version
    backwards = f" (backwards: {old} is the later one)" if old > new else ""
    return f"{found.work_id} version {old} → {new}{backwards}"


def _lines(found: Comparison, width: int, most: int, *, is_revealed: bool) -> Iterator[Line]:
    yield from lines(found.differences, width, is_revealed=is_revealed, most=most)
    if found.old.version == found.new.version:
        yield Line("", "it is the same version twice")
    elif not found.differences:
        yield Line("", "the data is the same")
    yield from others(found)


def others(found: Comparison) -> Iterator[Line]:
    """Yield what differs besides the data. What it is called begins with no slash."""
    old, new = found.old, found.new
    for name, before, after in (
        ("step", _quoted(old.step), _quoted(new.step)),
        ("finished", _yes(old), _yes(new)),
        ("next step", _delay(old), _delay(new)),
    ):
        if before != after:
            yield Line("~", f"{name}  {before} → {after}")
    for mark, artifacts in (("-", found.artifacts_removed), ("+", found.artifacts_added)):
        for one in artifacts:
            yield Line(mark, f"artifact  {_artifact(one)}")


def _quoted(step: str) -> str:
    return f'"{clean(step)}"'


def _yes(one: Snapshot) -> str:
    return "yes" if one.is_finished else "no"


def _delay(one: Snapshot) -> str:
    delay = one.next_step_delay_seconds
    return "at once" if delay is None else f"after {span(delay)}"


def _artifact(one: Artifact) -> str:
    name = one.name or one.artifact_id
    return f"{clean(name)}.{one.ext}, {size(one.size_bytes)}"


def _json(found: Comparison, *, is_revealed: bool) -> dict[str, Json]:
    patch = found.patch()
    shown = patch if is_revealed else hidden_patch(patch)
    return {
        "work_id": found.work_id,
        "old": _around(found.old),
        "new": _around(found.new),
        "patch": shown,
        "is_whole": shown == patch,
    }


def _around(one: Snapshot) -> Json:
    """Return a snapshot without its data, as plain JSON."""
    plain: dict[str, Json] = to_plain(one)
    del plain["data"]
    return redacted(plain)
