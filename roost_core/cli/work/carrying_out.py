"""Using a verb on one or many work items: what is typed, what is printed, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import attrs
import click

from roost_core.backend.orders import Order, OrderOutcome
from roost_core.cli import output
from roost_core.cli.progress import on_stderr
from roost_core.client.control import VerbResult, each
from roost_core.client.roost import Roost
from roost_core.errors import (
    BackendError,
    CorruptRecord,
    PluginError,
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

#: After one of these the others would fail in the same way.
FINAL: Final = (BackendError, PluginError)


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


async def carry_out(roost: Roost, orders: Sequence[tuple[str, Order]], *, report: Report) -> bool:
    """Carry out orders, several at a time; return whether none has failed.

    :param report: told of each work item, in the order of the orders, as soon as that is known.
    :raises RoostError: the server is away, or refuses all: the rest is not tried. The text says how
        many were without an answer, and how many were not tried.
    """
    control = roost.controlling
    is_fine, unknown = True, 0
    first: RoostError | None = None
    left = iter(orders)

    def until_it_fails() -> Iterator[tuple[str, Order]]:
        while first is None and (one := next(left, None)) is not None:
            yield one

    found: AsyncIterator[tuple[tuple[str, Order], VerbResult | RoostError]] = each(
        until_it_fails(), lambda one: control.carry_out(*one)
    )
    async for (work_id, _), result in found:
        is_fine = is_fine and not isinstance(result, RoostError)
        if isinstance(result, FINAL):
            first, unknown = first or result, unknown + 1
            report.leave(work_id, result)
        else:
            report(work_id, result)
    if first is None:
        return is_fine
    untried = [work_id for work_id, _ in left]
    for work_id in untried:
        report.leave(work_id, None)
    raise type(first)(f"{first}; stopped: {_stopped(unknown, len(untried))}") from first


def _stopped(unknown: int, untried: int) -> str:
    of = "1 work item" if unknown == 1 else f"{unknown:,} work items"
    rest = f", {untried:,} not tried" if untried else ""
    return f"no answer about {of}{rest}; the same command again continues with the rest"


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
            self._rows.append(result_json(work_id, self._verb, result))

    def leave(self, work_id: str, error: RoostError | None) -> None:
        """Take one about which one line at the end tells.

        :param error: why it was not done, as far as is known; None if it was not tried.
        """
        if self._rows is None:
            return
        if error is not None:
            self._rows.append(result_json(work_id, self._verb, error))
        else:
            self._rows.append(_failed(work_id, self._verb, "untried", None))

    def _tell(self, line: str) -> None:
        """Print a line; if that cannot be, the rest is still done, as it was asked for."""
        try:
            output.data(line)
        except OSError as error:
            if not output.give_up_printing(error):
                raise
            self.is_told = False

    def close(self, *, is_stopped: bool = False) -> None:
        """Print what is printed at the end; of what was stopped, if there is something to tell."""
        if self._rows is not None and (self._rows or not is_stopped):
            output.json_line(self._rows, indent=2)


def outcome_of(error: RoostError) -> str:
    """Return what JSON calls an error."""
    return next(name for kind, name in _OUTCOMES if isinstance(error, kind))


def result_json(work_id: str, verb: Verb, result: VerbResult | RoostError) -> Json:
    """Return what has become of a work item as plain JSON."""
    row: dict[str, Json] = {"work_id": work_id, "verb": verb.value}
    if isinstance(result, RoostError):
        return _failed(work_id, verb, outcome_of(result), str(result))
    return {
        **row,
        "outcome": result.outcome.value,
        "state": None if result.state is None else result.state.value,
        "wish": None if result.wish is None else result.wish.value,
        "error": None,
    }


def _failed(work_id: str, verb: Verb, outcome: str, error: str | None) -> Json:
    what: dict[str, Json] = {"work_id": work_id, "verb": verb.value, "outcome": outcome}
    return {**what, "state": None, "wish": None, "error": redacted(error)}
