"""Dead letters, by what their errors have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
from flask import Blueprint, render_template

from roost_core import Roost
from roost_core.models import ErrorRecord, State
from roost_plugins.console.here import here

blueprint: Final = Blueprint("failed", __name__)

#: This many groups are shown.
MOST: Final = 50


@attrs.frozen
class Failures:
    """Dead letters whose errors are alike.

    :ivar error: of one of them; None if it is not kept.
    :ivar engines: their engines, or of a large group those of the newest; empty if not known.
    :ivar newest_at: when the newest of them failed; None if not known.
    :ivar example: a work item of them; None if not known.
    """

    fingerprint: str
    count: int
    error: ErrorRecord | None
    engines: tuple[str, ...] = ()
    newest_at: datetime | None = None
    example: str | None = None

    @property
    def query(self) -> str:
        """What finds them, and no others."""
        return f"state:failed error:#{self.fingerprint}"

    @property
    def arguments(self) -> str:
        """The query as it is typed in a shell."""
        return f"state:failed 'error:#{self.fingerprint}'"


@attrs.frozen
class DeadLetters:
    """What the page shows.

    :ivar total: how many dead letters there are.
    :ivar groups: those whose newest are known, the newest first; then the largest.
    :ivar more: how many groups more there are.
    :ivar is_exact: False if not all were looked at: there are at least this many of each.
    """

    total: int
    groups: Sequence[Failures]
    more: int
    is_exact: bool
    is_indexed: bool


async def load(roost: Roost) -> DeadLetters:
    """Read what the page shows, in a few requests at once."""
    overview, counted = await asyncio.gather(
        roost.overview(), roost.count("state:failed", by="error")
    )
    newest = {one.fingerprint: one for one in overview.failures}
    groups = []
    for group in counted.groups:
        if group.name is None:
            continue
        known = newest.get(group.name)
        groups.append(
            Failures(group.name, group.count, group.error)
            if known is None
            else Failures(
                group.name,
                group.count,
                group.error or known.error,
                known.engines,
                known.newest_at,
                known.example,
            )
        )
    groups.sort(key=_order)
    return DeadLetters(
        total=overview.counts.get(State.FAILED, 0),
        groups=groups[:MOST],
        more=max(0, len(groups) - MOST),
        is_exact=counted.is_exact,
        is_indexed=counted.is_indexed and overview.is_indexed,
    )


def _order(one: Failures) -> tuple[float, int, str]:
    newest = 0.0 if one.newest_at is None else -one.newest_at.timestamp()
    return newest, -one.count, one.fingerprint


@blueprint.get("/failed")
def show() -> str:
    """Show it."""
    return render_template("failed.html", page="failed", view=here().ask(load))
