"""How two versions differ, as a page shows it: by word, mark and colour; no secrets. Pure."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from roost_core.client.comparing import Comparison
from roost_core.differences import Difference, Kind
from roost_core.errors import InvalidInput
from roost_core.models import Json
from roost_core.shown.differences import apart, hidden_at, without_hidden
from roost_core.wording.secrets import HIDDEN
from roost_plugins.console.kit.tree import value_at

#: This many differences are shown, and this many if a reader asks for all.
MOST: Final = 200
MOST_ASKED: Final = 2_000
#: A value is cut to this many cells in its line, and to this many characters when it is opened.
_ROOM: Final = 240
_OPENED: Final = 16_000
#: Of all values that are opened together, this many characters. The rest is cut to its line.
_BUDGET: Final = 1_000_000
_MARKS: Final = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}
_WORDS: Final = {Kind.ADDED: "added", Kind.REMOVED: "removed", Kind.CHANGED: "changed"}
_IN_LISTS: Final = {Kind.ADDED: "inserted", Kind.REMOVED: "taken out", Kind.CHANGED: "replaced"}
_TONES: Final = {Kind.ADDED: "good", Kind.REMOVED: "bad", Kind.CHANGED: "accent"}


@attrs.frozen
class Side:
    """A value before or after.

    :ivar text: as it is shown in its line.
    :ivar whole: what is shown when it is opened; empty if the line has all of it.
    :ivar more: how many characters there are besides.
    """

    text: str
    whole: str = ""
    more: int = 0


@attrs.frozen
class Line:
    """One difference.

    :ivar mark: ``+``, ``-`` or ``~``; ``word`` says the same.
    :ivar old: None for what is new; ``new`` is None for what is gone.
    :ivar is_hidden: whether what differs is a secret.
    """

    tone: str
    mark: str
    word: str
    path: str
    old: Side | None
    new: Side | None
    is_hidden: bool = False


@attrs.frozen
class Differences:
    """What is shown of how two values differ.

    :ivar total: how many differences there are; ``left`` of them are not shown.
    """

    lines: Sequence[Line]
    total: int

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.total - len(self.lines)


def differences_of(
    found: Sequence[Difference], old: Json, new: Json, most: int = MOST
) -> Differences:
    """Return what is shown of how two values differ.

    :param old: the earlier value as a whole, and ``new`` the later one.
    """
    lines: list[Line] = []
    room = _BUDGET
    paired = [*_paired(without_hidden(found), old, new)]
    for one in paired[:most]:
        line, used = _line(one, old, new, min(room, _OPENED))
        lines.append(line)
        room -= used
    return Differences(lines, len(paired))


def compared(found: Comparison, most: int = MOST) -> Differences:
    """Return what is shown of how two versions differ."""
    return differences_of(found.differences, dict(found.old.data), dict(found.new.data), most)


def _paired(found: Sequence[Difference], old: Json, new: Json) -> Iterator[Difference]:
    """Yield what differs; of a list, what came in the place of something else is one difference.

    Between two elements that both lists have, those that are gone come first, then the new ones:
    the first that is new has replaced the first that is gone if it stands where that would.
    """
    gone: deque[tuple[str, int, Difference]] = deque()
    # By list: how far an element that both have has moved.
    moved: Counter[str] = Counter()

    def given_up() -> Iterator[Difference]:
        while gone:
            within, _, one = gone.popleft()
            moved[within] -= 1
            yield one

    for one in found:
        within, _, last = one.path.rpartition("/")
        is_element = one.kind is not Kind.CHANGED and _is_in_list(one, old, new)
        if is_element and one.kind is Kind.REMOVED:
            if gone and (within, int(last) - 1) != gone[-1][:2]:
                yield from given_up()
            gone.append((within, int(last), one))
        elif is_element and gone and (within, int(last) - moved[within]) == gone[0][:2]:
            before = gone.popleft()[2]
            yield Difference(Kind.CHANGED, one.path, before.old, one.new)
        else:
            yield from given_up()
            moved[within] += is_element
            yield one
    yield from given_up()


def _line(one: Difference, old: Json, new: Json, room: int) -> tuple[Line, int]:
    words = _IN_LISTS if _is_in_list(one, old, new) else _WORDS
    before, after = (hidden_at(one.path, value) for value in (one.old, one.new))
    texts = [_written(before), _written(after)]
    if one.kind is Kind.CHANGED:
        cut = [*apart(texts[0], texts[1], _ROOM)]
    else:
        cut = [text if len(text) <= _ROOM else f"{text[:_ROOM]}…" for text in texts]
    sides = [
        _side(text, short, value, room)
        for text, short, value in zip(texts, cut, (before, after), strict=True)
    ]
    is_hidden = one.kind is Kind.CHANGED and texts[0] == texts[1]
    line = Line(
        _TONES[one.kind],
        _MARKS[one.kind],
        words[one.kind],
        one.path,
        None if one.kind is Kind.ADDED else sides[0],
        None if one.kind is Kind.REMOVED else sides[1],
        is_hidden,
    )
    return line, sum(len(side.whole) for side in (line.old, line.new) if side is not None)


def _side(text: str, short: str, value: Json, room: int) -> Side:
    if short == text or room <= 0:
        return Side(short)
    if isinstance(value, str):
        whole = value
    else:
        # What is not shown need not be set out in lines.
        small = len(text) <= 4 * _OPENED
        whole = json.dumps(value, ensure_ascii=False, indent=2) if small else text
    return Side(short, whole[:room], max(0, len(whole) - room))


def _written(value: Json) -> str:
    return HIDDEN if value == HIDDEN else json.dumps(value, ensure_ascii=False)


def _is_in_list(one: Difference, old: Json, new: Json) -> bool:
    """Whether what differs is an element of a list."""
    parent, slash, last = one.path.rpartition("/")
    if not slash or not last.isdecimal():
        return False
    value = old if one.kind is Kind.REMOVED else new
    try:
        return isinstance(value_at(value, parent), list | tuple)
    except InvalidInput:
        return False
