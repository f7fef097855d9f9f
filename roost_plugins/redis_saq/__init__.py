"""The backend that ships: Redis or Valkey, with lanes run by SAQ's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core import hookimpl
from roost_plugins.redis_saq.connection import urls
from roost_plugins.redis_saq.settings import EmbeddedSettings, RedisSettings

if TYPE_CHECKING:
    from roost_core.backend import Server
    from roost_core.settings import Settings


@hookimpl
def register_settings() -> tuple[type[RedisSettings], type[EmbeddedSettings]]:
    """Declare where the server is, and how Roost's own runs."""
    return RedisSettings, EmbeddedSettings


@hookimpl(trylast=True)
def backend(settings: Settings) -> Server | None:
    """Take Redis URLs, and an empty one: that is the embedded server.

    Last, because whoever chose another backend gave no URL either.
    """
    url = settings.of(RedisSettings).url
    if url and not urls.is_ours(url):
        return None
    from roost_plugins.redis_saq.server import RedisServer

    return RedisServer(settings)
