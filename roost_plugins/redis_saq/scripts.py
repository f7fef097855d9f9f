"""The Lua scripts, read from files and made ready to call.

A file's header names its keys, ``-- KEYS: work ready …``; in its text, and in the shared functions
of ``lua/lib``, ``K.work`` stands for that key. At load each ``K.name`` becomes ``KEYS[n]``, so that
the header is the only list of a script's keys, and the shared functions that the script uses,
directly or not, are put in front of it. No others: the server creates them in every call, which
takes longer the more of them refer to each other. So those whose comment begins with ``-- Seldom.``
are put into one function, ``seldom``, that creates each when it is first called, and no other; each
call of one becomes ``seldom('name')(…)``. ``F.name`` stands for a list of a record's fields, see
:mod:`~roost_plugins.redis_saq.record.lua`.

An error names the line of the :attr:`Script.source` that the server was sent.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Final, NamedTuple

import attrs

from roost_core.errors import BackendError
from roost_core.values import Value
from roost_plugins.redis_saq.keys import Keys
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.lua import expanded

_HEADER: Final = re.compile(r"^-- KEYS: (.+)$", re.MULTILINE)
_KEY: Final = re.compile(r"\bK\.([a-z_]+)\b")
#: One of the shared functions, with the comment before it.
_FUNCTION: Final = re.compile(
    r"(?:^--[^\n]*\n)*^local function (\w+)\(.*?^end\n",
    re.MULTILINE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"--[^\n]*")
#: Where functions were left out.
_GAP: Final = re.compile(r"\n{3,}")
_WORD: Final = re.compile(r"\w+")
#: The shared functions, each file after those that it builds on.
_SHARED: Final = (
    "record",
    "index",
    "trail",
    "newer",
    "blame",
    "halts",
    "line",
    "release",
    "acts",
    "resources",
    "reservations",
    "settle",
    "parts",
    "holder",
    "giveback",
    "claiming",
    "rates",
    "removing",
    "show",
    "survey",
    "inspect",
)
_FOLDER: Final = Path(__file__).parent / "lua"


def names() -> list[str]:
    """Return the names of all scripts."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


@attrs.frozen(eq=False, repr=False)
class Script(Value):
    """A script of one queue: its source, the source's SHA-1, and the full names of its keys.

    ``by_name`` and ``by_source`` are what precedes the arguments of a call: EVALSHA
    with the SHA-1, or EVAL with the source, then the number of keys and the keys; ``packed``
    is ``by_name`` as the server's protocol writes it, without the number of words in front.
    """

    name: str
    source: str = attrs.field(repr=False)
    sha: str
    key_names: tuple[str, ...]
    keys: tuple[str, ...]
    by_name: tuple[str, ...] = attrs.field(init=False, repr=False)
    by_source: tuple[str, ...] = attrs.field(init=False, repr=False)
    packed: bytes = attrs.field(init=False, repr=False)

    @by_name.default
    def _by_name(self) -> tuple[str, ...]:
        return ("EVALSHA", self.sha, str(len(self.keys)), *self.keys)

    @by_source.default
    def _by_source(self) -> tuple[str, ...]:
        return ("EVAL", self.source, str(len(self.keys)), *self.keys)

    @packed.default
    def _packed(self) -> bytes:
        # Half of a call's bytes, and the same each time.
        words = [word.encode() for word in self.by_name]
        return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


@cache
def _text(name: str) -> str:
    # importlib.resources would import archives and mail parsing into every short command.
    path = _FOLDER / f"{name}.lua"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        # Too many open files, for example.
        raise BackendError(f"cannot read {path}: {error.strerror}") from error


def load(name: str, keys: Keys, events_kept: int, events_bytes: int = 64 << 20) -> Script:
    """Make a script ready for a queue.

    :param events_kept: about how many events the queue's stream keeps.
    :param events_bytes: about how many bytes of the server's memory they may take.
    """
    body = _text(name)
    header = _HEADER.search(body)
    if header is None:
        raise ValueError(f"{name}.lua has no header that names its keys")
    names = tuple(header[1].split())
    bounds = f"local EVENTS_KEPT = {events_kept}\nlocal EVENTS_BYTES = {events_bytes}\n"
    body = f"{bounds}{_composed(expanded(body, fields.RECORD))}"
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

    def __init__(self, keys: Keys, events_kept: int, events_bytes: int = 64 << 20) -> None:
        super().__init__()
        self._keys = keys
        self._bounds = (events_kept, events_bytes)

    def __missing__(self, name: str) -> Script:
        """Load the script."""
        script = self[name] = load(name, self._keys, *self._bounds)
        return script


def _composed(body: str) -> str:
    """Return ``body`` after the shared text that it uses, whose ``seldom`` part is one function."""
    pieces = _reached(body)
    often = "".join(one.text for one in pieces if not one.is_seldom)
    often = _GAP.sub("\n\n", often)
    seldom = [one for one in pieces if one.is_seldom]
    if not seldom:
        return f"{often}\n{body}"
    names = "|".join(one.function for one in seldom)
    called = re.compile(rf"(?<!function )\b({names})(?=\()")
    often, body = (called.sub(r"seldom('\1')", text) for text in (often, body))
    makers = "".join(
        f"  {'elseif' if number else 'if'} name == '{one.function}' then\n"
        + indent(called.sub(r"seldom('\1')", one.as_value("one")), "    ")
        for number, one in enumerate(seldom)
    )
    return (
        f"local seldom\n{often}\nlocal made\nseldom = function(name)\n"
        "  if not made then made = {} end\n  local one = made[name]\n"
        f"  if one then return one end\n{makers}  end\n"
        f"  made[name] = one\n  return one\nend\n\n{body}"
    )


def _reached(body: str) -> list[_Piece]:
    """Return the shared text without the functions that ``body`` does not use."""
    files = [_pieces(one, _text(f"lib/{one}"), fields.RECORD) for one in _SHARED]
    pieces = [piece for file in files for piece in file]
    functions = {piece.function: piece.text for piece in pieces if piece.function}
    reached: set[str] = set()
    to_read = [body, *(piece.text for piece in pieces if not piece.function)]
    while to_read:
        new = (_words(to_read.pop()) & functions.keys()) - reached
        reached |= new
        to_read.extend(functions[name] for name in new)
    kept = [[one for one in file if not one.function or one.function in reached] for file in files]
    # A file's own comment is kept where something of the file is.
    return [one for file in kept if any(map(_has_code, file)) for one in file]


class _Piece(NamedTuple):
    """A part of the shared text: a function, or what is between two."""

    function: str
    text: str

    @property
    def is_seldom(self) -> bool:
        """Whether it is created when it is first called."""
        return self.text.startswith("-- Seldom.\n")

    def as_value(self, name: str) -> str:
        """Return the function's text as an assignment to a variable."""
        return self.text.replace(f"local function {self.function}(", f"{name} = function(", 1)


@cache
def _pieces(name: str, shared: str, table: fields.Table) -> list[_Piece]:
    # Once for all scripts: this takes longer than the rest of making one ready.
    shared = f"-- lib/{name}.lua\n\n{expanded(shared, table)}"
    pieces, end = [], 0
    for found in _FUNCTION.finditer(shared):
        pieces.append(_Piece("", shared[end : found.start()]))
        pieces.append(_Piece(found[1], found[0]))
        end = found.end()
    return [*pieces, _Piece("", shared[end:])]


def _has_code(piece: _Piece) -> bool:
    return bool(_words(piece.text))


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_COMMENT.sub("", text)))


def with_place(script: Script, keys: Keys, place: str) -> Script:
    """Return a script that names a ``place`` with the sorted set of this name as it."""
    full = tuple(
        keys.key(place) if name == "place" else full
        for name, full in zip(script.key_names, script.keys, strict=True)
    )
    return attrs.evolve(script, keys=full)
