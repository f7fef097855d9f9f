"""The Lua scripts, read from files and made ready to call.

A file's header names its keys, ``-- KEYS: work ready …``; in its text, and in the shared functions
of ``lua/lib``, ``K.work`` stands for that key. At load each ``K.name`` becomes ``KEYS[n]``, so that
the header is the only list of a script's keys, and the shared functions that the script uses are
put in front of it (:mod:`~roost_plugins.redis_saq.composing`). ``F.name`` stands for a list of a
record's fields (:mod:`~roost_plugins.redis_saq.record.lua`).

An error names the line of the :attr:`Script.source` that the server was sent.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import Final

import attrs

from roost_core.settings import Settings
from roost_core.values import Value
from roost_plugins.redis_saq import composing
from roost_plugins.redis_saq.keys import Keys

_KEY: Final = re.compile(r"\bK\.([a-z_]+)")
#: For how many numbers of arguments a script remembers how its calls begin.
_MOST_HEADS: Final = 100


def names() -> list[str]:
    """Return the names of all scripts."""
    return sorted(path.stem for path in composing.FOLDER.glob("*.lua"))


@attrs.frozen(eq=False, repr=False)
class Script(Value):
    """A script of one queue: its source, the source's SHA-1, and the full names of its keys.

    ``by_name`` and ``by_source`` are what precedes the arguments of a call: EVALSHA
    with the SHA-1, or EVAL with the source, then the number of keys and the keys.
    """

    name: str
    source: str = attrs.field(repr=False)
    sha: str
    key_names: tuple[str, ...]
    keys: tuple[str, ...]
    by_name: tuple[str, ...] = attrs.field(init=False, repr=False)
    by_source: tuple[str, ...] = attrs.field(init=False, repr=False)
    _heads: dict[int, bytes] = attrs.field(factory=dict, init=False, repr=False)

    @by_name.default
    def _by_name(self) -> tuple[str, ...]:
        return ("EVALSHA", self.sha, str(len(self.keys)), *self.keys)

    @by_source.default
    def _by_source(self) -> tuple[str, ...]:
        return ("EVAL", self.source, str(len(self.keys)), *self.keys)

    def head(self, count: int) -> bytes:
        """Return a call by name as the server's protocol writes it, up to its arguments.

        :param count: how many of these there are.
        """
        # Half of a call's bytes, and the same each time.
        head = self._heads.get(count)
        if head is None:
            words = [word.encode() for word in self.by_name]
            written = (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            head = b"*%d\r\n%b" % (len(words) + count, b"".join(written))
            # A claim has as many tokens as there are free lanes, and a commit any number of events.
            if len(self._heads) < _MOST_HEADS:
                self._heads[count] = head
        return head


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Bounds(Value):
    """How much is kept: ``ROOST_EVENTS_KEPT`` and so on."""

    events_kept: int
    events_bytes: int
    history_versions: int
    history_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Return what the settings say."""
        return cls(**{field.name: getattr(settings, field.name) for field in attrs.fields(cls)})

    @cached_property
    def text(self) -> str:
        """The bounds as constants of a script."""
        return "".join(
            f"local {field.name.upper()} = {getattr(self, field.name)}\n"
            for field in attrs.fields(Bounds)
        )


def load(name: str, keys: Keys, bounds: Bounds) -> Script:
    """Make a script ready for a queue."""
    body = composing.text_of(name)
    names = tuple(composing.header(body, "KEYS"))
    if not names:
        raise ValueError(f"{name}.lua has no header that names its keys")
    body = f"{bounds.text}{composing.composed(body)}"
    numbers = {key: number for number, key in enumerate(names, 1)}
    # A key that the header lacks becomes KEYS[0], which is nil: the call fails loudly.
    source = _KEY.sub(lambda match: f"KEYS[{numbers.get(match[1], 0)}]", body)
    return Script(
        name=name,
        source=source,
        sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(),
        key_names=names,
        keys=tuple(keys.key(key) for key in names),
    )


class Scripts(dict[str, Script]):
    """A queue's scripts by name, each made ready at first use."""

    def __init__(self, keys: Keys, bounds: Bounds) -> None:
        super().__init__()
        self._keys = keys
        self._bounds = bounds

    def __missing__(self, name: str) -> Script:
        """Load the script."""
        script = self[name] = load(name, self._keys, self._bounds)
        return script


def with_place(script: Script, keys: Keys, place: str) -> Script:
    """Return a script that names a ``place`` with the sorted set of this name as it."""
    full = tuple(
        keys.key(place) if name == "place" else full
        for name, full in zip(script.key_names, script.keys, strict=True)
    )
    return attrs.evolve(script, keys=full)
