r"""Large texts that are not stored in a snapshot, but beside it: each under its SHA-256.

In the stored bytes a *stand-in* has the place of such a text::

    "\u0072oost:<SHA-256 of the text, 64 hexadecimal digits>.<its bytes, decimal>"

The text is what JSON has there, its quotes included. Nothing else in a snapshot begins like a
stand-in: what Roost encodes has ``\u`` only in front of control characters, and ``\u0072`` is an
``r``. So stand-ins are found without decoding anything, and with the texts back in place the bytes
are what they would be if nothing had been moved, except for the schema. And they are JSON, so that
an older Roost gets as far as the schema.

A text is moved when it appears. One that was edited stays where it is, or comes back: then a
version costs its change (:mod:`roost_core.codec.changes`), and not the whole text again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from roost_core.errors import CodecError, CorruptRecord
from roost_core.values import Value

#: The schema of a snapshot with stand-ins: a Roost that does not know them must not run its work.
MOVED_SCHEMA: Final = 4

#: A text is taken to be an edit of another one, or to resemble it, if half of this many places of
#: the one are found in the other.
_PROBES: Final = 8
_PROBE_BYTES: Final = 48
#: A text is compared with no more of those that begin or end like it: pictures all begin alike.
_MOST_ALIKE: Final = 4

_PREFIX: Final = b'"\\u0072oost:'
_STAND_IN: Final = re.compile(rb'"\\u0072oost:([0-9a-f]{64})\.([0-9]{1,8})"')
#: Whatever is in front, this quote begins or ends a text.
_QUOTE: Final = re.compile(rb'[^\\]"')
_SCHEMA: Final = re.compile(rb'\{"schema":[0-9]+')


#: Of a snapshot without any; never changed.
NO_VALUES: Final[Mapping[str, bytes]] = {}


@attrs.frozen(eq=False, repr=False)
class Stored(Value):
    """A snapshot's bytes as they are stored, and what its stand-ins stand for.

    :ivar values: the texts that were moved, by their ids.
    """

    raw: bytes = attrs.field(repr=False)
    values: Mapping[str, bytes] = attrs.field(default=NO_VALUES, repr=False)
    _whole: bytes | None = attrs.field(default=None, repr=False)

    @property
    def whole(self) -> bytes:
        """The bytes with each text in its place."""
        return self.raw if self._whole is None else self._whole

    @classmethod
    def joined(cls, raw: bytes, values: Mapping[str, bytes]) -> Stored:
        """Put the texts in their places.

        :raises CorruptRecord: one is not there.
        """
        return cls(raw, values, with_values(raw, values)) if values else cls(raw)


class Mover:
    """Moves large texts out of what is encoded for one snapshot.

    :ivar moved: the texts that it has put stand-ins for, by their ids.
    """

    def __init__(self, least: int, known: Mapping[str, bytes]) -> None:
        """Begin with a snapshot.

        :param least: how many bytes a text has that is moved, its quotes included; 0 for none but
            those in ``known``.
        :param known: the texts that the snapshot before has moved, by their ids.
        """
        self._known: dict[int, list[tuple[str, bytes]]] = {}
        for text_id, text in known.items():
            self._known.setdefault(len(text), []).append((text_id, text))
        #: No shorter text is looked at.
        self.shortest = min([*self._known, *([least] if least else [])], default=0)
        self.moved: dict[str, bytes] = {}
        self._least = least

    def __call__(self, text: bytes, is_edited: Callable[[bytes], bool]) -> bytes:
        """Return a piece of JSON with stand-ins for its large texts.

        :param text: JSON as :func:`~roost_core.codec.strict_json.dumps` writes it, or any part of
            it that begins outside of a text.
        :param is_edited: whether a text, with its quotes, is one from before that was edited.
        """
        if not self.shortest or len(text) < self.shortest:
            return text
        parts: list[bytes] = []
        at = 0
        for start, end in _long_texts(text, self.shortest):
            value = text[start:end]
            value_id = self._id(value, is_edited)
            if value_id is not None:
                self.moved[value_id] = value
                parts += text[at:start], _stand_in(value_id, len(value))
                at = end
        return b"".join((*parts, text[at:])) if parts else text

    def _id(self, value: bytes, is_edited: Callable[[bytes], bool]) -> str | None:
        """Return under which id a text is moved, or None if it stays."""
        for value_id, other in self._known.get(len(value), ()):
            if other == value:
                return value_id
        if not self._least or len(value) < self._least or is_edited(value):
            return None
        return hashlib.sha256(value).hexdigest()


def _long_texts(text: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Yield where each text begins and ends that has enough bytes; keys are left out."""
    # A long text fills one of these windows, and most values show at once that none does.
    half = max(1, (least - 2) // 2)
    if all(_QUOTE.search(text, at, at + half) for at in range(0, len(text) - half + 1, half)):
        return
    # What is escaped is made harmless, without moving anything: then quotes enclose texts.
    parts = text.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
    at = 0
    for number, part in enumerate(parts):
        end = at + len(part)
        if number % 2 and len(part) + 2 >= least and text[end + 1 : end + 2] != b":":
            yield at - 1, end + 1
        at = end + 1


def _stand_in(value_id: str, size: int) -> bytes:
    return b'%b%b.%d"' % (_PREFIX, value_id.encode(), size)


# -- reading -------------------------------------------------------------------------------------


def has_values(raw: bytes | bytearray) -> bool:
    """Whether texts of a snapshot were moved."""
    return _PREFIX in raw


def value_ids(raw: bytes | bytearray) -> frozenset[str]:
    """Return the ids of the texts that were moved."""
    return frozenset(sizes(raw))


def sizes(raw: bytes | bytearray) -> dict[str, int]:
    """Return how many bytes each text has that was moved, by its id."""
    return {one[1].decode(): int(one[2]) for one in _STAND_IN.finditer(raw)}


def whole_bytes(raw: bytes | bytearray) -> int:
    """Return how many bytes a snapshot has with each text in its place."""
    return len(raw) + sum(int(one[2]) - len(one[0]) for one in _STAND_IN.finditer(raw))


def with_values(raw: bytes, values: Mapping[str, bytes]) -> bytes:
    """Return a snapshot's bytes with each text in its place.

    :raises CorruptRecord: a text is not there, or has another length.
    """
    if not has_values(raw):
        return raw

    def value(found: re.Match[bytes]) -> bytes:
        text = values.get(found[1].decode(), b"")
        if len(text) != int(found[2]):
            raise CorruptRecord(f"its text {found[1].decode()} is missing")
        return text

    return _STAND_IN.sub(value, raw)


def described(raw: bytes) -> bytes:
    """Return a snapshot's bytes with a few words in place of each text that was moved."""
    return _STAND_IN.sub(rb'"(\2 bytes, SHA-256 \1)"', raw)


# -- making --------------------------------------------------------------------------------------


def with_schema(raw: bytes, schema: int) -> bytes:
    """Return encoded JSON with another schema number.

    :raises CodecError: its schema does not come first.
    """
    found = _SCHEMA.match(raw)
    if found is None:
        raise CodecError("the snapshot does not begin with its schema")
    return b'{"schema":%d' % schema + raw[found.end() :]


class Earlier:
    """The large texts that a snapshot had, to find those that were edited.

    Only texts that begin or end alike are compared: of a text that was edited most is still there,
    its beginning or its end as well.
    """

    def __init__(self, before: Stored, least: int) -> None:
        """Look at the snapshot before, at its texts with at least this many bytes."""
        raw = before.raw
        texts = [raw[start:end] for start, end in _long_texts(raw, least)]
        self._known: dict[bytes, list[bytes]] = {}
        for text in (*before.values.values(), *texts):
            for mark in _ends(text):
                self._known.setdefault(mark, []).append(text)

    def has_edited(self, text: bytes) -> bool:
        """Whether a text, with its quotes, is one of them that was edited, or not even that."""
        like = [one for mark in _ends(text) for one in self._known.get(mark, ())]
        like.sort(key=lambda one: abs(len(one) - len(text)))
        return any(one == text or resembles(text, one) for one in like[:_MOST_ALIKE])


def _ends(text: bytes) -> tuple[bytes, bytes]:
    return text[1 : 1 + _PROBE_BYTES], text[-1 - _PROBE_BYTES :]


def resembles(one: bytes, other: bytes) -> bool:
    """Whether most of a text is also in another one, as far as a few places tell."""
    step = len(one) // (_PROBES + 1)
    places = range(step, len(one) - _PROBE_BYTES, step) if step else ()
    return 2 * sum(one[at : at + _PROBE_BYTES] in other for at in places) >= _PROBES
