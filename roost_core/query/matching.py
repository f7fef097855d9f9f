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
class Subject:
    """What a query looks at of a work item. Times are milliseconds by the server's clock.

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


def matches(query: Query, subject: Subject, now_ms: int) -> bool:
    """Return whether every term of the query is true.

    :param now_ms: the server's clock: what ``older``, ``newer`` and ``idle`` count from.
    """
    return all(_is_true(term, subject, now_ms) is not term.is_negated for term in query.terms)


def _is_true(term: Term, subject: Subject, now_ms: int) -> bool:
    return any(_HOLDS[term.key](test, subject, now_ms) for test in term.tests)


def _named(test: Test, name: str) -> bool:
    value = str(test.value)
    return name == value if test.op is Op.IS else name.startswith(value)


def _label(test: Test, subject: Subject, _now_ms: int) -> bool:
    key, _, value = str(test.value).partition("=")
    own = subject.labels.get(key)
    return own is not None and (test.op is Op.ANY or _named(Test(test.op, value), own))


def _error(test: Test, subject: Subject, _now_ms: int) -> bool:
    error = subject.error()
    if error is None or test.op is Op.ANY:
        return error is not None
    return error[1] == test.value if test.op is Op.ALIKE else _has(test, error[0])


def _has(test: Test, text: str | None) -> bool:
    return text is not None and str(test.value).casefold() in text.casefold()


def _text(test: Test, subject: Subject, _now_ms: int) -> bool:
    if _has(test, subject.work_id) or _has(test, subject.title()):
        return True
    if any(_has(test, f"{key}={value}") for key, value in subject.labels.items()):
        return True
    error = subject.error()
    return error is not None and _has(test, error[0])


def _newer(test: Test, subject: Subject, now_ms: int) -> bool:
    return now_ms - subject.created_ms <= int(test.value)


#: Whether a value of a key is true of a work item.
_HOLDS: Final[Mapping[str, Callable[[Test, Subject, int], bool]]] = {
    "state": lambda test, subject, _: subject.state == test.value,
    "engine": lambda test, subject, _: _named(test, subject.engine),
    "id": lambda test, subject, _: _named(test, subject.work_id),
    "label": _label,
    "error": _error,
    "title": lambda test, subject, _: _has(test, subject.title()),
    "text": _text,
    "priority": lambda test, subject, _: _COMPARED[test.op](subject.priority, int(test.value)),
    "attempts": lambda test, subject, _: _COMPARED[test.op](subject.attempts, int(test.value)),
    "older": lambda test, subject, now: now - subject.created_ms >= int(test.value),
    "newer": _newer,
    "idle": lambda test, subject, now: now - subject.updated_ms >= int(test.value),
}
