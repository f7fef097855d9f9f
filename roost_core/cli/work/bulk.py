"""A verb over a query: look, ask, act, and say what it came to."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterator

import attrs
import click

from roost_core.backend.orders import Order
from roost_core.cli import output
from roost_core.cli.session import Session
from roost_core.cli.work import previews
from roost_core.cli.work.bulk_progress import BulkProgress
from roost_core.cli.work.carrying_out import FINAL, Typed, can_be_asked, confirmed
from roost_core.cli.work.querying import tell_of_index
from roost_core.cli.work.totals import Totals
from roost_core.client.control import VerbResult, each
from roost_core.client.preview import Previewing
from roost_core.client.roost import Roost
from roost_core.client.select import previewed
from roost_core.errors import NoWorkHere, RoostError
from roost_core.models.control import Verb
from roost_core.query.terms import Query

MakeOrder = Callable[[Roost], Awaitable[Order]]


@attrs.frozen
class Bulk:
    """A verb over a query, as it was typed.

    :ivar over: spread what is retried evenly over this many seconds.
    """

    verb: Verb
    query: Query
    limit: int | None
    typed: Typed
    make_order: MakeOrder
    over: float

    def run(self, session: Session) -> bool:
        """Look, ask, act and tell; return whether nothing has failed.

        :raises click.UsageError: nobody can be asked.
        :raises RoostError: it cannot look, or cannot continue; the text says how far it came.
        """
        yes = self.typed.yes
        if not self.typed.dry_run and not yes and not can_be_asked():
            raise click.UsageError("Nobody can be asked here: add --yes to go ahead.")
        found, order = self._look(session)
        preview = found.done()
        tell_of_index(preview.is_indexed)
        for line in previews.left_out(self.verb, preview):
            output.note(line)
        if self.typed.dry_run:
            self._show(found)
            return True
        totals = Totals(self.verb, self.query, preview, as_json=self.typed.as_json)
        if order is None or not preview.total:
            totals.close()
            return True
        if not yes:
            for line in previews.table(preview, output.error_columns()):
                click.echo(line, err=True)
        if not confirmed(previews.question(self.verb, preview, self.over), yes=yes):
            output.note("nothing was done")
            return False
        session.read(lambda roost: self._act(roost, found, order, totals))
        totals.close()
        return totals.is_fine

    def _look(self, session: Session) -> tuple[Previewing, Order | None]:
        """Return what it is for, and the order, which is checked before anybody is asked."""

        async def look(roost: Roost) -> tuple[Previewing, Order]:
            order = await self.make_order(roost)
            with BulkProgress("looking", None) as progress:
                found = await previewed(roost, self.query, self.verb, self.limit, progress.advance)
            return found, order

        try:
            return session.read(look)
        except NoWorkHere as nothing:
            output.note(nothing)
            return Previewing(self.verb), None

    def _show(self, found: Previewing) -> None:
        preview = found.done()
        if self.typed.as_json:
            output.json_line(previews.plain(self.verb, self.query, preview), indent=2)
            return
        output.data(previews.would(self.verb, preview))
        width = shutil.get_terminal_size().columns if output.on_terminal() else None
        for line in previews.table(preview, width):
            # Each cell is clean, and a tab between two must stay.
            click.echo(line)

    async def _act(self, roost: Roost, found: Previewing, order: Order, totals: Totals) -> None:
        """Carry it out, some at a time.

        :raises RoostError: it cannot continue; the text says how far it came.
        :raises asyncio.CancelledError: interrupted; that was told.
        """
        control = roost.controlling
        orders = _Counted(found.chosen.orders(order, self.over))
        results = each(orders, lambda one: control.carry_out(*one))
        with BulkProgress(self.verb.value, len(found.chosen)) as progress:
            try:
                async with contextlib.aclosing(results):
                    async for (work_id, _), result in results:
                        if isinstance(result, FINAL):
                            raise result
                        self._tell(work_id, result, totals, progress)
            except FINAL as error:
                progress.hide()
                text = f"{error}; stopped: {totals.so_far(orders.begun)}"
                totals.close(stopped=str(error))
                raise type(error)(text) from error
            except asyncio.CancelledError:
                progress.hide()
                output.note(f"interrupted: {totals.so_far(orders.begun)}")
                totals.close(stopped="interrupted")
                raise

    @staticmethod
    def _tell(
        work_id: str, result: VerbResult | RoostError, totals: Totals, progress: BulkProgress
    ) -> None:
        line = totals.add(work_id, result)
        if line is not None:
            progress.hide()
            output.note(line)
        progress.advance()


class _Counted(Iterator[tuple[str, Order]]):
    """Orders, counted as they are taken: what was begun may have been done."""

    def __init__(self, orders: Iterator[tuple[str, Order]]) -> None:
        self._orders = orders
        self.begun = 0

    def __next__(self) -> tuple[str, Order]:
        found = next(self._orders)
        self.begun += 1
        return found
