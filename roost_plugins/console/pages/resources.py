"""The resources: who holds each, until when, and who waits."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from roost_plugins.console.here import here

blueprint: Final = Blueprint("resources", __name__)


@blueprint.get("/resources")
def show() -> str:
    """Show them."""
    found = here().overview()
    return render_template("resources.html", page="resources", found=found, as_of=found.now)
