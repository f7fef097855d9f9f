"""``roost replay``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import click

from roost_core.cli import output
from roost_core.cli.arguments import VERSION_TYPE, WORK_ID_TYPE
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.carrying_out import can_be_asked
from roost_core.cli.work.files import json_from
from roost_core.cli.work.naming import with_whole_id
from roost_core.cli.work.timing import deadline_from, deadline_option
from roost_core.client.replaying import Edit, Replay, Replayed, why_not
from roost_core.client.roost import Roost
from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES
from roost_core.differences import Difference, assigned, parse_patch, patched
from roost_core.errors import RoostError
from roost_core.models.control import Actor
from roost_core.shown.differences import hidden_at, lines, without_hidden
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import clean
from roost_core.shown.versions import forgotten
from roost_core.values import Json

#: How many of the steps that ran before are named.
_STEPS: Final = 8
#: How many cells a difference is given where there is no terminal.
_WIDTH: Final = 100

_OPTIONS: Final = [
    click.Option(
        ["--from-version"],
        type=VERSION_TYPE,
        metavar="N",
        required=True,
        help="The version to begin with: see `roost history`.",
    ),
    click.Option(
        ["--edit"],
        metavar="PATCH|@FILE|-",
        help="Change the data first: a JSON patch (RFC 6902), with paths as `roost diff` prints "
        "them.",
    ),
    click.Option(
        ["-e", "assignments"],
        multiple=True,
        metavar="PATH=VALUE",
        help="Change one value of the data, after --edit: /verdict=null or todo.0=x. Repeatable.",
    ),
    click.Option(
        ["--in-place"],
        is_flag=True,
        help="Put the work itself back, instead of beginning new work. It must not be running.",
    ),
    click.Option(
        ["--work-id", "new_id"],
        type=WORK_ID_TYPE,
        metavar="ID",
        help="The id of the new work. [made]",
    ),
    deadline_option("In place: a new deadline, if the old one has passed"),
    click.Option(
        ["--dry-run"],
        is_flag=True,
        help="Only show what it would come to; exit with 1 if it would be refused.",
    ),
    click.Option(["--yes"], is_flag=True, help="Do not ask."),
    click.Option(["--reveal"], is_flag=True, help="Show secrets in what is edited."),
    click.Option(["--reason"], metavar="TEXT", help="Why, for people; it is kept with the work."),
    click.Option(["--as", "who"], metavar="NAME", help="Who does it, for people. [ROOST_ACTOR]"),
    click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
]


@attrs.frozen
class _Typed:
    version: int
    edit: Edit | None
    in_place: bool
    new_id: str | None
    deadline: datetime | float | None
    dry_run: bool
    yes: bool
    reveal: bool
    as_json: bool


@click.command(
    "replay",
    cls=RoostCommand,
    params=[click.Argument(["work_id"], type=WORK_ID_TYPE), *_OPTIONS],
    example=(
        "NEW=$(roost replay w-0123456789abcdef --from-version 31)",
        "roost replay w-0123456789abcdef --from-version 31 -e /plan=null --dry-run",
        "roost replay w-0123456789abcdef --from-version 31 --edit @fix.json --in-place",
    ),
)
@roost_options()
@click.pass_context
def command(ctx: click.Context, /, work_id: str, **values: Any) -> None:
    """Run work again from an earlier version, and print the id of the new work.

    The new work is a fork: it inherits engine, payload, labels, priority and limits, but not the
    id, the idempotency key, what was counted, or a deadline that has passed. Its history begins
    with that of the work it comes from, and each names the other. Artifacts are shared.

    With --in-place the work itself is put back: version 31 of 40 becomes version 41, and the work
    is ready at once, whether it waited or had ended; paused work stays paused. Nothing is lost: its
    history still has what was before.

    What is edited is shown before it begins, and which steps ran since that version: what they did
    outside, such as messages sent, may happen again; and which versions are not remembered, whose
    steps cannot be named. On a terminal it asks first. The id is typed in full.
    """
    session: Session = ctx.obj
    typed = _typed(ctx, values)

    def actor(roost: Roost) -> Actor:
        return roost.controlling.actor(values["who"], values["reason"], "roost replay")

    async def look(roost: Roost) -> tuple[Replay, RoostError | None]:
        actor(roost)
        return await _plan(roost, work_id, typed)

    planned, refused = session.read(look)
    if refused is not None and not typed.dry_run:
        # Nobody is asked in vain.
        raise refused
    _show(planned, typed, refused)
    if typed.dry_run:
        ctx.exit(0 if refused is None else 1)
    if not _is_wanted(planned, typed):
        output.note("nothing was put back" if typed.in_place else "nothing was begun")
        ctx.exit(1)

    async def begin(roost: Roost) -> Replayed:
        return await roost.work(planned.work_id).replay(
            planned,
            in_place=typed.in_place,
            work_id=typed.new_id,
            **deadline_from(typed.deadline),
            actor=actor(roost),
        )

    done = session.run(begin)
    _told(done, planned, typed)


async def _plan(roost: Roost, work_id: str, typed: _Typed) -> tuple[Replay, RoostError | None]:
    """Return what it would come to, and why it would be refused, if it would."""
    planned = await with_whole_id(
        roost,
        work_id,
        lambda whole: roost.work(whole).plan_replay(typed.version, edit=typed.edit),
    )
    why = await why_not(
        roost,
        planned,
        in_place=typed.in_place,
        work_id=typed.new_id,
        has_deadline=typed.deadline is not None,
    )
    return planned, why


def _typed(ctx: click.Context, values: dict[str, Any]) -> _Typed:
    if values["in_place"] and values["new_id"]:
        raise click.UsageError("--in-place keeps the id: leave --work-id out", ctx)
    if values["deadline"] is not None and not values["in_place"]:
        raise click.UsageError("--deadline goes with --in-place", ctx)
    return _Typed(
        version=values["from_version"],
        edit=_edit(values["edit"], values["assignments"]),
        in_place=values["in_place"],
        new_id=values["new_id"],
        deadline=values["deadline"],
        dry_run=values["dry_run"],
        yes=values["yes"],
        reveal=values["reveal"],
        as_json=values["as_json"],
    )


def _edit(patch: str | None, assignments: Sequence[str]) -> Edit | None:
    """Return what changes the data, or None if nothing is to be changed.

    :raises InvalidInput: the patch is none.
    """
    if patch is None and not assignments:
        return None
    read = () if patch is None else parse_patch(json_from(patch, "the patch", MAX_SNAPSHOT_BYTES))

    def edit(data: Json) -> Json:
        return assigned(patched(data, read), *assignments)

    return edit


# -- what is shown -------------------------------------------------------------------------------


def _show(planned: Replay, typed: _Typed, refused: RoostError | None) -> None:
    """Say on standard error what it would come to; in JSON, if nothing else follows."""
    if typed.as_json and typed.dry_run:
        output.json_line(_plain(planned, typed, refused), indent=2)
    if typed.as_json:
        return
    if typed.edit is not None:
        room = output.error_columns(_WIDTH) - len(output.NOTE)
        for one in lines(planned.differences, room, is_revealed=typed.reveal):
            output.note(f"{one.mark} {one.text}".lstrip())
        if not planned.differences:
            output.note("the edit changes nothing")
    ran = planned.ran_before
    if ran:
        named = ", ".join(f"{one.version} {clean(one.step)}" for one in ran[:_STEPS])
        more = f" and {len(ran) - _STEPS:,} more" if len(ran) > _STEPS else ""
        output.note(
            f"these steps ran since version {planned.version}, and what they did outside may "
            f"happen again: {named}{more}"
        )
    if planned.not_remembered:
        output.note(forgotten(planned.not_remembered))
    if typed.dry_run:
        if planned.version == planned.newest:
            output.note(f"no step ran since version {planned.version}: it is the newest")
        output.note(_would(planned, typed) if refused is None else refused)


def _would(planned: Replay, typed: _Typed) -> str:
    version, work_id = planned.version, planned.work_id
    if typed.in_place:
        return f"would put {work_id} back to version {version}, as version {planned.newest + 1}"
    return f"would begin new work with version {version} of {work_id}"


def _plain(planned: Replay, typed: _Typed, refused: RoostError | None) -> dict[str, Json]:
    found = planned.differences if typed.reveal else without_hidden(planned.differences)
    return {
        "work_id": planned.work_id,
        "from_version": planned.version,
        "newest_version": planned.newest,
        "in_place": typed.in_place,
        "differences": [_difference(one, is_revealed=typed.reveal) for one in found],
        "ran_before": to_plain(planned.ran_before),
        "not_remembered": to_plain(planned.not_remembered),
        "refused": None if refused is None else str(refused),
    }


def _difference(one: Difference, *, is_revealed: bool) -> Json:
    old, new = (
        value if is_revealed else hidden_at(one.path, value) for value in (one.old, one.new)
    )
    return {"kind": one.kind.value, "path": one.path, "old": old, "new": new}


def _is_wanted(planned: Replay, typed: _Typed) -> bool:
    """Ask, on a terminal, whether it is to begin."""
    if typed.yes or not can_be_asked():
        return True
    what = (
        f"Put {planned.work_id} back to version {planned.version}?"
        if typed.in_place
        else f"Begin new work with version {planned.version} of {planned.work_id}?"
    )
    return click.confirm(what, err=True)


def _told(done: Replayed, planned: Replay, typed: _Typed) -> None:
    if typed.as_json:
        output.json_line(
            {
                "work_id": done.work_id,
                "version": done.version,
                "state": done.state.value,
                "from": {"work_id": planned.work_id, "version": planned.version},
            }
        )
    elif typed.in_place:
        output.data(
            f"{done.work_id}: put back to version {planned.version}, as version {done.version}: "
            f"it is {done.state.value}"
        )
    else:
        output.stored([done.work_id])
