"""What a verb over a query is about to be used on: read, and shown, before anything is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from roost_core.backend.finding import Found
from roost_core.backend.fitting import expected
from roost_core.backend.orders import Order, OrderOutcome
from roost_core.backend.reports import StoredWork
from roost_core.models.checks import milliseconds
from roost_core.models.control import Verb
from roost_core.models.standing import WorkRow
from roost_core.models.work import State
from roost_core.query.fingerprints import fingerprint
from roost_core.shown import views
from roost_core.values import Value

#: How many work items a preview shows.
FIRST: Final = 10
#: Of this many kinds of errors an example is kept, and as many characters of each.
_EXAMPLES: Final = 1000
_EXAMPLE: Final = 200


class Chosen:
    """Work items as they were seen: ids, lives, states and fences, in little memory."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._states: list[State] = []
        self._fences: list[int] = []
        self._lives: list[int] = []

    def add(self, stored: StoredWork) -> None:
        """Take one more."""
        self._ids.append(stored.work_id)
        self._states.append(stored.state)
        self._fences.append(stored.fence)
        self._lives.append(stored.created_ms)

    def __len__(self) -> int:
        return len(self._ids)

    def orders(self, order: Order, over_seconds: float = 0) -> Iterator[tuple[str, Order]]:
        """Yield an order for each, to be carried out only if it is still as it was seen.

        :param over_seconds: spread their delays evenly over this time.
        """
        for place, work_id in enumerate(self._ids):
            delay_ms = order.delay_ms + milliseconds(over_seconds * place / len(self))
            yield (
                work_id,
                attrs.evolve(
                    order,
                    delay_ms=delay_ms,
                    if_state=self._states[place],
                    if_fence=self._fences[place],
                    # A record that does not decode has none.
                    life=self._lives[place] or None,
                ),
            )


@attrs.frozen(eq=False, repr=False)
class PreviewGroup(Value):
    """Work items of a preview in the same state, whose errors are alike.

    :ivar fingerprint: of the error; None for those without.
    :ivar error: type and message of one of the errors, cut if it is long.
    """

    state: State
    fingerprint: str | None
    count: int
    error: str | None = None


@attrs.frozen(eq=False, repr=False)
class Preview(Value):
    """What a verb would be used on: those work items of a query that it fits.

    :ivar total: how many these are.
    :ivar groups: they by state and error, the largest first.
    :ivar first: the first ten of them.
    :ivar already: how many are left out, by state, because it would change nothing.
    :ivar unfit: how many are left out, by state, because it does not fit them.
    :ivar is_all: False if there may be more, because the limit was reached.
    :ivar looked: how many work items were looked at.
    :ivar is_indexed: as in :class:`~roost_core.client.finding.Matches`.
    """

    total: int
    groups: tuple[PreviewGroup, ...]
    first: tuple[WorkRow, ...]
    already: Mapping[State, int]
    unfit: Mapping[State, int]
    is_all: bool
    looked: int
    is_indexed: bool


class Previewing:
    """Gathers a preview, page by page.

    :ivar chosen: what the verb fits.
    """

    def __init__(self, verb: Verb, limit: int | None = None) -> None:
        """Begin.

        :param limit: choose no more than this many.
        """
        self._verb, self._limit = verb, limit
        self.chosen = Chosen()
        self._counts: Counter[tuple[State, str | None]] = Counter()
        self._examples: dict[str, str] = {}
        self._first: list[WorkRow] = []
        self._left_out: dict[OrderOutcome, Counter[State]] = {
            OrderOutcome.ALREADY: Counter(),
            OrderOutcome.UNFIT: Counter(),
        }
        self._is_all = self._is_indexed = True
        self._looked = 0

    def look(self, page: Found) -> None:
        """Note what a page says of itself."""
        self._looked += page.looked
        self._is_indexed = self._is_indexed and page.is_indexed

    def add(self, stored: StoredWork) -> bool:
        """Take one more; return False if there is room for no more."""
        fit = expected(self._verb, stored.state, stored.wish)
        if fit in self._left_out:
            self._left_out[fit][stored.state] += 1
            return True
        if self._limit is not None and len(self.chosen) >= self._limit:
            self._is_all = False
            return False
        self.chosen.add(stored)
        if len(self._first) < FIRST:
            self._first.append(views.row(stored))
        self._count(stored)
        return True

    def _count(self, stored: StoredWork) -> None:
        name = None if stored.error is None else fingerprint(stored.error)
        self._counts[stored.state, name] += 1
        is_new = name is not None and name not in self._examples
        if is_new and len(self._examples) < _EXAMPLES:
            error = views.meta(stored).error
            if error is not None:
                text = f"{error.error_type or error.kind}: {error.message}"
                self._examples[str(name)] = text[:_EXAMPLE]

    def done(self) -> Preview:
        """Return the preview."""
        groups = [
            PreviewGroup(state, name, count, None if name is None else self._examples.get(name))
            for (state, name), count in self._counts.most_common()
        ]
        return Preview(
            total=len(self.chosen),
            groups=tuple(groups),
            first=tuple(self._first),
            already=dict(self._left_out[OrderOutcome.ALREADY]),
            unfit=dict(self._left_out[OrderOutcome.UNFIT]),
            is_all=self._is_all,
            looked=self._looked,
            is_indexed=self._is_indexed,
        )
