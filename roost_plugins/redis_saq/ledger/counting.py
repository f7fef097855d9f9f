"""What of a count the index tells exactly, without looking at work. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roost_core.models import State
from roost_core.query import By, Op, Query, Term
from roost_plugins.redis_saq.ledger import sources
from roost_plugins.redis_saq.ledger.sources import ALL, DEAD, RETRYING, Range

_EVERY = frozenset(State)


def parts(query: Query, by: By | None, engines: Sequence[str] | None) -> tuple[Range, ...] | None:
    """Return parts of the index whose members are what a query is true of, each once.

    If counted ``by`` a label or the error without a term about it, what has none is missing there.

    :param engines: all that there are; None if they are not known.
    :returns: None if there are no such parts.
    """
    states = sources.states_of(query)
    others = [term for term in query.terms if term.key != "state"]
    if not others:
        return _of_all(by, states)
    term = sources.only_term(query, "engine", "label", "error", "id")
    if term is None or any(test.op is Op.HAS for test in term.tests):
        return None
    if term.key == "error":
        if by not in (None, By("error")) or states not in (_EVERY, {State.FAILED}):
            return None
    elif states != _EVERY or not _goes_with(by, term):
        return None
    if len(term.tests) > 1 and not _are_apart(term):
        return None
    (found,) = sources.in_index(query, engines) or (None,)
    return None if found is None else found.ranges


def _of_all(by: By | None, states: frozenset[State]) -> tuple[Range, ...] | None:
    if by == By("error") and states == {State.FAILED}:
        return (DEAD,)
    if by is None or states != _EVERY:
        return None
    if by.what == "engine":
        return (ALL,)
    if by.what == "error":
        return (DEAD, RETRYING)
    return ((f"[l {by.key}=", f"(l {by.key}=\xff"),) if by.what == "label" else None


def _goes_with(by: By | None, term: Term) -> bool:
    if by is None:
        return True
    if by.what == "label" and term.key == "label":
        return {_key(str(test.value)) for test in term.tests} == {by.key}
    return by.what == term.key == "engine"


def _are_apart(term: Term) -> bool:
    """Return whether no work item is in the part of two tests."""
    values = [str(test.value) for test in term.tests]
    is_exact = {test.op for test in term.tests} <= {Op.IS, Op.ALIKE}
    is_one_label = term.key != "label" or len({_key(value) for value in values}) == 1
    return is_exact and is_one_label and len(set(values)) == len(values)


def _key(value: str) -> str:
    return value.partition("=")[0]


def name_of(group: str) -> str:
    """Return the name of a group of members: ``e crawl``, ``l team=search``, ``f 0123``."""
    kind, _, rest = group.partition(" ")
    return rest.partition("=")[2] if kind == "l" else rest
