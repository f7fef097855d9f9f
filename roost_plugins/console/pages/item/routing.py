"""What the routes of one work item share."""

from __future__ import annotations

from typing import Final, cast

from flask import Blueprint, current_app, request
from flask.blueprints import BlueprintSetupState

from roost_core.errors import InvalidInput
from roost_plugins.console.pages.item.looks import Looks
from roost_plugins.console.pages.item.snapshots import Snapshots

blueprint: Final = Blueprint("item", __name__, url_prefix="/work")
_KEY: Final = "roost_snapshots"
_LOOKS: Final = "roost_looks"


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions[_KEY] = Snapshots()
    state.app.extensions[_LOOKS] = Looks()


def snapshots() -> Snapshots:
    """Return the snapshots that this console has read last."""
    return cast("Snapshots", current_app.extensions[_KEY])


def looks() -> Looks:
    """Return the replays that were looked at last."""
    return cast("Looks", current_app.extensions[_LOOKS])


def place() -> tuple[str, int]:
    """Return which branch of a tree is asked for, and from which of its children on.

    :raises InvalidInput: that is no number.
    """
    start = request.args.get("start", "0")
    if not (start.isascii() and start.isdecimal()) or len(start) > 9:
        raise InvalidInput(f"start: {start!r:.40} is not a whole number")
    return request.args.get("at", ""), int(start)
