"""How the contract reaches the backends that this project has."""

from __future__ import annotations

import uuid
from typing import Any

from roost_core.settings import Settings
from roost_core.testing.contract import Harness
from roost_plugins import redis_saq
from roost_plugins.redis_saq.backend import RedisSaqBackend
from tests import redis_pokes


class RedisHarness(Harness):
    """The real backend over a server that others use too: a namespace each."""

    def __init__(self, url: str, **more: Any) -> None:
        settings = Settings(redis_url=url, namespace=f"t-{uuid.uuid4().hex}", **more)
        backend = redis_saq.provide_backend(settings)
        assert isinstance(backend, RedisSaqBackend)
        self._backend = backend

    @property
    def backend(self) -> RedisSaqBackend:
        """The real backend."""
        return self._backend

    async def open(self) -> None:
        """Connect."""
        await self._backend.open()

    async def close(self) -> None:
        """Disconnect; the keys go with the server, which keeps nothing."""
        await self._backend.close()

    async def age_lease(self, work_id: str) -> None:
        """Set the lease's expiry to now, behind the backend's back."""
        await redis_pokes.age_lease(self._backend, work_id)

    async def age_due(self, work_id: str) -> None:
        """Set the due time to now, behind the backend's back."""
        await redis_pokes.age_due(self._backend, work_id)
