"""The page of one work item: what it is, why it does or does not run, its life, and the verbs."""

from __future__ import annotations

from roost_plugins.console.pages.item import acting, artifacts, diff, history, page, replay, state
from roost_plugins.console.pages.item.routing import blueprint

__all__ = ["acting", "artifacts", "blueprint", "diff", "history", "page", "replay", "state"]
