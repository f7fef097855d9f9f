"""One fetch of one page, which neither page nor payload can subvert.

Each hop, the first and every redirect, takes the same path: only http and https, no user name in
the URL, the host looked up once, **every** address it has judged by the policy, and a connection to
exactly those addresses. The socket factory checks again what is really being connected to, however
the address got there. TLS verifies the host's name as usual.

A first URL that leads to a refused address raises :class:`AddressRefused`: no later try can help. A
*redirect* to one is up to the site and may be gone tomorrow, so that is only a page with an error.
Neither text reveals a name's address: payloads cannot use this machine's resolver.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

import roost_core
from roost_plugins.watchlist.addresses import AddressPolicy
from roost_plugins.watchlist.rules import MAX_URL, Page

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {
    "User-Agent": f"roost-watchlist/{roost_core.__version__}",
    "Accept": "*/*",
    # What _Decoder undoes.
    "Accept-Encoding": "gzip",
    # A watch wants the page as it is now, not a cached copy.
    "Cache-Control": "no-cache",
}

_GZIP_START: Final = b"\x1f"

#: Looks a host up: name and port to addresses. Raises ``OSError`` if there is none.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


@attrs.frozen(kw_only=True)
class Limits:
    """What one fetch may cost.

    :ivar deadline_seconds: for the whole fetch: lookups, redirects and the body.
    :ivar body_bytes: of the body, on the wire and after decompression.
    :ivar redirects: how many are followed.
    :ivar header_bytes: of one header line.
    """

    deadline_seconds: float = 30.0
    body_bytes: int = 2 << 20
    redirects: int = 3
    header_bytes: int = 8190


class AddressRefused(Exception):
    """The policy refuses an address of the host; nothing was sent to it."""


class _Unusable(Exception):
    """The fetch ends here, and this is the observation's error text."""


@attrs.define
class _Progress:
    """What is known so far; a fetch that breaks off still makes an observation."""

    url: URL
    redirects: int = 0
    status: int | None = None
    content_type: str | None = None
    charset: str | None = None
    body: bytearray | None = None
    is_truncated: bool = False


async def fetch(
    url: str,
    *,
    policy: AddressPolicy,
    limits: Limits | None = None,
    lookup: Lookup | None = None,
) -> Page:
    """Fetch a page. Any failure is in the page's ``error``, with one exception.

    :param policy: says which addresses may be connected to.
    :param lookup: in place of this machine's resolver.
    :raises AddressRefused: ``url`` itself leads to an address that the policy refuses.
    :raises ValueError: ``url`` can never be fetched; the text says why.
    """
    limits = limits or Limits()
    at, started = datetime.now(UTC), time.monotonic()
    progress = _Progress(_sound(URL(url)))
    error = None
    try:
        async with asyncio.timeout(limits.deadline_seconds):
            await _follow(progress, policy, limits, lookup or _system_lookup)
    except AddressRefused as refused:
        if progress.redirects == 0:
            raise
        error = f"the site redirects to {refused}"
    except _Unusable as unusable:
        error = str(unusable)
    except TimeoutError:
        error = f"no complete answer within {limits.deadline_seconds:g} s"
    except (aiohttp.ClientError, OSError, ValueError, zlib.error) as failure:
        error = _explain(failure)
    return Page(
        url=str(progress.url),
        at=at,
        elapsed_ms=round((time.monotonic() - started) * 1000),
        redirects=progress.redirects,
        status=progress.status,
        content_type=progress.content_type,
        charset=progress.charset,
        body=None if progress.body is None else bytes(progress.body),
        is_truncated=progress.is_truncated,
        error=error,
    )


def _explain(failure: Exception) -> str:
    # These shorter texts say what matters; aiohttp's own begin with class names.
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {failure.host} is not valid: {failure.certificate_error}"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return f"cannot connect to {failure.host}: {failure.os_error}"
    return f"{type(failure).__name__}: {failure}"


async def _follow(
    progress: _Progress, policy: AddressPolicy, limits: Limits, lookup: Lookup
) -> None:
    while True:
        location = await _hop(progress, policy, limits, lookup)
        if location is None:
            return
        if progress.redirects == limits.redirects:
            raise _Unusable(f"the site redirects more than {limits.redirects} times")
        if len(location) > MAX_URL:
            raise _Unusable(f"the site redirects to a URL of more than {MAX_URL} characters")
        try:
            # Checked before it is recorded: the observation must not repeat a password.
            progress.url = _sound(progress.url.join(URL(location)))
        except ValueError as error:
            raise _Unusable(f"the site redirects to a URL that cannot be used: {error}") from error
        progress.redirects += 1
        progress.status = None


def _sound(url: URL) -> URL:
    if url.scheme not in ("http", "https"):
        raise ValueError(f"its scheme is {url.scheme!r:.20}, not http or https")
    if "@" in url.raw_authority:
        raise ValueError("it contains a user name or a password")
    if not url.raw_host or not url.port:
        raise ValueError("it does not name a host and a port")
    return url


async def _hop(
    progress: _Progress, policy: AddressPolicy, limits: Limits, lookup: Lookup
) -> str | None:
    """Do one request; return where it redirects to, or None once the body is read."""
    url = progress.url
    addresses = await _checked_addresses(url, policy, lookup)
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses),
        use_dns_cache=False,
        force_close=True,
        socket_factory=_socket_factory(policy),
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # The deadline around all hops is the only one.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=False,
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
        ) as session,
        session.get(url, headers=_HEADERS, allow_redirects=False) as response,
    ):
        progress.status = response.status
        location = response.headers.get("Location")
        if response.status in _REDIRECTS and location is not None:
            return location
        progress.content_type = response.headers.get("Content-Type")
        progress.charset = response.charset
        await _read(response, progress, limits.body_bytes)
        return None


async def _checked_addresses(url: URL, policy: AddressPolicy, lookup: Lookup) -> Sequence[str]:
    host, port = url.raw_host or "", url.port or 0
    try:
        addresses = await lookup(host, port)
    except (OSError, UnicodeError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise _Unusable(f"the host {host} cannot be found: {error}") from error
    if not addresses:
        raise _Unusable(f"the host {host} has no address")
    # One bad address condemns the name: public and private together look like rebinding.
    for address in addresses:
        reason = policy(address)
        if reason is not None:
            raise AddressRefused(f"{host}, whose address is not public ({reason})")
    return addresses


async def _system_lookup(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Pinned(AbstractResolver):
    """Returns addresses that were looked up and judged before."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - part of the interface
    ) -> list[ResolveResult]:
        """Return all of them: the connector wants one host and any family."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Hold nothing, so close nothing."""


def _socket_factory(policy: AddressPolicy) -> aiohttp.SocketFactoryType:
    """Return a socket factory that judges the very address being connected to."""

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, sockaddr = info
        reason = policy(str(sockaddr[0]))
        if reason is not None:
            # An OSError is what aiohttp expects here; it closes what it opened.
            raise PermissionError(errno.EACCES, f"the address is not public ({reason})")
        return socket.socket(family=family, type=kind, proto=proto)

    return make


async def _read(response: aiohttp.ClientResponse, progress: _Progress, cap: int) -> None:
    """Read the body into ``progress``, at most ``cap`` bytes of it."""
    decoder = _Decoder(response.headers.get("Content-Encoding", ""))
    body = progress.body = bytearray()
    # Incompressible data grows a little when compressed.
    left_on_wire = cap + cap // 8 + 1024
    async for piece in response.content.iter_any():
        left_on_wire -= len(piece)
        # One byte more than fits distinguishes a page that ends at the cap from a longer one.
        body += decoder.decode(piece, cap + 1 - len(body))
        if len(body) > cap or left_on_wire < 0:
            del body[cap:]
            progress.is_truncated = True
            return
    if not decoder.is_complete:
        raise _Unusable("the compressed page ends too early")


class _Decoder:
    """Undoes a content coding without ever producing more than requested."""

    def __init__(self, encoding: str) -> None:
        coding = encoding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise _Unusable(f"the page is encoded as {coding!r:.40}, which was not requested")
        self._is_gzip = coding.endswith("gzip")
        self._member = _gzip_member()
        self._is_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether the input may end here."""
        return not self._is_begun or self._member.eof

    def decode(self, piece: bytes, limit: int) -> bytes:
        """Return at most ``limit`` bytes, 1 or more; the rest is dropped.

        :raises zlib.error: the input is not gzip.
        """
        if not self._is_gzip:
            return piece[:limit]
        plain = b""
        while piece and len(plain) < limit:
            if self._member.eof:
                if not piece.startswith(_GZIP_START):
                    break  # padding after the last member, which gzip ignores
                self._member = _gzip_member()
            self._is_begun = True
            plain += self._member.decompress(piece, limit - len(plain))
            piece = self._member.unused_data
        return plain


def _gzip_member() -> zlib._Decompress:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
