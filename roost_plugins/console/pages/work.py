"""The list of work items that a query finds: the query language, page by page, live."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
from flask import Blueprint, Response, make_response, render_template, request, url_for

from roost_core import Roost, State
from roost_core.backend import OrderOutcome
from roost_core.backend.fitting import expected
from roost_core.client.finding import Matches
from roost_core.errors import InvalidInput
from roost_core.models import Heartbeat, Verb, WorkRow
from roost_core.query import Op, Query, Term, Test, parse
from roost_core.shown.counts import in_order
from roost_plugins.console.acting.target import typed
from roost_plugins.console.here import here
from roost_plugins.console.overviews import Overviews

blueprint: Final = Blueprint("work", __name__)

#: How many work items are on a page.
ROWS: Final = 50
#: How many are looked at for a page where the index does not tell, and for its numbers; a reader
#: who asks for more gets four times as many, up to the most.
LOOK: Final = 5_000
_LOOK_FOR_NUMBERS: Final = 2_000
MOST_LOOK: Final = 320_000
#: How long a page may take in which that many are looked at. Seconds.
_PATIENCE: Final = 60.0
#: This many pages back can be gone to.
_MOST_BACK: Final = 40
#: How each state is listed; all together, and those of several states: newest first.
_NEXT, _SOONEST, _LATEST = "next in line first", "soonest first", "latest change first"
_NEWEST: Final = "newest first"
_ORDERS: Final[Mapping[State, str]] = {
    State.QUEUED: _NEXT,
    State.BLOCKED: _NEXT,
    State.SLEEPING: _SOONEST,
    State.RETRY_WAIT: _SOONEST,
}
#: Where an error points, and what it means there.
_AT: Final = re.compile(r"query, at character ([0-9]{1,5}):")
_WORD: Final = re.compile(r"\S+")
#: The same the other way round.
_BACK: Final[Mapping[str, str]] = {
    _NEXT: "last in line first",
    _SOONEST: "latest first",
    _LATEST: "earliest change first",
    _NEWEST: "oldest first",
}
_USES: Final = (OrderOutcome.DONE, OrderOutcome.REQUESTED)


@attrs.frozen
class Tab:
    """One state, or all, of what the rest of the query finds.

    :ivar state: None for all.
    :ivar number: how many there are; at least this many unless ``is_exact``.
    """

    state: State | None
    query: str
    number: int
    is_exact: bool
    is_current: bool


@attrs.frozen
class WorkList:
    """What the page shows.

    :ivar query: as it was typed.
    :ivar total: how many there are; at least this many unless ``is_exact``.
    :ivar order: how they stand in the list; empty if that is in the order of the ids, which no
        index can turn round. ``other_order`` is how they can stand, too.
    :ivar beats: what running work has said last, by its id; of very many, of the oldest.
    :ivar verbs: those that fit the state that is listed, or all.
    """

    query: str
    found: Matches
    tabs: Sequence[Tab]
    total: int
    is_exact: bool
    order: str
    other_order: str
    verbs: Sequence[Verb]
    reverse: bool = False
    beats: Mapping[str, Heartbeat] = attrs.field(factory=dict)

    @property
    def command(self) -> str:
        """What to type for the same list."""
        flag = " --reverse" if self.reverse else ""
        return f"roost list {typed(parse(self.query))}".rstrip() + flag

    @property
    def is_cut(self) -> bool:
        """Whether there may be more that was not looked at, rather than a next page."""
        return not self.found.is_all and len(self.found) < ROWS


async def load(
    roost: Roost,
    query: str,
    cursor: str | None = None,
    look: int = LOOK,
    rows: int = ROWS,
    *,
    reverse: bool = False,
    overviews: Overviews = Roost.overview,
) -> WorkList:
    """Read what the page shows, in a few requests at once.

    :param overviews: gives the overview.
    :raises InvalidInput: the query cannot be read, or no page has this cursor.
    """
    asked = parse(query)
    base = Query(tuple(term for term in asked.terms if term.key != "state"))
    found, tabs, counted = await asyncio.gather(
        roost.find(asked, limit=rows, look=look, cursor=cursor, reverse=reverse),
        _by_state(roost, base),
        # The index tells at once, or not at all: then the numbers of the states have to do.
        roost.count(asked, look=1),
    )
    numbers, is_exact = tabs
    state = _only_state(asked)
    total, is_total = counted.total, counted.is_exact
    if not is_total:
        total = sum(numbers.get(one, 0) for one in _states(asked))
        is_total = is_exact
    order = _order(found.rows, state, reverse)
    return WorkList(
        query=query,
        found=found,
        tabs=_tabs(asked, base, numbers, is_exact),
        # What was found is certain to be there, whatever the numbers have been a moment ago.
        total=max(total, len(found)),
        is_exact=is_total,
        order=(_BACK[order] if reverse else order) if order else "",
        other_order=(order if reverse else _BACK[order]) if order else "",
        reverse=reverse,
        beats=await _beats(roost, found.rows, overviews),
        verbs=[verb for verb in Verb if state is None or expected(verb, state, None) in _USES],
    )


async def _beats(
    roost: Roost, rows: Sequence[WorkRow], overviews: Overviews
) -> Mapping[str, Heartbeat]:
    """Return heartbeats, which no list has, if one of the rows can have any."""
    if all(row.meta.state is not State.RUNNING for row in rows):
        return {}
    workers = (await overviews(roost)).workers
    running = (one for worker in workers for one in worker.running)
    return {one.work_id: one.heartbeat for one in running if one.heartbeat is not None}


async def _by_state(roost: Roost, base: Query) -> tuple[Mapping[State, int], bool]:
    if not base.terms:
        return await roost.counts(), True
    counted = await roost.count(base, by="state", look=_LOOK_FOR_NUMBERS)
    return {State(str(one.name)): one.count for one in counted.groups}, counted.is_exact


def _states(query: Query) -> Iterator[State]:
    """Yield the states that a query leaves."""
    terms = [term for term in query.terms if term.key == "state"]
    for state in State:
        named = (any(test.value == state for test in term.tests) for term in terms)
        if all(
            is_named is not term.is_negated for is_named, term in zip(named, terms, strict=True)
        ):
            yield state


def _only_state(query: Query) -> State | None:
    for term in query.of("state"):
        if len(term.tests) == 1:
            return State(str(term.tests[0].value))
    return None


def _tabs(asked: Query, base: Query, numbers: Mapping[State, int], is_exact: bool) -> Sequence[Tab]:
    current = _only_state(asked)
    has_state = asked.uses("state")
    total = sum(numbers.values())
    tabs = [Tab(None, str(base), total, is_exact, not has_state)]
    for state, number in in_order(numbers):
        if number or state is current:
            term = Term("state", (Test(Op.IS, state.value),))
            query = str(Query((term, *base.terms)))
            tabs.append(Tab(state, query, number, is_exact, state is current))
    return tabs


def _order(rows: Sequence[WorkRow], state: State | None, reverse: bool) -> str:
    """Return in which order rows are, by what they say themselves; if reversed, from the end."""
    rows = rows[::-1] if reverse else rows
    if state is not None and state in _ORDERS:
        if state in (State.SLEEPING, State.RETRY_WAIT):
            times = [row.meta.due_at for row in rows if row.meta.due_at is not None]
            return _ORDERS[state] if times == sorted(times) else ""
        places = [(-row.meta.priority, row.meta.created_at) for row in rows]
        return _ORDERS[state] if places == sorted(places) else ""
    name = _NEWEST if state is None else _LATEST
    ages = [row.meta.created_at if state is None else row.meta.updated_at for row in rows]
    return name if ages == sorted(ages, reverse=True) else ""


def fitting(row: WorkRow) -> Sequence[Verb]:
    """Return the verbs that would do something to a work item."""
    if not row.is_readable:
        return () if row.is_newer else (Verb.DROP,)
    return [one for one in Verb if expected(one, row.meta.state, row.meta.wish) in _USES]


# -- the page ------------------------------------------------------------------------------


@attrs.frozen
class Place:
    """Where in the list a page is, as its URL says.

    :ivar back: the cursors of the pages before it; the last one is its own.
    :ivar first: the number of its first row; 0 if that is not known.
    """

    query: str
    back: tuple[str, ...]
    first: int
    look: int
    reverse: bool = False

    @classmethod
    def of_request(cls) -> Place:
        """Read it from the URL of the request."""
        back = tuple(request.args.getlist("after")[-_MOST_BACK:])
        first = _number("from", 1) if back else 1
        look = min(MOST_LOOK, max(LOOK, _number("look", LOOK)))
        reverse = request.args.get("sort") == "reverse"
        return cls(request.args.get("q", "").strip(), back, first, look, reverse)

    @property
    def turned(self) -> str:
        """The URL of the same list the other way round."""
        return attrs.evolve(self, reverse=not self.reverse).url((), 1)

    def url(self, back: Sequence[str], first: int, look: int | None = None) -> str:
        """Return the URL of another page of the same list."""
        kept: dict[str, object] = {"q": self.query or None}
        kept["look"] = look or (self.look if self.look != LOOK else None)
        kept["sort"] = "reverse" if self.reverse else None
        kept["from"] = first if back else None
        kept["after"] = list(back[-_MOST_BACK:]) or None
        return url_for("work.show", **{key: value for key, value in kept.items() if value})  # type: ignore[arg-type]  # lists become repeated words


def _number(name: str, otherwise: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise


def _pages(place: Place, view: WorkList) -> Mapping[str, str]:
    """Return the URLs of the pages around, and of the same one with more looked at."""
    found: dict[str, str] = {}
    if place.back:
        found["newer"] = place.url(place.back[:-1], max(1, place.first - ROWS))
    cursor = view.found.cursor
    if cursor is not None and not view.is_cut:
        found["older"] = place.url((*place.back, cursor), place.first + len(view.found))
    elif cursor is not None and place.look < MOST_LOOK:
        found["further"] = place.url(place.back, place.first, place.look * 4)
    elif cursor is not None:
        found["further"] = place.url((*place.back, cursor), place.first + len(view.found))
    return found


@blueprint.get("/work")
def show() -> Response:
    """Show it."""
    place = Place.of_request()
    cursor = place.back[-1] if place.back else None
    overviews = here().overviews.get

    def page(**given: object) -> str:
        return render_template("work/show.html", page="work", place=place, **given)

    try:
        patience = 10.0 if place.look == LOOK else _PATIENCE
        view = here().ask(
            lambda roost: load(
                roost,
                place.query,
                cursor,
                place.look,
                reverse=place.reverse,
                overviews=overviews,
            ),
            patience,
        )
    except InvalidInput as error:
        where = pointed(place.query, error)
        return make_response(page(query_problem=str(error), pointed=where), 400)
    return make_response(page(view=view, pages=_pages(place, view), fitting=fitting))


def pointed(query: str, error: InvalidInput) -> tuple[str, str, str] | None:
    """Return a query in three parts, of which the second is what an error is about."""
    found = _AT.match(str(error))
    if found is None:
        return None
    at = int(found[1]) - 1
    word = _WORD.match(query, at)
    end = word.end() if word else at
    return query[:at], query[at:end], query[end:]
