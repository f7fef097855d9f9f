"""The overview: whether all is well."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from roost_plugins.console.here import here
from roost_plugins.console.pages.glance import glance

blueprint: Final = Blueprint("overview", __name__)


@blueprint.get("/")
def show() -> str:
    """Show it."""
    view = glance(here().overview())
    return render_template(
        "overview/show.html",
        page="overview",
        view=view,
        as_of=view.found.now,
        attention=view.verdict.needs,
        mood=view.verdict.mood,
    )
