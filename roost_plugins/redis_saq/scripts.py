"""The Lua scripts, read from files and made ready to call.

A file's header names its keys, ``-- KEYS: record item …``; in its text, and in
the shared ``lib.lua``, ``K.record`` stands for that key. At load each ``K.name``
becomes ``KEYS[n]``, so that the header is the only list of a script's keys.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

import attrs

from roost_plugins.redis_saq.keys import Keys

_HEADER: Final = re.compile(r"^-- KEYS: (.+)$", re.MULTILINE)
_KEY: Final = re.compile(r"\bK\.([a-z_]+)\b")
#: Scripts that only read, and do without the shared part.
_READERS: Final = frozenset({"read", "list", "retire"})

NAMES: Final = (
    "enqueue",
    "claim",
    "commit",
    "fail",
    "interrupt",
    "renew",
    "retire",
    "purge",
    "read",
    "list",
)


@attrs.frozen
class Script:
    """A script of one queue: its source, the source's SHA-1, and the full names of its keys.

    ``head`` is what stands between EVALSHA and the arguments, ``packed_head`` the same
    with EVALSHA as the protocol writes it, and ``head_count`` how many words that is.
    """

    name: str
    source: str = attrs.field(repr=False)
    sha: str
    key_names: tuple[str, ...]
    keys: tuple[str, ...]
    head: tuple[bytes, ...] = attrs.field(init=False, repr=False)

    packed_head: bytes = attrs.field(init=False, repr=False)
    head_count: int = attrs.field(init=False, repr=False)

    @head.default
    def _head(self) -> tuple[bytes, ...]:
        return tuple(text.encode() for text in (self.sha, str(len(self.keys)), *self.keys))

    @packed_head.default
    def _packed_head(self) -> bytes:
        return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in (b"EVALSHA", *self.head))

    @head_count.default
    def _head_count(self) -> int:
        return 1 + len(self.head)


@cache
def _text(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def load(name: str, keys: Keys, events_kept: int) -> Script:
    """Make a script ready for a queue.

    :param events_kept: about how many events the queue's stream keeps.
    """
    body = _text(name)
    header = _HEADER.search(body)
    if header is None:
        raise ValueError(f"{name}.lua has no header that names its keys")
    names = tuple(header[1].split())
    if name not in _READERS:
        body = f"local EVENTS_KEPT = {events_kept}\n{_text('lib')}\n{body}"
    numbers = {key: number for number, key in enumerate(names, 1)}
    # A key that the header lacks becomes KEYS[0], which is nil: the call fails, loudly.
    source = _KEY.sub(lambda match: f"KEYS[{numbers.get(match[1], 0)}]", body)
    return Script(
        name=name,
        source=source,
        sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(),
        key_names=names,
        keys=tuple(keys.key(key) for key in names),
    )


def with_index(script: Script, keys: Keys, place: str) -> Script:
    """Return the ``list`` script with the sorted set ``place`` as its index."""
    full = tuple(
        keys.key(place) if name == "index" else full
        for name, full in zip(script.key_names, script.keys, strict=True)
    )
    return attrs.evolve(script, keys=full)
