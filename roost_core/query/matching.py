"""Whether a work item is one that a query asks for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from roost_core.models.work import State
from roost_core.query.terms import Op, Query, Term, Test

_COMPARED: Final[Mapping[Op, Callable[[int, int], bool]]] = {
    Op.EQUAL: operator.eq,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
}


@attrs.frozen(eq=False)
class Facts:
    """What a query looks at. Times are milliseconds by the server's clock.

    ``error`` and ``title`` are asked for only if the query needs them: an error's text, which is
    its kind, type and message, and its fingerprint; None for none.
    """

    work_id: str
    engine: str
    state: State
    labels: Mapping[str, str]
    priority: int
    attempts: int
    created_ms: int
    updated_ms: int
    title: Callable[[], str | None]
    error: Callable[[], tuple[str, str] | None]


def matches(query: Query, facts: Facts, now_ms: int) -> bool:
    """Return whether every term of the query is true.

    :param now_ms: the server's clock: what ``older``, ``newer`` and ``idle`` count from.
    """
    return all(_is_true(term, facts, now_ms) is not term.is_negated for term in query.terms)


def _is_true(term: Term, facts: Facts, now_ms: int) -> bool:
    return any(_HOLDS[term.key](test, facts, now_ms) for test in term.tests)


def _named(test: Test, name: str) -> bool:
    value = str(test.value)
    return name == value if test.op is Op.IS else name.startswith(value)


def _label(test: Test, facts: Facts, _now_ms: int) -> bool:
    key, _, value = str(test.value).partition("=")
    own = facts.labels.get(key)
    return own is not None and (test.op is Op.ANY or _named(Test(test.op, value), own))


def _error(test: Test, facts: Facts, _now_ms: int) -> bool:
    error = facts.error()
    if error is None or test.op is Op.ANY:
        return error is not None
    return error[1] == test.value if test.op is Op.ALIKE else _has(test, error[0])


def _has(test: Test, text: str | None) -> bool:
    return text is not None and str(test.value).casefold() in text.casefold()


def _text(test: Test, facts: Facts, _now_ms: int) -> bool:
    if _has(test, facts.work_id) or _has(test, facts.title()):
        return True
    if any(_has(test, f"{key}={value}") for key, value in facts.labels.items()):
        return True
    error = facts.error()
    return error is not None and _has(test, error[0])


def _newer(test: Test, facts: Facts, now_ms: int) -> bool:
    return now_ms - facts.created_ms <= int(test.value)


#: Whether a value of a key is true of a work item.
_HOLDS: Final[Mapping[str, Callable[[Test, Facts, int], bool]]] = {
    "state": lambda test, facts, _: facts.state == test.value,
    "engine": lambda test, facts, _: _named(test, facts.engine),
    "id": lambda test, facts, _: _named(test, facts.work_id),
    "label": _label,
    "error": _error,
    "title": lambda test, facts, _: _has(test, facts.title()),
    "text": _text,
    "priority": lambda test, facts, _: _COMPARED[test.op](facts.priority, int(test.value)),
    "attempts": lambda test, facts, _: _COMPARED[test.op](facts.attempts, int(test.value)),
    "older": lambda test, facts, now: now - facts.created_ms >= int(test.value),
    "newer": _newer,
    "idle": lambda test, facts, now: now - facts.updated_ms >= int(test.value),
}
