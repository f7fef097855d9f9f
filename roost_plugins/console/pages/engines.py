"""Hold and release engines."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from roost_core import Roost
from roost_core.errors import InvalidInput
from roost_plugins.console.here import here
from roost_plugins.console.notes import Told
from roost_plugins.console.pages.verbs import TOOL

blueprint: Final = Blueprint("engines", __name__, url_prefix="/engines")

#: The pages that have such a form; the reader returns to it.
_BACK: Final = {"overview": "overview.show", "workers": "workers.show"}


@blueprint.post("/<engine>/<act>")
def act(engine: str, act: str) -> Response:
    """Hold an engine, or release it, and go back to the page, which says what came of it."""
    if act not in ("hold", "release"):
        raise NotFound
    reason = request.form.get("reason", "").strip() or None
    back = _BACK.get(request.form.get("back", ""), "workers.show")

    async def carry_out(roost: Roost) -> bool:
        actor = roost.controlling.actor(None, reason, TOOL)
        handle = roost.engine(engine)
        return await (handle.hold if act == "hold" else handle.release)(actor=actor)

    try:
        note = _told(engine, act, here().ask(carry_out, timeout=30))
    except InvalidInput as error:
        note = Told("warn", f"Nothing was done. {error}")
    return redirect(url_for(back, said=here().notes.put(note)), 303)


def _told(engine: str, act: str, is_new: bool) -> Told:
    if act == "hold":
        text = "is held: no worker takes its work until it is released"
        return Told("good", f"Engine {engine} {text}.") if is_new else _already(engine, "held")
    text = "is released: workers take its work again"
    return Told("good", f"Engine {engine} {text}.") if is_new else _already(engine, "released")


def _already(engine: str, what: str) -> Told:
    return Told("accent", f"Engine {engine} was {what} already.")
