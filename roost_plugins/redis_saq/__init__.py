"""The backend that ships: Redis or Valkey, with lanes run by SAQ's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.markers import hookimpl
from roost_plugins.redis_saq.connection import urls

if TYPE_CHECKING:
    from roost_core.backend import Backend
    from roost_core.settings import Settings


# Not named after the hook: importing the submodule ``backend`` would replace it.
@hookimpl(specname="backend")
def provide_backend(settings: Settings) -> Backend | None:
    """Take Redis URLs, and an empty one: that is the embedded server."""
    if settings.redis_url and not urls.is_ours(settings.redis_url):
        return None
    from roost_plugins.redis_saq.backend import RedisSaqBackend

    return RedisSaqBackend(settings)
