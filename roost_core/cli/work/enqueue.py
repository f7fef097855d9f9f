"""``roost enqueue``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from roost_core.cli import output
from roost_core.cli.arguments import (
    ENGINE_TYPE,
    LABEL_TYPE,
    RESOURCE_TYPE,
    WORK_ID_TYPE,
    WholeType,
)
from roost_core.cli.options import RoostCommand, roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.batch import read_batch
from roost_core.cli.work.files import json_from, opened
from roost_core.cli.work.sending import hint_at_workers, send, send_batch
from roost_core.cli.work.timing import deadline_from, deadline_option, delay_option, span_option
from roost_core.client.requests import EnqueueRequest
from roost_core.client.roost import Roost
from roost_core.errors import InvalidInput
from roost_core.models.checks import MAX_COUNT
from roost_core.models.work import MAX_PRIORITY, MIN_PRIORITY, RetryPolicy, State

#: Options about one work item, which do not go with ``--batch``.
_SINGLE: Final = (
    "payload",
    "work_id",
    "idempotency_key",
    "resources",
    "labels",
    "delay",
    "deadline",
    "title",
    "priority",
    "max_attempts",
    "max_recoveries",
    "max_steps",
    "step_timeout",
    "wait",
)


#: What a work item is made of, and how it is sent.
_OPTIONS: Final[list[click.Parameter]] = [
    click.Option(
        ["--engine"], type=ENGINE_TYPE, metavar="E", help="The engine that runs the work."
    ),
    click.Option(
        ["--payload"], metavar="JSON|@FILE|-", help="What to work on; - is standard input."
    ),
    click.Option(
        ["--work-id"], type=WORK_ID_TYPE, metavar="ID", help="Your own id for the work item."
    ),
    click.Option(
        ["--idempotency-key"],
        metavar="KEY",
        help="The same key, engine and payload again give the existing work item.",
    ),
    click.Option(
        ["--priority"],
        type=WholeType(MIN_PRIORITY, MAX_PRIORITY),
        metavar="N",
        help="Higher runs first. [default: 0]",
    ),
    click.Option(
        ["--resource", "resources"],
        type=RESOURCE_TYPE,
        multiple=True,
        metavar="NAME",
        help="Held while the work runs: one work item at a time has it. Repeatable.",
    ),
    click.Option(
        ["--label", "labels"],
        type=LABEL_TYPE,
        multiple=True,
        metavar="KEY=VALUE",
        help="To find and group it by: team=search. Repeatable, at most 16.",
    ),
    delay_option(),
    deadline_option("Done by then, or dead-lettered"),
    click.Option(["--title"], help="A short text for people."),
    click.Option(
        ["--max-attempts"],
        type=WholeType(1, MAX_COUNT),
        metavar="N",
        help="Tries of one step. [default: 5]",
    ),
    click.Option(
        ["--max-recoveries"],
        type=WholeType(1, MAX_COUNT),
        metavar="N",
        help="Dead-letter it when this many workers died that ran nothing else. [default: 3]",
    ),
    click.Option(
        ["--max-steps"],
        type=WholeType(0, MAX_COUNT),
        metavar="N",
        help="Steps in a row without a delay; dead-lettered if it needs more. 0: no limit. "
        "[default: 10000]",
    ),
    span_option(["--step-timeout"], "A step's longest time", default="1h"),
    click.Option(
        ["--batch"],
        metavar="FILE.jsonl|-",
        help="Many at once: one JSON object per line, with engine, payload, work_id, title, ...",
    ),
    click.Option(["--any-engine"], is_flag=True, help="Accept an engine that nobody offers yet."),
    click.Option(
        ["--wait"], is_flag=True, help="Wait until it ends; exit with 1 if it is not done."
    ),
]


@click.command(
    "enqueue",
    cls=RoostCommand,
    params=_OPTIONS,
    example=(
        "ID=$(roost enqueue --engine watchlist --payload @check.json --deadline 2h)",
        "roost enqueue --batch many.jsonl",
        "roost enqueue --engine watchlist --payload - < check.json",
    ),
)
@roost_options()
@click.pass_context
def command(
    ctx: click.Context, /, engine: str | None, batch: str | None, any_engine: bool, **values: Any
) -> None:
    """Enqueue work and print nothing but its id.

    With --batch every line is checked before the first is enqueued; the ids come in the order of
    the lines. A line that is refused after that (its id is taken, for example) is named on standard
    error, does not stop the rest, and makes the exit code 1. Lines with a work_id or an
    idempotency_key can safely be sent again. If the server goes away, the ids of what is stored
    have been printed, and the error names the line to continue at. If a reply was lost, the work
    may be stored: the error says under which id. If standard output cannot be written, standard
    error names what is stored, and the exit code is 74.
    """
    session: Session = ctx.obj
    if batch is not None:
        given = [name for name in _SINGLE if values[name] not in (None, (), False)]
        if given:
            flag = _flag(ctx, given[0])
            raise click.UsageError(f"{flag} does not go with --batch: put it in the lines", ctx)
        with opened(batch) as file:
            lines = read_batch(file, engine)

        async def send_all(roost: Roost) -> bool:
            is_complete = await send_batch(roost, lines, any_engine=any_engine)
            await hint_at_workers(roost, (line.request.engine for line in lines))
            return is_complete

        if not session.run(send_all):
            ctx.exit(1)
        return
    if engine is None:
        raise click.UsageError("Missing option '--engine': see `roost engines`.", ctx)
    request = _request(engine, values)
    if not session.run(lambda roost: _send(roost, request, any_engine, wait=values["wait"])):
        ctx.exit(1)


def _flag(ctx: click.Context, name: str) -> str:
    return next(param.opts[0] for param in ctx.command.params if param.name == name)


def _request(engine: str, values: dict[str, Any]) -> EnqueueRequest:
    attempts = values["max_attempts"]
    return EnqueueRequest(
        engine=engine,
        payload=None if values["payload"] is None else json_from(values["payload"], "the payload"),
        work_id=values["work_id"],
        idempotency_key=values["idempotency_key"],
        priority=values["priority"] or 0,
        resources=values["resources"],
        labels=_labels(values["labels"]),
        delay_seconds=values["delay"] or 0,
        **deadline_from(values["deadline"]),
        title=values["title"],
        retry=None if attempts is None else RetryPolicy(max_attempts=attempts),
        max_recoveries=values["max_recoveries"],
        max_steps=values["max_steps"],
        step_timeout_seconds=values["step_timeout"],
    )


def _labels(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise InvalidInput(f"a label has one value: {key} is {found[key]}, or {value}")
        found[key] = value
    return found


async def _send(roost: Roost, request: EnqueueRequest, any_engine: bool, *, wait: bool) -> bool:
    item = await send(roost, request, any_engine=any_engine)
    output.stored([item.work_id])
    await hint_at_workers(roost, [item.engine])
    if not wait:
        return True
    meta = (await roost.work(item).wait()).meta
    if meta.state is not State.DONE:
        output.note(output.failure(meta))
    return meta.state is State.DONE
