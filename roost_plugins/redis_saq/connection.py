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
from urllib.parse import parse_qs, unquote, urlsplit

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

#: A server that does not answer a plain command for so long is away, in seconds.
COMMAND_TIMEOUT: Final = 10.0
#: A server that does not accept a connection for so long is away, in seconds.
CONNECT_TIMEOUT: Final = 5.0

#: A sentinel's address: a name, an IPv4 address or an IPv6 address in brackets, and a port.
_HOST: Final = re.compile(r"([^\[\]:@/]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")

SCHEMES: Final = frozenset({"redis", "rediss", "unix", "redis+sentinel"})

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
            _check(settings.redis_url)
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
        url = self._url()
        if urlsplit(url).scheme == "redis+sentinel":
            hosts, service, login, sentinel_login = _sentinel(url)
            sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
                hosts,
                sentinel_kwargs={**sentinel_login, "retry": options["retry"]},
                **login,
                **options,
            )
            master: redis.asyncio.Redis = sentinel.master_for(service)
            return master
        with _options_checked(self.description):
            client = redis.asyncio.Redis.from_url(url, **options)
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
        url = self._url()
        if urlsplit(url).scheme == "redis+sentinel":
            hosts, service, login, sentinel_login = _sentinel(url)
            sentinel = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
                hosts,
                sentinel_kwargs={**sentinel_login, "retry": options["retry"]},
                **login,
                **options,
            )
            master: redis.Redis = sentinel.master_for(service)  # type: ignore[no-untyped-call]
            return master
        with _options_checked(self.description):
            return redis.Redis.from_url(url, **options)

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


def _check(url: str) -> None:
    """Refuse what is no URL of a server; what cannot be taken apart is not shown, either.

    :raises SettingsError: in one line.
    """
    quoting = "write special characters of a password as %40 for @, %2F for /, %23 for #"
    try:
        parts = urlsplit(url)
        if parts.scheme != "redis+sentinel":
            _ = parts.port
    except ValueError as error:
        raise SettingsError(f"the server's URL cannot be read; {quoting}") from error
    if parts.scheme not in SCHEMES:
        raise SettingsError(
            f"{redact(url)}: the URL must start with "
            + ", ".join(f"{scheme}://" for scheme in sorted(SCHEMES))
        )
    if parts.scheme == "redis+sentinel":
        _sentinel(url)
    elif parts.scheme == "unix" and not parts.path:
        raise SettingsError("the server's URL names no socket: unix:///path/to/socket")
    elif parts.scheme != "unix" and re.fullmatch(r"/?[0-9]*/?", parts.path) is None:
        raise SettingsError(f"after the host, the server's URL takes a number only; {quoting}")
    for name in ("protocol", "decode_responses", "retry"):
        if name in parse_qs(parts.query, keep_blank_values=True):
            raise SettingsError(f"{redact(url)}: {name} is not for the URL to choose")


@contextlib.contextmanager
def _options_checked(where: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: an option of the URL is not known: {error}") from error


def _sentinel(
    url: str,
) -> tuple[list[tuple[str, int]], str, dict[str, Any], dict[str, Any]]:
    """Take apart ``redis+sentinel://[user:password@]host[:port][,host…]/service[/db]``.

    The login is the server's; the sentinels' own stands in the query:
    ``?sentinel_username=…&sentinel_password=…``.
    """
    parts = urlsplit(url)
    login_text, _, hosts_text = parts.netloc.rpartition("@")
    hosts = []
    for one in hosts_text.split(","):
        found = _HOST.fullmatch(one)
        if found is None or not 0 < int(found[2] or 26379) < 65536:
            raise SettingsError(f"{redact(url)}: expected host[:port][,host[:port]…] before the /")
        hosts.append((found[1].strip("[]"), int(found[2] or 26379)))
    service, _, db = parts.path.strip("/").partition("/")
    if not service or re.fullmatch("[0-9]*", db) is None:
        raise SettingsError(f"{redact(url)}: expected /service or /service/db after the hosts")
    user, _, password = login_text.partition(":")
    login: dict[str, Any] = {"db": int(db or 0)}
    if user:
        login["username"] = unquote(user)
    if password:
        login["password"] = unquote(password)
    query = parse_qs(parts.query)
    sentinel_login: dict[str, Any] = {
        name: query[f"sentinel_{name}"][0]
        for name in ("username", "password")
        if f"sentinel_{name}" in query
    }
    # Without them a sentinel that is silent would hold everybody up for ever.
    sentinel_login |= {
        "protocol": 2,
        "socket_timeout": CONNECT_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
    }
    return hosts, service, login, sentinel_login
