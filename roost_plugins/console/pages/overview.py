"""The overview: whether all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
from flask import Blueprint, render_template

from roost_core import Roost, State
from roost_plugins.console.here import here

blueprint: Final = Blueprint("overview", __name__)


@attrs.frozen
class Overview:
    """What the page shows.

    :ivar counts: how many work items are in each state.
    """

    counts: Mapping[State, int]


async def load(roost: Roost) -> Overview:
    """Read what the page shows, in one round trip."""
    return Overview(await roost.counts())


@blueprint.get("/")
def show() -> str:
    """Show it."""
    return render_template("overview.html", page="overview", view=here().ask(load))
