"""How the contract reaches the backends of this project."""

from __future__ import annotations

import uuid
from typing import Any

from roost_core.settings import Settings
from roost_core.testing.contract import Harness
from roost_core.testing.contract.kit import QUEUE
from roost_plugins import redis_saq
from roost_plugins.redis_saq.ledger.ledger import RedisLedger
from roost_plugins.redis_saq.server import RedisServer
from tests import redis_pokes


class RedisHarness(Harness):
    """The real backend over a server that others use too: a namespace each."""

    def __init__(self, url: str, **more: Any) -> None:
        self.namespace = more.pop("namespace", f"t-{uuid.uuid4().hex}")
        settings = Settings(extra={"redis_url": url}, namespace=self.namespace, **more)
        server = redis_saq.backend(settings)
        assert isinstance(server, RedisServer)
        self._server = server

    @property
    def server(self) -> RedisServer:
        """The real server."""
        return self._server

    @property
    def ledger(self) -> RedisLedger:
        """The ledger under test."""
        return self._server.ledger(QUEUE)

    async def open(self) -> None:
        """Connect."""
        await self._server.open()

    async def close(self) -> None:
        """Disconnect; the keys go with the server, which keeps nothing."""
        await self._server.close()

    async def age_lease(self, work_id: str) -> None:
        """Set the lease's expiry to now, behind the ledger's back."""
        await redis_pokes.age_lease(self.ledger, work_id)

    async def age_due(self, work_id: str) -> None:
        """Set the due time to now, behind the ledger's back."""
        await redis_pokes.age_due(self.ledger, work_id)
