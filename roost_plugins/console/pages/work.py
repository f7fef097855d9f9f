"""The list of work items that a query finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from flask import Blueprint, render_template, request

from roost_core import Roost
from roost_core.models import WorkRow
from roost_plugins.console.here import here

blueprint: Final = Blueprint("work", __name__)

_ROWS: Final = 50


@attrs.frozen
class WorkList:
    """What the page shows.

    :ivar query: as it was typed.
    :ivar rows: what it finds, a page of it.
    """

    query: str
    rows: Sequence[WorkRow]


async def load(roost: Roost, query: str) -> WorkList:
    """Read what the page shows.

    :raises InvalidInput: the query cannot be read.
    """
    return WorkList(query, (await roost.find(query, limit=_ROWS)).rows)


@blueprint.get("/work")
def show() -> str:
    """Show it."""
    query = request.args.get("q", "")
    view = here().ask(lambda roost: load(roost, query))
    return render_template("work.html", page="work", view=view)
