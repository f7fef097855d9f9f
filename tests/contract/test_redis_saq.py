"""The real backend passes the contract, over both servers that it supports."""

from __future__ import annotations

import pytest

from roost_core.testing.contract import BackendContract, Harness
from tests.contract.harnesses import RedisHarness
from tests.servers import Server


class TestOverRedis(BackendContract):
    """The whole contract over the operating system's redis-server."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Server) -> None:
        self.url = redis_server.url

    def make(self) -> Harness:
        """Return a backend in a namespace of its own."""
        return RedisHarness(self.url)


class TestOverValkey(BackendContract):
    """The whole contract over the valkey-server that Roost ships with."""

    @pytest.fixture(autouse=True)
    def _server(self, valkey_server: Server) -> None:
        self.url = valkey_server.url

    def make(self) -> Harness:
        """Return a backend in a namespace of its own."""
        return RedisHarness(self.url)
