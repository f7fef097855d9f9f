"""What all parts of a ledger share: the queue's keys, its scripts, and calls to the server."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from roost_core.settings import Settings
from roost_plugins.redis_saq.connection.calls import Calls
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.subscription import Heard, Subscription, subscribe
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.scripts import Bounds, Script, Scripts
from roost_plugins.redis_saq.settings import RedisSettings

if TYPE_CHECKING:
    from roost_plugins.redis_saq.ledger.lane_watch import LaneWatch


class OneQueue:
    """One queue on a server.

    :ivar lanes: the lanes that this process serves, if it is a worker.
    """

    lanes: LaneWatch | None = None

    def __init__(self, settings: Settings, queue: str, endpoint: Endpoint, calls: Calls) -> None:
        #: The names of this queue's keys.
        self.keys = Keys(settings.of(RedisSettings).prefix, settings.namespace, queue)
        #: Where the server is.
        self.endpoint = endpoint
        #: Calls the server.
        self.calls = calls
        #: The scripts, over this queue's keys.
        self.scripts = Scripts(self.keys, Bounds.of(settings))
        self._lease_ttl_ms = round(settings.lease_ttl * 1000)

    @property
    def queue(self) -> str:
        """The name of the queue."""
        return self.keys.queue

    @property
    def description(self) -> str:
        """Where the data is, for people; no password in it."""
        return f"{self.endpoint.description}, {self.keys.tag}"

    @property
    def client(self) -> Any:
        """The redis-py client, for diagnosis and repair.

        :raises BackendUnavailable: the server is not open.
        """
        return self.calls.client

    async def now_ms(self) -> int:
        """Return the server's clock.

        :raises BackendUnavailable: no answer.
        :raises BackendError: the server refused.
        """
        return await self.calls.now_ms()

    def _call(self, name: str, *args: Any) -> Awaitable[Any]:
        return self.calls(self.scripts[name], *args)

    async def call(self, script: Script, *args: Any) -> Any:
        """Call a script, for the repair.

        :raises BackendUnavailable: no answer; it may or may not have run.
        :raises BackendError: the server refused.
        """
        return await self.calls(script, *args)

    async def plain(self, *words: Any) -> Any:
        """Call a command of the server's."""
        return await self.calls.plain(*words)

    async def subscribe(self, channels: Sequence[str], heard: Heard) -> Subscription:
        """Listen to channels over a connection of its own.

        :param heard: as in :class:`Subscription`.
        :raises BackendUnavailable: there is no connection.
        :raises BackendError: the server refused.
        """
        return await subscribe(self.endpoint, channels, heard)


class Part:
    """A part of a ledger that few commands need: made when it is asked for.

    :ivar queue: what it is a part of.
    """

    def __init__(self, queue: OneQueue) -> None:
        self.queue = queue

    def _call(self, name: str, *args: Any) -> Awaitable[Any]:
        return self.queue.call(self.queue.scripts[name], *args)
