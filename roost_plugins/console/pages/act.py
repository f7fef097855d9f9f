"""A verb on many work items: what it would be used on, then how far it is, and what came of it."""

from __future__ import annotations

import shlex
from typing import Final

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from roost_core import Roost
from roost_core.backend import Order
from roost_core.cli.work import previews
from roost_core.errors import InvalidInput
from roost_core.models import check_seconds
from roost_plugins.console.acting.run import Phase, Run
from roost_plugins.console.acting.runs import so_far
from roost_plugins.console.acting.target import Target
from roost_plugins.console.here import here
from roost_plugins.console.notes import Told
from roost_plugins.console.pages import verbs

blueprint: Final = Blueprint("act", __name__, url_prefix="/act")

#: From this many on, a person types the number; from fewer on for what ends or removes work.
TYPED_FROM: Final = 1000
BAD_TYPED_FROM: Final = 100
#: What a form for many takes besides a reason.
_LIMITS: Final = ("attempts", "delay", "deadline", "max_steps")


@blueprint.get("/<verb>")
def look(verb: str) -> Response:
    """Show what a verb would be used on; nothing is done."""
    target = Target.of(verbs.verb_of(verb), request.args.get("q", ""), request.args.getlist("id"))
    run = here().runs.look(here().connection, target)
    if run.phase is Phase.LOOKING:
        return redirect(url_for("act.show", key=run.key, list=_list()), 303)
    return _page(run)


@blueprint.post("/<verb>")
def act(verb: str) -> Response:
    """Use a verb on what a preview has shown."""
    wanted = verbs.verb_of(verb)
    form = request.form.to_dict()
    run = here().runs.get(form.get("key", ""))
    if run is None or run.verb is not wanted:
        # Nobody may act on what was not seen.
        note = Told("warn", "Nothing was done: what you saw is too long ago. This is how it is.")
        again = url_for(
            "act.look",
            verb=verb,
            q=form.get("q") or None,
            id=request.form.getlist("id"),
            list=_list(),
            said=here().notes.put(note),
        )
        return redirect(again, 303)
    try:
        over = _over(form.get("over", ""))
        _check_number(run, form.get("number", ""))
        wishes = {"reason": form.get("reason", ""), **{one: form.get(one, "") for one in _LIMITS}}

        async def order(roost: Roost) -> Order:
            return await verbs.order_of(roost, wanted, wishes)

        here().runs.act(here().connection, run, order, over, _command(run, form))
    except InvalidInput as error:
        return _page(run, problem=str(error), status=400)
    return redirect(url_for("act.show", key=run.key, list=_list()), 303)


@blueprint.get("/run/<key>")
def show(key: str) -> Response:
    """Show how far it is, or what came of it."""
    run = here().runs.get(key)
    if run is None:
        return make_response(render_template("act/gone.html", page="work", list=_list()), 404)
    return _page(run)


@blueprint.post("/run/<key>/cancel")
def cancel(key: str) -> Response:
    """End it; what is done stays done."""
    run = here().runs.get(key)
    if run is not None:
        here().runs.cancel(here().connection, run)
    return redirect(url_for("act.show", key=key, list=_list()), 303)


def _page(run: Run, problem: str = "", status: int = 200) -> Response:
    preview = run.preview
    text = render_template(
        "act/show.html",
        page="work",
        run=run,
        problem=problem,
        noun="" if preview is None else previews.noun(preview),
        left_out=[] if preview is None else list(previews.left_out(run.verb, preview)),
        typed=_is_typed(run),
        totals=previews.totals(run.verb, run.total, run.counts, run.failed),
        so_far=so_far(run),
        list=_list(),
        form=request.form,
        is_bad=run.verb in verbs.IS_BAD,
    )
    return make_response(text, status)


def _list() -> str | None:
    """Return the query of the list that the reader came from, to go back to."""
    return request.values.get("list", "")[:2000] or None


def _over(text: str) -> float:
    if not text.strip():
        return 0.0
    return check_seconds(verbs.seconds_of(text.strip(), "the time to spread over"), "the time")


def _is_typed(run: Run) -> bool:
    return run.total >= (BAD_TYPED_FROM if run.verb in verbs.IS_BAD else TYPED_FROM)


def _check_number(run: Run, text: str) -> None:
    if not _is_typed(run):
        return
    typed = "".join(one for one in text if one not in ",. '\u00a0\u2009\u202f_")
    if typed != str(run.total):
        raise InvalidInput(f"type how many they are, {run.total:,}: nothing was done yet")


def _command(run: Run, form: dict[str, str]) -> str:
    flags = {
        "--over": form.get("over", ""),
        "--attempts": form.get("attempts", ""),
        "--delay-seconds": form.get("delay", ""),
        "--deadline": form.get("deadline", ""),
        "--max-steps": form.get("max_steps", ""),
        "--reason": form.get("reason", ""),
    }
    given = [word for flag, text in flags.items() if text.strip() for word in (flag, text.strip())]
    return f"{run.target.command} {shlex.join(given)}".rstrip()
