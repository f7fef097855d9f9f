"""The URLs of servers: which are taken, and what they say. Pure, and fast to import."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from roost_core.errors import SettingsError
from roost_core.settings import redact

#: The schemes of the URLs that this backend takes.
SCHEMES: Final = ("redis", "redis+sentinel", "rediss", "unix")

#: A server that does not accept a connection for so long is away, in seconds.
CONNECT_TIMEOUT: Final = 5.0

#: A sentinel's address: a name, an IPv4 address or an IPv6 address in brackets, and a port.
_HOST: Final = re.compile(r"([^\[\]:@/]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


def is_ours(url: str) -> bool:
    """Return whether this backend takes the URL; whether it is sound is another question."""
    return url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def check_url(url: str) -> None:
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
            + ", ".join(f"{scheme}://" for scheme in SCHEMES)
        )
    if parts.scheme == "redis+sentinel":
        sentinel_parts(url)
    elif parts.scheme == "unix" and not parts.path:
        raise SettingsError("the server's URL names no socket: unix:///path/to/socket")
    elif parts.scheme != "unix" and re.fullmatch(r"/?[0-9]*/?", parts.path) is None:
        raise SettingsError(f"after the host, the server's URL takes a number only; {quoting}")
    for name in ("protocol", "decode_responses", "retry"):
        if name in parse_qs(parts.query, keep_blank_values=True):
            raise SettingsError(f"{redact(url)}: {name} is not for the URL to choose")


def sentinel_parts(
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
