"""The URLs of servers: which are accepted, and what they mean. Pure, and fast to import."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from roost_core.errors import SettingsError
from roost_core.wording.redaction import redact

#: The schemes of the URLs that this backend accepts.
SCHEMES: Final = ("redis", "redis+sentinel", "rediss", "unix")

#: A server that does not accept a connection for this long is unreachable, in seconds.
CONNECT_TIMEOUT: Final = 5.0

#: A sentinel's address: a name, an IPv4 address or an IPv6 address in brackets, and a port.
_HOST: Final = r"([^\[\]:@/]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"


def is_ours(url: str) -> bool:
    """Return whether this backend accepts the URL; it may still be invalid."""
    return url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def check_url(url: str) -> None:
    """Refuse anything that is not a server's URL.

    :raises SettingsError: in one line, without a password.
    """
    shown = redact(url)
    quoting = "write special characters of a password as %40 for @, %2F for /, %23 for #"
    # The causes are left out: their texts have pieces of the URL in them.
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(
            f"{shown} cannot be read: put an IPv6 address in brackets, as in "
            f"redis://[::1]:6379; {quoting}"
        ) from None
    try:
        if parts.scheme != "redis+sentinel":
            _ = parts.port
    except ValueError:
        raise SettingsError(
            f"{shown} cannot be read: the port, after the host's colon, is not a number up to "
            f"65535; {quoting}"
        ) from None
    if parts.scheme not in SCHEMES:
        raise SettingsError(
            f"{shown}: the URL must start with " + ", ".join(f"{scheme}://" for scheme in SCHEMES)
        )
    if parts.scheme == "redis+sentinel":
        sentinel_parts(url)
    elif parts.scheme == "unix" and not parts.path:
        raise SettingsError("the server's URL has no socket: use unix:///path/to/socket")
    elif parts.scheme != "unix" and re.fullmatch(r"/?[0-9]*/?", parts.path) is None:
        raise SettingsError(f"{shown}: only a number may follow the host; {quoting}")
    for name in ("protocol", "decode_responses", "retry"):
        if name in parse_qs(parts.query, keep_blank_values=True):
            raise SettingsError(f"{shown}: {name} cannot be set in the URL")


def sentinel_parts(
    url: str,
) -> tuple[list[tuple[str, int]], str, dict[str, Any], dict[str, Any]]:
    """Take apart ``redis+sentinel://[user:password@]host[:port][,host…]/service[/db]``.

    The login is the server's; the sentinels' own is in the query:
    ``?sentinel_username=…&sentinel_password=…``.
    """
    parts = urlsplit(url)
    login_text, _, hosts_text = parts.netloc.rpartition("@")
    hosts = []
    for one in hosts_text.split(","):
        found = re.fullmatch(_HOST, one)
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
    # Without them a silent sentinel would block everything for ever.
    sentinel_login |= {
        "protocol": 2,
        "socket_timeout": CONNECT_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
    }
    return hosts, service, login, sentinel_login
