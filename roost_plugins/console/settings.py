"""What the operator can set.

No name ends in ``_HOST`` or ``_PORT``: Kubernetes sets such variables for every service.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import attrs

from roost_core.settings import setting, text, whole, yes_no
from roost_core.values import Value

_MIN_TOKEN: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]+")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@attrs.frozen
class Bind:
    """Where to listen.

    :ivar host: an address, or a name of this machine.
    :ivar port: 0 for any free one.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@attrs.frozen
class External:
    """Where browsers find a console that a proxy stands before.

    :ivar scheme: ``http`` or ``https``.
    :ivar host: as a browser sends it: in lower case, with the port unless it is the scheme's own.
    :ivar prefix: the path before each of the console's own; empty, or with a slash in front only.
    """

    scheme: str
    host: str
    prefix: str

    @property
    def origin(self) -> str:
        """The origin that a browser names."""
        return f"{self.scheme}://{self.host}"

    def __str__(self) -> str:
        return f"{self.origin}{self.prefix}/"


def host_of(value: Any) -> str:
    """Read the address or name to listen on.

    :raises ValueError: it is neither.
    """
    found = text(value).removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        if _HOST_NAME.fullmatch(found) is None:
            raise ValueError(
                f"expected an address such as 127.0.0.1, found {found!r:.80}"
            ) from None
        return found.lower()


def bind_of(value: Any) -> Bind:
    """Read ``HOST:PORT``.

    :raises ValueError: it is not that.
    """
    if isinstance(value, Bind):
        return value
    name, colon, number = text(value).rpartition(":")
    if (
        not colon
        or not number.isdecimal()
        or int(number) > 65_535
        or (":" in name and "[" not in name)
    ):
        raise ValueError(f"expected HOST:PORT, such as 127.0.0.1:8766, found {value!r:.80}")
    return Bind(host_of(name), int(number))


def token_of(value: Any) -> str:
    """Read a token: nothing, or at least 16 characters that need no quoting in a URL.

    :raises ValueError: it is too short, or has other characters.
    """
    found = text(value)
    if found and (len(found) < _MIN_TOKEN or _TOKEN.fullmatch(found) is None):
        raise ValueError("expected at least 16 letters, digits, '.', '_', '~' or '-'")
    return found


def url_of(value: Any) -> External | None:
    """Read the URL that browsers use, or nothing.

    :raises ValueError: it is not the URL of a site or folder.
    """
    if value in ("", None) or isinstance(value, External):
        return value or None
    try:
        found = urlsplit(text(value))
        port = found.port
    except ValueError:
        raise ValueError(f"expected a URL, found {value!r:.80}") from None
    prefix = found.path.rstrip("/")
    has_more = bool(found.query or found.fragment or found.username or found.password)
    if found.scheme not in ("http", "https") or not found.hostname or has_more:
        raise ValueError(
            f"expected a URL such as https://tools.example/roost/, found {value!r:.80}"
        )
    if _PREFIX.fullmatch(prefix) is None or any(one in (".", "..") for one in prefix.split("/")):
        raise ValueError(
            f"expected a path of letters, digits, '.', '_', '~' and '-': {prefix!r:.80}"
        )
    name = host_of(found.hostname)
    name = f"[{name}]" if ":" in name else name
    usual = {"http": 80, "https": 443}[found.scheme]
    return External(found.scheme, name if port in (None, usual) else f"{name}:{port}", prefix)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConsoleSettings(Value):
    """Where the console listens, and who may use it."""

    namespace: ClassVar[str] = "console"

    bind: Bind = setting(
        Bind("127.0.0.1", 8766),
        bind_of,
        "Where the console listens; an address that others reach needs console_external_url.",
        "HOST:PORT",
    )
    token: str = setting(
        "",
        token_of,
        "A token to sign in with that stays the same; empty: a new one at each start.",
        "a token of at least 16 characters",
        secret=True,
    )
    external_url: External | None = setting(
        None,
        url_of,
        "The URL that browsers use, where a proxy stands before the console.",
        "URL",
    )
    read_only: bool = setting(
        False, yes_no, "Whether the console shows the work only, and changes nothing.", "yes|no"
    )
    streams: int = setting(
        48, whole(1, 1_000), "Most pages that are kept up to date at the same time.", "N"
    )
