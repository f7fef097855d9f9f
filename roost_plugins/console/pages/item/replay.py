"""Work that is run again from a version: typed, looked at, and begun, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from roost_core import Roost
from roost_core.backend import StoredHistory
from roost_core.client.replaying import Replay, Replayed, planned
from roost_core.errors import (
    ArtifactError,
    BackendUnavailable,
    CorruptRecord,
    InvalidInput,
    RoostError,
    VersionGone,
    WorkIdTaken,
)
from roost_core.models import Json
from roost_core.shown.versions import snapshot
from roost_plugins.console.here import here
from roost_plugins.console.histories import history_of, texts_of
from roost_plugins.console.notes import Told
from roost_plugins.console.pages import verbs
from roost_plugins.console.pages.item import replaying
from roost_plugins.console.pages.item.compared import Differences, differences_of
from roost_plugins.console.pages.item.looks import Looked
from roost_plugins.console.pages.item.replaying import Cost, Form, Mistyped
from roost_plugins.console.pages.item.routing import blueprint, looks
from roost_plugins.console.pages.item.versions import label_of, readable

#: What is wrong with what was typed.
_MISTAKES: Final = (VersionGone, CorruptRecord, ArtifactError, InvalidInput)


@attrs.frozen
class Look:
    """What running it again would come to."""

    plan: Replay
    differences: Differences
    cost: Cost


@attrs.frozen
class ReplayView:
    """What the page shows.

    :ivar form: what is typed.
    :ivar problems: what is wrong with a field, by its name; of the whole, by an empty one.
    :ivar look: what it would come to, once that was asked for.
    :ivar barred: why the work cannot be put back in its own place.
    :ivar said: what has become of a form that was sent to begin.
    """

    history: StoredHistory
    form: Form
    problems: Mapping[str, str]
    look: Look | None
    barred: str
    is_late: bool
    choices: Sequence[tuple[int, str]]
    said: Told | None = None

    @property
    def work_id(self) -> str:
        """Whose."""
        return self.history.work.work_id

    @property
    def hint(self) -> str:
        """Which versions can be read."""
        return readable(self.history)


@blueprint.get("/<work_id>/replay")
def replay(work_id: str) -> Response:
    """Show the form, or what it comes to if it was sent for a look; nothing is done."""
    history = history_of(here(), work_id)
    key, said = request.args.get("look", ""), None
    if key:
        looked = looks().get(key, history.work.work_id)
        if looked is not None:
            return _looked(history, looked)
        said = Told("warn", "What was typed here is not kept any more: type it again.")
    asked = request.args.get("from", "").strip()[:40]
    form = Form(version=asked or str(max(1, history.work.version - 1)))
    problems = {}
    if not here().read_only:
        try:
            planned(history, form.number, None, texts_of(here()))
        except RoostError as error:
            problems["version"] = str(error)
    return _page(history, form, problems, said=said)


@blueprint.post("/<work_id>/replay")
def begin(work_id: str) -> AnyResponse:
    """Send on to what it would come to; or begin, if that was seen and is still so."""
    history = history_of(here(), work_id)
    if not request.form:
        raise InvalidInput("no form was sent: open the page and use its buttons")
    form = Form.of(request.form)
    if request.form.get("do") != "start":
        return _sent_on(history, form)
    if form.stamp != form.digest:
        text = "Nothing was begun: what you typed has changed since. This is what it comes to now."
        return _sent_on(history, form, Told("warn", text))
    try:
        plan = _planned(history, form)
    except _MISTAKES as error:
        return _mistaken(history, form, error)
    return _begun(history, form, plan)


def _sent_on(history: StoredHistory, form: Form, said: Told | None = None) -> AnyResponse:
    """Send the browser on to a page that it can come back to."""
    work_id = history.work.work_id
    key = looks().put(Looked(work_id, form.anew(), said))
    return redirect(url_for("item.replay", work_id=work_id, look=key), 303)


def _looked(history: StoredHistory, looked: Looked) -> Response:
    form, said = looked.form, looked.said
    try:
        plan = _planned(history, form)
    except _MISTAKES as error:
        return _mistaken(history, form, error)
    if looked.begun:
        text = f"This has begun already: {looked.begun}. Preview it again to begin it once more."
        return _seen(history, form, plan, Told("accent", text), may_begin=False)
    new_id = form.id_of_fork()
    if new_id is not None and _is_there(form):
        problem = f"the id {new_id} is taken: choose another one, or leave the field empty"
        return _seen(history, form, plan, said, {"new_id": problem}, may_begin=False)
    return _seen(history, form, plan, said)


def _mistaken(history: StoredHistory, form: Form, error: RoostError) -> Response:
    """Show what is wrong beside its field."""
    if isinstance(error, Mistyped):
        field = error.field
    elif isinstance(error, InvalidInput):
        field = "patch" if form.patch.strip() else "lines" if form.assignments else ""
    else:
        field = "version"
    return _page(history, form, {field: str(error)}, status=400)


def _planned(history: StoredHistory, form: Form) -> Replay:
    """Return what the form comes to.

    :raises RoostError: it cannot be carried out: one of :data:`_MISTAKES`.
    """
    plan = planned(history, form.number, form.edit(), texts_of(here()))
    form.id_of_fork()
    form.deadline_given()
    needs_deadline = form.is_in_place and replaying.is_late(history, here().now())
    if needs_deadline and not form.deadline.strip():
        raise Mistyped("deadline", "its deadline has passed: give a new one")
    return plan


def _begun(history: StoredHistory, form: Form, plan: Replay) -> AnyResponse:
    """Begin, once however often the form is sent."""
    if not form.is_in_place and replaying.has_changed(form, plan) and not _is_there(form):
        return _seen(history, form, plan, _changed(form, plan))

    async def start(roost: Roost) -> Replayed:
        actor = roost.controlling.actor(None, form.reason.strip() or None, verbs.TOOL)
        return await roost.work(plan.work_id).replay(
            plan,
            in_place=form.is_in_place,
            work_id=form.id_of_fork(),
            actor=actor,
            request_id=form.request,
            seen=form.seen,
            **form.deadline_given(),
        )

    try:
        done = here().ask(start, timeout=30)
    except BackendUnavailable as error:
        text = "There was no answer, so it is not known whether it has begun. Send it again"
        note = Told("bad", f"{text} once the server is back: it counts once. ({error})")
        return _seen(history, form, plan, note, status=503)
    except WorkIdTaken as error:
        problem = str(error).replace("leave --work-id out", "leave the field empty")
        return _page(history, form, {"new_id": problem}, status=409)
    except InvalidInput as error:
        field = "deadline" if "deadline" in str(error) else "reason"
        return _page(history, form, {field: str(error)}, status=400)
    except RoostError as error:
        history = history_of(here(), plan.work_id)
        plan = _planned(history, form)
        note = verbs.refused(error)
        if replaying.has_changed(form, plan):
            note = _changed(form, plan)
        return _seen(history, form, plan, note, status=409)
    text = _after(done, plan, form)
    looks().begun(form.request, plan.work_id, text)
    said = here().notes.put(Told("good", text))
    return redirect(url_for("item.show", work_id=done.work_id, said=said), 303)


def _after(done: Replayed, plan: Replay, form: Form) -> str:
    if form.is_in_place:
        return (
            f"{plan.work_id}: put back to version {plan.version}, as version {done.version}: "
            f"it is {done.state.value}"
        )
    return (
        f"{done.work_id} has begun with version {plan.version} of {plan.work_id}, as version "
        f"{done.version}: it is {done.state.value}"
    )


def _is_there(form: Form) -> bool:
    """Whether there is work with the new id: then it may be by the same form, sent before."""

    async def found(roost: Roost) -> bool:
        return await roost.ledger.facts(replaying.fork_id(form)) is not None

    return here().ask(found)


def _changed(form: Form, plan: Replay) -> Told:
    seen = form.seen
    then = "another version" if seen is None else f"version {seen.version}"
    now = f"version {plan.newest}, and is {plan.state.value.replace('_', ' ')}"
    text = f"Nothing was begun: {plan.work_id} has changed since. It was at {then}, and is at {now}"
    return Told("warn", f"{text}. This is what it comes to now.")


# -- the page ------------------------------------------------------------------------------------


def _seen(
    history: StoredHistory,
    form: Form,
    plan: Replay,
    said: Told | None = None,
    problems: Mapping[str, str] | None = None,
    *,
    may_begin: bool = True,
    status: int = 200,
) -> Response:
    """Show what it would come to.

    :param may_begin: whether there is a button for it, unless the work cannot be put back.
    """
    barred = replaying.barred(history) if form.is_in_place else ""
    before = _data(history, plan.version) or {}
    look = Look(
        plan,
        differences_of(plan.differences, before, dict(plan.snapshot.data)),
        replaying.cost_of(history, plan.version),
    )
    now = plan.seen
    form = attrs.evolve(
        form,
        stamp=form.digest if may_begin and not barred else "",
        seen_version=str(now.version),
        seen_fence=str(now.fence),
        seen_life=str(now.life),
        seen_state="" if now.state is None else now.state.value,
    )
    found = {**(problems or {}), **({"how": barred} if barred else {})}
    return _page(history, form, found, look, said, status)


def _data(history: StoredHistory, version: int) -> dict[str, Json] | None:
    """Return the data of a version; None if it cannot be read."""
    try:
        return dict(snapshot(history, version, texts_of(here()).whole).data)
    except (VersionGone, CorruptRecord):
        return None


def _page(
    history: StoredHistory,
    form: Form,
    problems: Mapping[str, str],
    look: Look | None = None,
    said: Told | None = None,
    status: int = 200,
) -> Response:
    numbers = history.versions
    view = ReplayView(
        history=history,
        form=form,
        problems=problems,
        look=look,
        barred=replaying.barred(history),
        is_late=replaying.is_late(history, here().now()),
        choices=[(one, label_of(history, one)) for one in numbers] if len(numbers) <= 300 else (),
        said=said,
    )
    return make_response(render_template("item/replay.html", page="work", view=view), status)
