"""A console on a real server, with work to attack, and with a page that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import attrs
from flask import Blueprint

from roost_core import Settings, SyncRoost
from roost_plugins.console.serving import app
from tests.consoles import Site, console_here, plugins_of

pages = Blueprint("pages_of_tests", __name__)


@pages.get("/tested/fault")
def fault() -> str:
    """Fail."""
    raise ZeroDivisionError("a detail, redis://me:hunter2@db/0 password=hunter2 \x1b[31m\nred")


@attrs.frozen(eq=False)
class Bench:
    """A console, a connection beside it, and a work item that nobody may change unasked."""

    site: Site
    roost: SyncRoost
    work_id: str

    @property
    def path(self) -> str:
        """Where a POST cancels the work item."""
        return f"/work/{self.work_id}/cancel"

    def stands(self) -> tuple[str, list[str]]:
        """Return the work item's state, and its events."""
        work = self.roost.work(self.work_id)
        return work.row().meta.state, [one.kind for one in work.events()]


#: How the work item stands while nobody has done anything.
UNCHANGED = ("queued", ["enqueued"])


@contextlib.contextmanager
def bench(settings: Settings, patch: Any, **own: Any) -> Iterator[Bench]:
    """Serve a console; its application gets the page above besides its own.

    A browser is signed in, unless it needs another URL for that.
    """
    is_ours = "external_url" not in own
    patch.setattr(app, "BLUEPRINTS", (*app.BLUEPRINTS, pages))
    with (
        SyncRoost.connect(settings, plugins=plugins_of()) as roost,
        console_here(settings, **own) as site,
    ):
        item = roost.enqueue("none", {"a": 1}, any_engine=True)
        yield Bench(site.sign_in() if is_ours else site, roost, item.work_id)
