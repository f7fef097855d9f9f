"""The overview: whether all is well."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from roost_core import Roost
from roost_core.models.overview import Overview
from roost_plugins.console.here import here
from roost_plugins.console.pages.glance import glance

blueprint: Final = Blueprint("overview", __name__)


async def load(roost: Roost) -> Overview:
    """Read what the page shows, in a few round trips, however much work there is."""
    return await roost.overview()


@blueprint.get("/")
def show() -> str:
    """Show it."""
    view = glance(here().ask(load))
    return render_template(
        "overview/show.html",
        page="overview",
        view=view,
        attention=view.verdict.needs,
        mood=view.verdict.mood,
    )
