"""The backend that ships: Redis or Valkey, with lanes run by SAQ's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.markers import hookimpl
from roost_plugins.redis_saq.connection import urls

if TYPE_CHECKING:
    from roost_core.backend import Server
    from roost_core.settings import Settings


@hookimpl
def backend(settings: Settings) -> Server | None:
    """Take Redis URLs, and an empty one: that is the embedded server."""
    if settings.redis_url and not urls.is_ours(settings.redis_url):
        return None
    from roost_plugins.redis_saq.server import RedisServer

    return RedisServer(settings)
