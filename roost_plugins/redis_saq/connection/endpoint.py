"""Ways to reach the server: which client for which URL.

Every client states its timeouts and its retries: redis-py's defaults differ between versions and
constructors. It retries nothing by itself, because only the caller knows which request can be
repeated. It is imported where a client is made, because that takes as long as the rest of a short
command.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from roost_core.errors import BackendUnavailable, SettingsError
from roost_core.settings import Settings
from roost_core.threads import run_in_thread
from roost_core.wording.redaction import redact, without
from roost_plugins.redis_saq.connection.refusals import EMBEDDED
from roost_plugins.redis_saq.connection.urls import CONNECT_TIMEOUT, check_url, sentinel_parts
from roost_plugins.redis_saq.settings import EmbeddedSettings, RedisSettings

if TYPE_CHECKING:
    import redis
    import redis.asyncio

#: A server that does not answer a plain command for this long is unreachable, in seconds.
COMMAND_TIMEOUT: Final = 10.0


class Endpoint:
    """Where one queue's server is, and the clients to reach it.

    :ivar description: for people; no password in it.
    """

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._url_given = settings.of(RedisSettings).url
        self._embedded = settings.of(EmbeddedSettings)
        self._socket: str | None = None
        self.description = f"{EMBEDDED}{settings.home}"
        if self._url_given:
            check_url(self._url_given)
            self.description = redact(self._url_given)

    @property
    def is_embedded(self) -> bool:
        """Whether the server is Roost's own."""
        return not self._url_given

    @property
    def advice(self) -> str:
        """What a person may do if the server does not answer."""
        if self.is_embedded:
            return f"look into {self._home / 'server'}"
        return "start it, or correct ROOST_REDIS_URL"

    def nothing_here(self) -> str | None:
        """Return which folder of the embedded server is missing, or None."""
        if not self.is_embedded:
            return None
        for folder in (self._home, self._home / "server"):
            try:
                os.lstat(folder)
            except FileNotFoundError:
                return f"{folder.absolute()} does not exist"
            except OSError:
                return None  # no folder, or out of reach: opening says what to do
        return None

    async def ensure(self) -> None:
        """Start the embedded server if it does not run; another server is left alone.

        :raises BackendUnavailable: it could not be started.
        """
        if self.is_embedded:
            # In a daemon thread: a slowly starting server must not keep a stopping process alive.
            await run_in_thread(self.ensure_blocking)

    def ensure_blocking(self) -> None:
        """Do what :meth:`ensure` does, for a thread."""
        if self.is_embedded:
            from roost_plugins.redis_saq.embedded import server as embedded

            self._socket = str(
                embedded.ensure(
                    self._home,
                    fsync=self._embedded.fsync,
                    idle_seconds=self._embedded.idle,
                    trusted=self._embedded.trust_home,
                )
            )

    def import_for_threads(self) -> None:
        """Import what :meth:`sync_client` and :meth:`ensure_blocking` need, before a thread does.

        A thread that imports a part of a library while the event loop imports another can deadlock.
        """
        from importlib import metadata

        from roost_plugins.redis_saq.connection import redis_py  # noqa: F401 - preloaded

        # redis-py uses it at its first connection, and from Python 3.13 on, parts of
        # ``importlib.metadata`` are imported at first use.
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.version("redis")
        if self.is_embedded:
            import subprocess  # noqa: F401 - preloaded
            import tempfile  # noqa: F401 - preloaded

            from roost_plugins.redis_saq.embedded import server as embedded  # noqa: F401 - preloaded

    @property
    def config_command(self) -> str:
        """What the server's command ``CONFIG`` is called."""
        if not self.is_embedded:
            return "CONFIG"
        from roost_plugins.redis_saq.embedded import server as embedded

        return embedded.config_command(self._home)

    @property
    def plain_socket(self) -> str | None:
        """The unix socket, if connecting to it is enough: no login, no options."""
        parts = urlsplit(self._url())
        is_plain = parts.scheme == "unix" and not (parts.netloc or parts.query or parts.fragment)
        return unquote(parts.path) if is_plain else None

    def client(self) -> redis.asyncio.Redis:
        """Return a new asyncio client. Each answer must arrive within ``COMMAND_TIMEOUT``."""
        from roost_plugins.redis_saq.connection.redis_py import redis

        options = self._options()
        options["retry"] = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
        client: redis.asyncio.Redis = self._connected(redis.asyncio, options)
        if not self._is_behind_sentinels:
            with _options_checked(self._url()):
                # Made and dropped, to find an option that no connection accepts.
                pool: Any = client.connection_pool  # typed only in part
                pool.make_connection()
        return client

    def sync_client(self, timeout: float) -> redis.Redis:
        """Return a new synchronous client, for a thread of its own.

        :param timeout: seconds that an answer may take, at most ``COMMAND_TIMEOUT``.
        """
        from roost_plugins.redis_saq.connection.redis_py import redis

        options = self._options()
        options["socket_timeout"] = min(timeout, COMMAND_TIMEOUT)
        options["retry"] = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        client: redis.Redis = self._connected(redis, options)
        return client

    def _connected(self, kind: Any, options: dict[str, Any]) -> Any:
        """Make a client of the module ``redis`` or ``redis.asyncio``: both use the same names."""
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
        with _options_checked(self._url()):
            return kind.Redis.from_url(url, **options)

    @property
    def _is_behind_sentinels(self) -> bool:
        return urlsplit(self._url()).scheme == "redis+sentinel"

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": False,
            "socket_timeout": COMMAND_TIMEOUT,
            "socket_connect_timeout": CONNECT_TIMEOUT,
        }
        if urlsplit(self._url()).scheme != "unix":
            options["socket_keepalive"] = True
        return options

    def _url(self) -> str:
        if self._url_given:
            return self._url_given
        if self._socket is None:
            raise BackendUnavailable("the embedded server was not started: call open() first")
        return f"unix://{self._socket}"


@contextlib.contextmanager
def _options_checked(url: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        # What is quoted there as an option may be half of a password with a ? in it. The cause is
        # left out for the same reason.
        said = without(url, str(error))
        raise SettingsError(f"{redact(url)}: an option of the URL is not known: {said}") from None
