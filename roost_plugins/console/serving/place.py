"""Where a console is for browsers: which names they may call it by."""

from __future__ import annotations

import attrs

from roost_core.errors import SettingsError
from roost_plugins.console.settings import Bind, External

#: The names of a program that only this machine reaches.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@attrs.frozen
class Place:
    """Where a console is.

    :ivar scheme: ``http`` or ``https``, as browsers see it.
    :ivar hosts: the values of the header ``Host`` that are right; the first is the usual one.
    :ivar prefix: the path before each of the console's own, without a slash at the end.
    :ivar port: the port that it listens on.
    """

    scheme: str
    hosts: tuple[str, ...]
    prefix: str
    port: int

    @property
    def url(self) -> str:
        """The address of the first page."""
        return f"{self.scheme}://{self.hosts[0]}{self.prefix}/"

    def has_host(self, host: str) -> bool:
        """Return whether a browser may call it this."""
        return host.lower() in self.hosts

    def origin(self, host: str) -> str:
        """Return the origin of its pages under one of its names."""
        return f"{self.scheme}://{host.lower()}"


def place(bind: Bind, external: External | None) -> Place:
    """Return where a console is.

    :param bind: where it listens, with the port that it really has.
    :param external: where a proxy says it is.
    :raises SettingsError: others reach it, and nobody has said what they call it.
    """
    if external is not None:
        return Place(external.scheme, (external.host,), external.prefix, bind.port)
    check(bind, external)
    own = str(attrs.evolve(bind, port=0)).removesuffix(":0")
    names = list(dict.fromkeys((own, *_LOOPBACK)))
    hosts = [f"{name}:{bind.port}" for name in names]
    if bind.port == 80:  # browsers leave it out
        hosts = [*names, *hosts]
    return Place("http", tuple(hosts), "", bind.port)


def check(bind: Bind, external: External | None) -> None:
    """Refuse an address that others reach, unless it is known what they call it.

    :raises SettingsError: it is not known.
    """
    if external is None and not bind.is_loopback:
        raise SettingsError(
            f"others can reach {bind}: say with --external-url which URL their browsers use, such "
            "as https://host/roost/"
        )
