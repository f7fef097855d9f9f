"""Using a verb on one or many work items: what is typed, what is printed, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import attrs
import click

from roost_core.backend.orders import Order, OrderOutcome
from roost_core.cli import output
from roost_core.cli.progress import on_stderr
from roost_core.client.control import VerbResult, each
from roost_core.client.roost import Roost
from roost_core.errors import (
    CorruptRecord,
    RoostError,
    VerbUnfit,
    WorkNotFound,
    WrittenByNewer,
)
from roost_core.models.control import Actor, Verb
from roost_core.shown.redaction import redacted
from roost_core.values import Json

#: What JSON calls an error; the first that fits.
_OUTCOMES: Final[Sequence[tuple[type[RoostError], str]]] = (
    (WorkNotFound, OrderOutcome.MISSING.value),
    (VerbUnfit, OrderOutcome.UNFIT.value),
    (WrittenByNewer, OrderOutcome.NEWER.value),
    (CorruptRecord, OrderOutcome.CORRUPT.value),
    (RoostError, "error"),
)


@attrs.frozen
class Typed:
    """What is typed for every verb."""

    reason: str | None
    who: str | None
    as_json: bool
    dry_run: bool
    yes: bool

    def actor(self, roost: Roost, verb: Verb) -> Actor:
        """Return who uses the verb.

        :raises InvalidInput: the name or the reason cannot be accepted.
        """
        return roost.controlling.actor(self.who, self.reason, f"roost {verb.value}")


def verb_options() -> list[click.Option]:
    """Make the options of every verb."""
    reason = "Why, for people; it is kept with the work."
    who = "Who does it, for people. [ROOST_ACTOR]"
    json = "Print a JSON array; for a query an object with totals."
    return [
        click.Option(
            ["--dry-run"], is_flag=True, help="With a query: only show what it would be used on."
        ),
        click.Option(["--yes"], is_flag=True, help="Do not ask."),
        click.Option(["--reason"], metavar="TEXT", help=reason),
        click.Option(["--as", "who"], metavar="NAME", help=who),
        click.Option(["--json", "as_json"], is_flag=True, help=json),
    ]


def can_be_asked() -> bool:
    """Return whether somebody sees a question on a terminal, and can answer there."""
    # It is missing if it was closed before the start.
    return sys.stdin is not None and sys.stdin.isatty() and on_stderr()


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal whether to go ahead, unless the answer was given with ``--yes``.

    :raises click.UsageError: there is no terminal to ask on.
    """
    if yes:
        return True
    if not can_be_asked():
        raise click.UsageError("Nobody can be asked here: add --yes to go ahead.")
    return click.confirm(question, err=True)


async def carry_out(
    roost: Roost,
    orders: Iterable[tuple[str, Order]],
    *,
    report: Callable[[str, VerbResult | RoostError], None],
) -> bool:
    """Carry out orders, several at a time; return whether none has failed.

    :param report: called for each work item, in the order of the orders, as soon as that is known.
    """
    control = roost.controlling
    is_fine = True
    found: AsyncIterator[tuple[tuple[str, Order], VerbResult | RoostError]] = each(
        orders, lambda one: control.carry_out(*one)
    )
    async for (work_id, _), result in found:
        is_fine = is_fine and not isinstance(result, RoostError)
        report(work_id, result)
    return is_fine


class Report:
    """Prints what becomes of each work item: a line each as it comes, or JSON at the end.

    :ivar is_told: False if standard output could not be written.
    """

    def __init__(self, verb: Verb, *, as_json: bool) -> None:
        self.is_told = True
        self._verb = verb
        self._rows: list[Json] | None = [] if as_json else None

    def __call__(self, work_id: str, result: VerbResult | RoostError) -> None:
        """Take what has become of one."""
        if isinstance(result, RoostError):
            text = str(result)
            output.note(text if work_id in text else f"{work_id}: {text}")
        elif self._rows is None:
            self._tell(f"{work_id}: {result}")
        if isinstance(result, VerbResult) and result.left is not None:
            output.note(f"{work_id}: something of it is left for a worker to remove: {result.left}")
        if self._rows is not None:
            self._rows.append(_plain(work_id, self._verb, result))

    def _tell(self, line: str) -> None:
        """Print a line; if that cannot be, the rest is done all the same, as it was asked for."""
        try:
            output.data(line)
        except OSError as error:
            if not output.give_up_printing(error):
                raise
            self.is_told = False

    def close(self) -> None:
        """Print what is printed at the end."""
        if self._rows is not None:
            output.json_line(self._rows, indent=2)


def outcome_of(error: RoostError) -> str:
    """Return what JSON calls an error."""
    return next(name for kind, name in _OUTCOMES if isinstance(error, kind))


def _plain(work_id: str, verb: Verb, result: VerbResult | RoostError) -> Json:
    row: dict[str, Json] = {"work_id": work_id, "verb": verb.value}
    if isinstance(result, RoostError):
        outcome = outcome_of(result)
        error = redacted(str(result))
        return {**row, "outcome": outcome, "state": None, "wish": None, "error": error}
    return {
        **row,
        "outcome": result.outcome.value,
        "state": None if result.state is None else result.state.value,
        "wish": None if result.wish is None else result.wish.value,
        "error": None,
    }
