"""Work that is run again from a version: typed, looked at, and begun, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from roost_plugins.console.pages.item.replaying import Cost, Form, Mistyped
from roost_plugins.console.pages.item.routing import blueprint
from roost_plugins.console.pages.item.versions import label_of, readable


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
    """Show the form; nothing is done."""
    history = history_of(here(), work_id)
    asked = request.args.get("from", "").strip()[:40]
    form = Form(version=asked or str(max(1, history.work.version - 1)))
    problems = {}
    if not here().read_only:
        try:
            planned(history, form.number, None, texts_of(here()))
        except RoostError as error:
            problems["version"] = str(error)
    return _page(history, form, problems)


@blueprint.post("/<work_id>/replay")
def begin(work_id: str) -> AnyResponse:
    """Show what it would come to; or begin, if that was seen and is still so."""
    history = history_of(here(), work_id)
    form = Form.of(request.form)
    try:
        plan = _planned(history, form)
        form.id_of_fork()
        form.deadline_given()
    except Mistyped as error:
        return _page(history, form, {error.field: str(error)}, status=400)
    except (VersionGone, CorruptRecord, ArtifactError) as error:
        return _page(history, form, {"version": str(error)}, status=400)
    except InvalidInput as error:
        field = "patch" if form.patch.strip() else "lines" if form.assignments else ""
        return _page(history, form, {field: str(error)}, status=400)
    if request.form.get("do") != "start":
        return _seen(history, form.anew(), plan)
    if form.stamp != form.digest:
        text = "Nothing was begun: what you typed has changed since. This is what it comes to now."
        return _seen(history, form.anew(), plan, Told("warn", text))
    return _begun(history, form, plan)


def _planned(history: StoredHistory, form: Form) -> Replay:
    plan = planned(history, form.number, form.edit(), texts_of(here()))
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
    return redirect(_after(done, plan, form), 303)


def _after(done: Replayed, plan: Replay, form: Form) -> str:
    if form.is_in_place:
        text = (
            f"{plan.work_id}: put back to version {plan.version}, as version {done.version}: "
            f"it is {done.state.value}"
        )
    else:
        text = (
            f"{done.work_id} has begun with version {plan.version} of {plan.work_id}, as version "
            f"{done.version}: it is {done.state.value}"
        )
    said = here().notes.put(Told("good", text))
    return url_for("item.show", work_id=done.work_id, said=said)


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
    history: StoredHistory, form: Form, plan: Replay, said: Told | None = None, status: int = 200
) -> Response:
    """Show what it would come to."""
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
        stamp="" if barred else form.digest,
        seen_version=str(now.version),
        seen_fence=str(now.fence),
        seen_life=str(now.life),
        seen_state="" if now.state is None else now.state.value,
    )
    return _page(history, form, {"how": barred} if barred else {}, look, said, status)


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
