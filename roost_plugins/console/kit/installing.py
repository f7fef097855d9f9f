"""Give an application's templates the kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
from flask import Flask, current_app, g

from roost_core import __version__
from roost_core.models import State, Verb
from roost_core.shown.sizes import size
from roost_core.shown.spans import ago, ahead, span, took
from roost_core.shown.verbs import UNDER_WAY, told
from roost_plugins.console.kit.folding import folded
from roost_plugins.console.kit.navigation import Place, places
from roost_plugins.console.kit.visible import coded, dated, masked, sentence, shown


@attrs.frozen
class Look:
    """How something is shown: its tone (a colour) and its icon."""

    tone: str
    icon: str


STATES: Final[Mapping[str, Look]] = {
    State.QUEUED: Look("calm", "circle-dashed"),
    State.SLEEPING: Look("calm", "moon"),
    State.RUNNING: Look("busy", "play"),
    State.RETRY_WAIT: Look("warn", "rotate-cw"),
    State.BLOCKED: Look("warn", "lock"),
    State.WAITING: Look("person", "hand"),
    State.PAUSED: Look("person", "pause"),
    State.DONE: Look("good", "check"),
    State.FAILED: Look("bad", "circle-x"),
    State.CANCELLED: Look("calm", "ban"),
}
VERBS: Final[Mapping[str, Look]] = {
    Verb.CANCEL: Look("bad", "ban"),
    Verb.PAUSE: Look("calm", "pause"),
    Verb.RESUME: Look("calm", "play"),
    Verb.RETRY: Look("calm", "rotate-cw"),
    Verb.BURY: Look("bad", "skull"),
    Verb.DROP: Look("bad", "trash-2"),
}


def install(app: Flask, now: Callable[[], datetime], asset: Callable[[str], str]) -> None:
    """Add the filters and functions that the macros use.

    :param now: the server's clock.
    :param asset: the URL of a static file.
    """

    def at_once() -> datetime:
        # One page, one clock: two times of it can be compared.
        if "kit_now" not in g:
            g.kit_now = now()
        return g.kit_now  # type: ignore[no-any-return]  # flask.g has no types

    app.jinja_env.filters.update(
        shown=shown,
        masked=masked,
        coded=coded,
        sentence=sentence,
        span=span,
        took=took,
        size=size,
        iso=_iso,
        exact=_exact,
    )
    functions: Mapping[str, Any] = {
        "asset": asset,
        "kit_ago": lambda at: ago(at, at_once()),
        "kit_ahead": lambda at: ahead(at, at_once()),
        "kit_for": lambda at: span(max(0, int((at_once() - at).total_seconds()))),
        "kit_dated": dated,
        "kit_folded": folded,
        "kit_places": _places,
        "kit_states": STATES,
        "kit_verbs": VERBS,
        "kit_told": told,
        "kit_version": __version__,
        "kit_under_way": UNDER_WAY,
    }
    app.jinja_env.globals.update(functions)


def _places() -> Sequence[Place]:
    return places(current_app)


def _iso(at: datetime) -> str:
    """Return a time as scripts read it, in milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exact(at: datetime) -> str:
    """Return a time in full, for readers without scripts."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
