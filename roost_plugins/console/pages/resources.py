"""The resources: who holds each, until when, and who waits."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template

from roost_plugins.console.here import here
from roost_plugins.console.pages.overview import load

blueprint: Final = Blueprint("resources", __name__)


@blueprint.get("/resources")
def show() -> str:
    """Show them."""
    return render_template("resources.html", page="resources", found=here().ask(load))
