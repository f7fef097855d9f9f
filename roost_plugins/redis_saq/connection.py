"""Ways to reach the server: which client for which URL, and what its errors mean.

Every client states its timeouts and its retries: redis-py's defaults differ
between versions and constructors. It retries nothing by itself, because only the
caller knows which request can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.backoff
import redis.exceptions
import redis.retry
import redis.sentinel

from roost_core.errors import BackendError, BackendUnavailable, SettingsError
from roost_core.settings import Settings, redact
from roost_plugins.redis_saq.urls import CONNECT_TIMEOUT, check_url, sentinel_parts

#: A server that does not answer a plain command for so long is away, in seconds.
COMMAND_TIMEOUT: Final = 10.0


#: Refusals that pass: the server loads its data, is a replica for now, or has no memory left.
#: Redis 6.2 puts a script's refusal into a sentence of its own: "… 12: -OOM command not …".
_PASSING: Final = re.compile(
    r"(?:^|: -)(?:LOADING|READONLY|OOM|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MISCONF|NOREPLICAS"
    r"|UNBLOCKED|BUSY)\b"
)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn redis-py's errors into Roost's, in one line that says where.

    :raises BackendUnavailable: no answer, or a refusal that passes.
    :raises BackendError: a refusal that does not.
    """
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise BackendError(f"the server at {where} refused the login: {error}") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
        raise BackendUnavailable(
            f"the server at {where} does not answer: {str(error) or type(error).__name__}"
        ) from error
    except redis.exceptions.RedisError as error:
        text = str(error)
        if isinstance(error, _PASSING_TYPES) or _PASSING.search(text):
            raise BackendUnavailable(f"the server at {where} refuses for now: {text}") from error
        raise BackendError(f"the server at {where} refused: {text}") from error


_PASSING_TYPES: Final = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.BusyLoadingError,
)


class Endpoint:
    """Where one queue's server is, and the clients to reach it.

    :ivar description: for people; no password in it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket: str | None = None
        self.description = f"embedded server in {settings.home}"
        if settings.redis_url:
            check_url(settings.redis_url)
            self.description = redact(settings.redis_url)
            if self.description.startswith("unix:/") and "://" not in self.description:
                self.description = self.description.replace("unix:", "unix://", 1)

    @property
    def is_embedded(self) -> bool:
        """Whether the server is Roost's own."""
        return not self._settings.redis_url

    @property
    def advice(self) -> str:
        """What a person may do if the server does not answer."""
        if self.is_embedded:
            return f"look into {self._settings.home / 'server'}"
        return "start it, or correct ROOST_REDIS_URL"

    async def ensure(self) -> None:
        """Start the embedded server if it does not run; another server is left alone.

        :raises BackendUnavailable: it could not be started.
        """
        if self.is_embedded:
            await asyncio.to_thread(self.ensure_blocking)

    def ensure_blocking(self) -> None:
        """Do what :meth:`ensure` does, for a thread."""
        if self.is_embedded:
            from roost_plugins.redis_saq import embedded

            self._socket = str(
                embedded.ensure(
                    self._settings.home,
                    fsync=self._settings.embedded_fsync,
                    idle_seconds=self._settings.embedded_idle,
                )
            )

    def client(self, *, blocking: bool = False) -> redis.asyncio.Redis:
        """Return a new asyncio client.

        :param blocking: for commands that wait: no timeout on the answer.
        """
        options = self._options(blocking)
        options["retry"] = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
        client: redis.asyncio.Redis = self._connected(redis.asyncio, options)
        if not self._is_behind_sentinels:
            with _options_checked(self.description):
                # Made and dropped: an option that no connection takes is found here.
                pool: Any = client.connection_pool  # typed only in part
                pool.make_connection()
        return client

    def sync_client(self, timeout: float) -> redis.Redis:
        """Return a new synchronous client, for a thread of its own.

        :param timeout: seconds that an answer may take, at most ``COMMAND_TIMEOUT``.
        """
        options = self._options(blocking=False)
        options["socket_timeout"] = min(timeout, COMMAND_TIMEOUT)
        options["retry"] = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        client: redis.Redis = self._connected(redis, options)
        return client

    def _connected(self, kind: Any, options: dict[str, Any]) -> Any:
        """Make a client of the module ``redis`` or ``redis.asyncio``: both name things alike."""
        url = self._url()
        if self._is_behind_sentinels:
            hosts, service, login, sentinel_login = sentinel_parts(url)
            sentinel = kind.sentinel.Sentinel(
                hosts,
                sentinel_kwargs={**sentinel_login, "retry": options["retry"]},
                **login,
                **options,
            )
            return sentinel.master_for(service)
        with _options_checked(self.description):
            return kind.Redis.from_url(url, **options)

    @property
    def _is_behind_sentinels(self) -> bool:
        return urlsplit(self._url()).scheme == "redis+sentinel"

    def _options(self, blocking: bool) -> dict[str, Any]:
        options: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": False,
            "socket_timeout": None if blocking else COMMAND_TIMEOUT,
            "socket_connect_timeout": CONNECT_TIMEOUT,
        }
        if urlsplit(self._url()).scheme != "unix":
            options["socket_keepalive"] = True
        return options

    def _url(self) -> str:
        if self._settings.redis_url:
            return self._settings.redis_url
        if self._socket is None:
            raise BackendUnavailable("the embedded server was not started: call open() first")
        return f"unix://{self._socket}"


@contextlib.contextmanager
def _options_checked(where: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: an option of the URL is not known: {error}") from error
