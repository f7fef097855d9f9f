"""Where a query is looked for: parts of the index, and sets by state. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from roost_core.backend import StoredWork
from roost_core.models import State
from roost_core.query import Op, Query, Term, Test
from roost_core.values import Value
from roost_plugins.redis_saq.keys import PLACES

#: Listing order: soonest first where the set is ordered by due time or place in the line.
FORWARD: Final = frozenset({State.QUEUED, State.SLEEPING, State.RETRY_WAIT, State.BLOCKED})
#: The sets of the index, as ranges of it: all work by engine, and dead letters.
ALL: Final = ("[e ", "(e!")
DEAD: Final = ("[f ", "(f!")
RETRYING: Final = ("[r ", "(r!")
#: How many are read at most to be put in order, and looked at where they are in order.
SMALL: Final = 500
_FOR_ORDER: Final = 1000
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
#: The text of an error that does not decode.
_CORRUPT: Final = "corrupt"
#: After every byte that stands in a member.
_LAST: Final = "\xff"

#: A part of the index: its ends, as in ``ZRANGEBYLEX``.
Range = tuple[str, str]


@attrs.frozen(eq=False, repr=False)
class Source(Value):
    """Something that holds all that a query may be true of.

    ``ranges`` are parts of the index, or ``places`` sets by name. ``covers`` are the keys of the
    query that are certain to be true of what is in it.
    """

    name: str
    ranges: tuple[Range, ...] = ()
    places: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()

    @property
    def is_ordered(self) -> bool:
        """Whether it is read in the order of a list."""
        return len(self.places) == 1


def states_of(query: Query) -> frozenset[State]:
    """Return the states that a query leaves."""
    left = frozenset(State)
    for term in query.terms:
        if term.key == "state":
            named = {State(str(test.value)) for test in term.tests}
            left = left - named if term.is_negated else left & named
    return left


def in_states(states: frozenset[State]) -> Source:
    """Return the sets of these states, or that of all work."""
    if len(states) == len(State):
        return Source("created", places=("created",))
    places = tuple(place for state, place in PLACES.items() if state in states)
    return Source("states", places=places, covers=("state",))


def exact_values(query: Query, key: str) -> tuple[str, ...] | None:
    """Return the values of which a key has to have one, if all are written out."""
    for term in query.of(key):
        if all(test.op is Op.IS for test in term.tests):
            return tuple(dict.fromkeys(str(test.value) for test in term.tests))
    return None


def in_index(query: Query, engines: Sequence[str] | None) -> list[Source]:
    """Return the parts of the index, each of which holds all that a query is true of.

    :param engines: all that there are; None if they are not known: then ids do not narrow.
    """
    found = [
        Source("engine", tuple(map(_engine, term.tests)), covers=("engine",))
        for term in query.of("engine")
    ]
    for number, term in enumerate(query.of("label")):
        found.append(Source(f"label{number}", tuple(map(_label, term.tests)), covers=("label",)))
    for number, term in enumerate(query.of("error")):
        ranges = tuple(one for test in term.tests for one in _errors(test, states_of(query)))
        found.append(Source(f"error{number}", ranges, covers=("error",)))
    for term in query.of("id"):
        if engines is not None:
            ranges = tuple(_ids(term.tests, engines))
            found.append(Source("id", ranges, covers=("id",)))
    return found


def _between(begin: str, test: Test) -> Range:
    if test.op is Op.IS:
        return f"[{begin}{test.value} ", f"({begin}{test.value}!"
    return f"[{begin}{test.value}", f"({begin}{test.value}{_LAST}"


def _engine(test: Test) -> Range:
    return _between("e ", test)


def _label(test: Test) -> Range:
    return _between("l ", Test(Op.STARTS, f"{test.value}=") if test.op is Op.ANY else test)


def _errors(test: Test, states: frozenset[State]) -> Iterable[Range]:
    for kind, is_possible in (
        ("f", State.FAILED in states),
        ("r", bool(states - {State.FAILED})),
    ):
        if is_possible and test.op is Op.ALIKE:
            yield f"[{kind} {test.value} ", f"({kind} {test.value}!"
        elif is_possible:
            yield f"[{kind} ", f"({kind}!"


def _ids(tests: Iterable[Test], engines: Iterable[str]) -> Iterable[Range]:
    for engine in engines:
        for test in tests:
            begin = f"e {engine} {test.value}"
            yield f"[{begin}", f"[{begin}" if test.op is Op.IS else f"({begin}{_LAST}"


def is_covered(query: Query, source: Source) -> bool:
    """Return whether whatever of the source a script lets through is what the query asks for.

    Scripts look at states, and at engines and labels that are written out. Of other negations they
    do not know.
    """
    by_script = {"state"}
    if exact_values(query, "engine") is not None:
        by_script.add("engine")
    if len(exact_labels(query)) == len(query.of("label")):
        by_script.add("label")
    for term in query.terms:
        if term.key not in by_script and term.key not in source.covers:
            return False
        if term.is_negated and term.key != "state":
            return False
        if any(test.op is Op.HAS for test in term.tests):
            return False
    # A part of the index is about one term.
    return all(key in by_script or len(query.of(key)) <= 1 for key in source.covers)


def is_tallied(query: Query, source: Source) -> bool:
    """Return whether a script can count by state what the query is true of, without a look at it.

    A script that looks for a label may take it for a longer one; and what is in several parts of
    the index would count several times.
    """
    has_label = "label" in source.covers or not query.of("label")
    has_one = bool(source.places) or len(source.ranges) == 1
    return has_label and has_one and len(query.of("label")) <= 1 and is_covered(query, source)


def needed_text(query: Query) -> str:
    """Return letters and digits, in lower case, without which the query is true of nothing.

    Bytes are looked through for them, so they must not be written in two ways.
    """
    found: list[str] = []
    for term in query.terms:
        if not term.is_negated and [test.op for test in term.tests] == [Op.HAS]:
            found += _WORD.findall(str(term.tests[0].value))
    found = [one.lower() for one in found if one.lower() not in _CORRUPT]
    return max(found, key=len, default="")


def exact_labels(query: Query) -> list[str]:
    """Return the labels that a work item has to have, ``key=value``."""
    terms = [term.tests for term in query.of("label") if len(term.tests) == 1]
    return [str(tests[0].value) for tests in terms if tests[0].op is Op.IS]


def chosen(
    ordered: Source, sizes: Mapping[str, int], narrow: Sequence[Source], limit: int
) -> tuple[Source, bool]:
    """Return where to look for a page, and whether to read all of it and put it in order.

    The order of a list is kept where that costs little: what is looked at for a page does not grow
    with the queue.
    """
    best = min(narrow, key=lambda one: sizes[one.name], default=None)
    if best is None or sizes[best.name] >= sizes[ordered.name]:
        return ordered, not ordered.is_ordered and sizes[ordered.name] <= SMALL
    if sizes[best.name] <= SMALL:
        return best, True
    if ordered.is_ordered and limit * sizes[ordered.name] <= _FOR_ORDER * sizes[best.name]:
        return ordered, False
    return best, False


def in_order(works: Iterable[StoredWork], states: frozenset[State]) -> list[StoredWork]:
    """Put work items in the order of a list."""
    (state,) = states if len(states) == 1 else (None,)
    if state in (State.SLEEPING, State.RETRY_WAIT):
        return sorted(works, key=lambda one: (one.due_ms or 0, one.work_id))
    if state in FORWARD:
        return sorted(works, key=lambda one: (-one.priority, one.created_ms, one.work_id))
    if state is None:
        return sorted(works, key=lambda one: (one.created_ms, one.work_id), reverse=True)
    return sorted(works, key=lambda one: (one.updated_ms, one.work_id), reverse=True)


def only_term(query: Query, *keys: str) -> Term | None:
    """Return the one term of a query besides its states, if it has one of these keys."""
    others = [term for term in query.terms if term.key != "state"]
    if len(others) == 1 and others[0].key in keys and not others[0].is_negated:
        return others[0]
    return None
