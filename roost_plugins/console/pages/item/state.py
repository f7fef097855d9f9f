"""A work item's snapshot, and branches of it and of the payload, which pages fetch when opened."""

from __future__ import annotations

from flask import render_template, request, url_for

from roost_core.errors import InvalidInput
from roost_plugins.console.here import here
from roost_plugins.console.histories import history_of
from roost_plugins.console.kit.tree import tree
from roost_plugins.console.pages.item.page import load
from roost_plugins.console.pages.item.routing import blueprint, place, snapshots


@blueprint.get("/<work_id>/snapshot")
def whole(work_id: str) -> str:
    """Show snapshot and artifacts, as a part of the page or by themselves."""
    state = snapshots().read(here(), work_id)
    is_part = "HX-Request" in request.headers
    name = "item/state_part.html" if is_part else "item/state_page.html"
    return render_template(name, page="work", work_id=work_id, state=state)


@blueprint.get("/<work_id>/snapshot/<int:life>/<int:version>")
def branch(work_id: str, life: int, version: int) -> str:
    """Show one branch of a version's data."""
    found = snapshots().get(work_id, life, version)
    if found is None:
        found = snapshots().of_version(here(), history_of(here(), work_id), version)
    if found.snapshot is None or found.life != life:
        raise InvalidInput(f"version {version} is another work item's: read the page again")
    at, start = place()
    node = tree(found.snapshot.data, at, start)
    url = url_for("item.branch", work_id=work_id, life=life, version=version)
    return render_template("item/branch.html", node=node, url=url)


@blueprint.get("/<work_id>/payload")
def payload(work_id: str) -> str:
    """Show one branch of the payload."""
    one = here().ask(lambda roost: load(roost, work_id))
    if one.item is None:
        raise InvalidInput(one.problem or "there is no payload")
    at, start = place()
    url = url_for("item.payload", work_id=work_id)
    return render_template("item/branch.html", node=tree(one.item.payload, at, start), url=url)
