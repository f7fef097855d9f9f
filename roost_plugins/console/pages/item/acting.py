"""Verbs on one work item."""

from __future__ import annotations

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from roost_core import Roost
from roost_core.client.control import VerbResult
from roost_core.errors import BackendUnavailable, CorruptRecord, InvalidInput, VerbUnfit
from roost_core.models import Verb
from roost_plugins.console.here import here
from roost_plugins.console.pages import verbs
from roost_plugins.console.pages.item.routing import blueprint


@blueprint.post("/<work_id>/<verb>")
def act(work_id: str, verb: str) -> Response:
    """Use a verb, and go back to the page, which says what came of it."""
    wanted = verbs.verb_of(verb)
    form = request.form.to_dict()

    async def carry_out(roost: Roost) -> VerbResult:
        handle = roost.work(work_id)
        order = await verbs.order_of(roost, wanted, form)
        return await roost.controlling.carry_out(handle.id, order)

    is_gone = False
    try:
        result = here().ask(carry_out, timeout=30)
        note, is_gone = verbs.told(result), result.verb is Verb.DROP and result.state is None
    except (VerbUnfit, InvalidInput, CorruptRecord) as error:
        note = verbs.refused(error)
    except BackendUnavailable as error:
        note = verbs.unanswered(error)
    said = here().notes.put(note)
    if is_gone:
        return redirect(url_for("work.show", said=said), 303)
    return redirect(url_for("item.show", work_id=work_id, said=said), 303)
