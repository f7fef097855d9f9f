"""``roost count``."""

from __future__ import annotations

import click

from roost_core.cli import output
from roost_core.cli.arguments import QUERY_WORD_TYPE
from roost_core.cli.options import roost_options
from roost_core.cli.session import Session
from roost_core.cli.work.querying import QueryCommand, look_option, query_from, tell_of_index
from roost_core.client.finding import Count, CountedGroup
from roost_core.errors import NoWorkHere
from roost_core.query.grouping import By
from roost_core.shown.plain import to_plain
from roost_core.shown.redaction import redacted
from roost_core.values import Json


@click.command(
    "count",
    cls=QueryCommand,
    params=[
        click.Argument(["query"], nargs=-1, type=QUERY_WORD_TYPE),
        click.Option(
            ["--by"], metavar="WHAT", help="Count apart by state, engine, error or label:KEY."
        ),
        look_option(),
        click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON object."),
    ],
    example=(
        "roost count state:failed --by error",
        "roost count 'engine:crawl older:2h' --by label:team",
    ),
)
@roost_options()
@click.pass_obj
def command(
    session: Session, query: tuple[str, ...], by: str | None, look: int, as_json: bool
) -> None:
    """Count the work items that a query is true of, or all.

    The query is that of `roost list`. By state, engine, label, beginning of an id, and by errors
    that are alike, the count is exact and quick, however many there are; otherwise work items are
    looked at, up to --look, and standard error says so if those were not all.

    Prints the number. With --by, columns: name, count; by error, # and the fingerprint, which is
    good for error:#… in a query, the count, and one such error. A dash stands for those without.
    """
    asked, group_by = query_from(query), None if by is None else By.parse(by)
    found = Count(0, (), is_exact=True, looked=0, is_indexed=True)
    try:
        found = session.read(lambda roost: roost.count(asked, by=group_by, look=look))
    except NoWorkHere as nothing:
        output.note(nothing)
    if as_json:
        output.json_line(count_json(found), indent=2)
    elif group_by is None:
        output.data(found.total)
    else:
        is_error = group_by.what == "error"
        headings = [str(group_by), "count", *(["error"] if is_error else [])]
        output.table(headings, [_cells(one, is_error) for one in found.groups])
    if not found.is_exact:
        output.note(f"at least: looked at {found.looked}; --look N looks at more")
    tell_of_index(found.is_indexed)


def _cells(group: CountedGroup, is_error: bool) -> list[object]:
    if not is_error:
        return [group.name, group.count]
    name = None if group.name is None else f"#{group.name}"
    error = group.error
    text = error and f"{error.error_type or error.kind}: {error.message}"
    return [name, group.count, text]


def count_json(found: Count) -> dict[str, Json]:
    """Return numbers as plain JSON, secrets in errors hidden."""
    plain: dict[str, Json] = to_plain(found)
    for group in plain["groups"]:
        if group["error"] is None:
            del group["error"]
        else:
            group["error"] = redacted(group["error"])
    return plain
