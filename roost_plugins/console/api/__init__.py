"""The JSON API under ``/api/v1``: what the pages show, and every verb."""

from __future__ import annotations

from roost_plugins.console.api import acting, bulk, looking, openapi, reading, replaying
from roost_plugins.console.api.answering import put_keys
from roost_plugins.console.api.routing import blueprint

__all__ = ["acting", "blueprint", "bulk", "looking", "openapi", "put_keys", "reading", "replaying"]
