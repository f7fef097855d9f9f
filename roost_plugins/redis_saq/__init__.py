"""The backend that ships: Redis or Valkey, with lanes run by SAQ's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_core.markers import hookimpl

if TYPE_CHECKING:
    from roost_core.backend import Backend
    from roost_core.settings import Settings

_SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://")


# Not named after the hook: importing the submodule ``backend`` would replace it.
@hookimpl(specname="backend")
def provide_backend(settings: Settings) -> Backend | None:
    """Take Redis URLs, and an empty one: that is the embedded server."""
    if settings.redis_url and not settings.redis_url.startswith(_SCHEMES):
        return None
    from roost_plugins.redis_saq.backend import RedisSaqBackend

    return RedisSaqBackend(settings)
