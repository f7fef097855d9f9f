"""What a verb comes to, as far as the state tells: the rules of ``docs/verbs.md``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roost_core.backend.orders import OrderOutcome
from roost_core.models.control import Verb
from roost_core.models.work import State

_D, _R = OrderOutcome.DONE, OrderOutcome.REQUESTED
_A, _U = OrderOutcome.ALREADY, OrderOutcome.UNFIT
#: The order of the verbs in the rows below.
_VERBS: Final = (Verb.CANCEL, Verb.PAUSE, Verb.RESUME, Verb.RETRY, Verb.BURY, Verb.DROP)
_WAITS: Final = (_D, _D, _A, _A, _D, _U)
_BY_STATE: Final[Mapping[State, tuple[OrderOutcome, ...]]] = {
    State.QUEUED: _WAITS,
    State.SLEEPING: _WAITS,
    State.RETRY_WAIT: _WAITS,
    State.BLOCKED: _WAITS,
    State.WAITING: _WAITS,
    State.PAUSED: (_D, _A, _D, _U, _D, _U),
    State.RUNNING: (_R, _R, _A, _A, _R, _U),
    State.DONE: (_U, _U, _U, _U, _U, _D),
    State.FAILED: (_U, _U, _U, _D, _A, _D),
    State.CANCELLED: (_A, _U, _U, _D, _U, _D),
}
#: Of running work whose step was asked for something.
_BY_WISH: Final[Mapping[Verb, tuple[OrderOutcome, ...]]] = {
    Verb.CANCEL: (_A, _U, _U, _U, _U, _U),
    Verb.PAUSE: (_R, _A, _D, _A, _R, _U),
    Verb.BURY: (_U, _U, _U, _U, _A, _U),
}


def expected(verb: Verb, state: State, wish: Verb | None) -> OrderOutcome:
    """Return ``done``, ``requested``, ``already`` or ``unfit``; the backend decides.

    It leaves a passed deadline, and records that it cannot read, to the backend.
    """
    row = _BY_STATE[state] if wish is None else _BY_WISH.get(wish, _BY_STATE[state])
    return row[_VERBS.index(verb)]
