"""Which addresses a watch may connect to: pure rules over IP addresses.

The lists of the ``ipaddress`` module differ between Python releases and call some ranges global
that lead back inside, so IPv6 is judged by what is allowed, not by what is forbidden. An IPv4
address inside an IPv6 address (mapped, NAT64, ISATAP) is judged on its own; 6to4 and Teredo are
refused whole.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

#: Says why an address may not be connected to, or None if it may.
AddressPolicy = Callable[[str], str | None]

#: Registered as global, but not a site on the public internet.
_NOT_V4_SITES: Final = (
    (IPv4Network("168.63.129.16/32"), "a cloud provider's service for its own machines"),
    (IPv4Network("192.0.0.0/24"), "kept for protocols, RFC 6890"),
    (IPv4Network("192.88.99.0/24"), "a relay, RFC 7526"),
)
#: Everything routed as global unicast, RFC 4291 and the IANA registry.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
#: Global unicast by number, but not sites. Python's releases disagree about these.
_NOT_V6_SITES: Final = (
    (IPv6Network("2001::/23"), "kept for protocols such as Teredo, RFC 2928"),
    (IPv6Network("2002::/16"), "6to4, RFC 7526"),
    (IPv6Network("3fff::/20"), "kept for documentation, RFC 9637"),
)
#: IPv6-only networks reach IPv4 sites through this prefix, RFC 6052.
_NAT64: Final = IPv6Network("64:ff9b::/96")
#: The interface identifiers of ISATAP, RFC 5214: the next 32 bits are an IPv4 address.
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_LOW_32: Final = 0xFFFF_FFFF


def refuse_non_public(address: str) -> str | None:
    """Return why ``address`` is not public, or None if it is.

    :param address: an IPv4 or IPv6 address in its usual form, with or without a
        zone. Anything else is refused: a name would be looked up again.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "not an IP address"
    if isinstance(parsed, IPv4Address):
        return _judge_v4(parsed)
    return _judge_v6(parsed)


def allow_all(_address: str) -> str | None:
    """Refuse nothing: the policy of an operator who allows private addresses."""
    return None


def _judge_v4(address: IPv4Address) -> str | None:
    for network, what in _NOT_V4_SITES:
        if address in network:
            return what
    return _kind(address)


def _judge_v6(address: IPv6Address) -> str | None:
    if address.ipv4_mapped is not None:
        return _judge_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _judge_v4(IPv4Address(int(address) & _LOW_32))
    kind = _kind(address)
    if kind is not None:
        return kind
    if address not in _GLOBAL_UNICAST:
        return "outside global unicast"
    for network, what in _NOT_V6_SITES:
        if address in network:
            return what
    if (int(address) >> 32) & _LOW_32 in _ISATAP:
        return _judge_v4(IPv4Address(int(address) & _LOW_32))
    return None


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    kinds = (
        (address.is_unspecified, "unspecified"),
        (address.is_loopback, "loopback"),
        (address.is_link_local, "link-local"),
        # Some multicast groups count as global, so this is checked separately.
        (address.is_multicast, "multicast"),
        (address.is_reserved, "reserved"),
        (address.is_private, "private"),
        (not address.is_global, "not global"),
    )
    return next((kind for is_so, kind in kinds if is_so), None)
