"""The workers, what each does, and the engines that they offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from flask import Blueprint, render_template

from roost_core.models import HeldEngine
from roost_core.models.overview import Overview
from roost_plugins.console.here import here

blueprint: Final = Blueprint("workers", __name__)


@attrs.frozen
class EngineNow:
    """An engine that somebody offers, holds or waits for.

    :ivar workers: how many live workers offer it.
    :ivar hung: how many of these hang.
    :ivar waiting: how much of its work is known to wait.
    :ivar held: who holds it, if it is held.
    """

    engine: str
    workers: int
    hung: int
    waiting: int
    held: HeldEngine | None


@attrs.frozen
class Register:
    """What the page shows.

    :ivar found: all that is known.
    :ivar engines: by name.
    """

    found: Overview
    engines: Sequence[EngineNow]

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self.found.workers) + self.found.more_workers

    @property
    def bad(self) -> int:
        """How many of them hang or are silent."""
        return sum(one.is_hung or one.silent_seconds is not None for one in self.found.workers)


def register(found: Overview) -> Register:
    """Return what there is to show."""
    held = {one.engine: one for one in found.held_engines}
    waiting: dict[str, int] = {}
    for group in found.waiting:
        if group.engine is not None:
            waiting[group.engine] = waiting.get(group.engine, 0) + group.count
    offered = {engine for one in found.workers for engine in one.info.engines}
    return Register(
        found,
        [
            _engine(engine, found, waiting.get(engine, 0), held.get(engine))
            for engine in sorted(offered | held.keys() | waiting.keys())
        ],
    )


def _engine(engine: str, found: Overview, waiting: int, held: HeldEngine | None) -> EngineNow:
    own = [one for one in found.workers if engine in one.info.engines]
    return EngineNow(engine, len(own), sum(one.is_hung for one in own), waiting, held)


@blueprint.get("/workers")
def show() -> str:
    """Show them."""
    view = register(here().overview())
    return render_template(
        "workers.html", page="workers", view=view, as_of=view.found.now, attention=view.bad
    )
