"""JSON as a tree of which no more is drawn than fits a page; the rest is fetched when opened. Pure.

However large the value is, a drawing has at most :data:`BUDGET` nodes and about as many lines, and
takes time for these alone. Fields named like secrets are hidden, and secrets in texts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.models import Json
from roost_core.shown.counts import counted
from roost_core.wording.redaction import redacted_text
from roost_core.wording.secrets import HIDDEN, is_secret
from roost_plugins.console.kit.pointers import child, escaped, steps, unescaped

#: The most nodes that are drawn at once.
BUDGET: Final = 400
#: The most children of one branch.
CHILDREN: Final = 100
#: Of a long text, this many characters are looked at.
MOST_TEXT: Final = 4_000
#: A branch with no more children than this is open from the start, near the root.
_FEW: Final = 6
_NEAR: Final = 2


@attrs.frozen
class Node:
    """One value of the tree.

    :ivar key: its name or place in its parent; None for the root.
    :ivar kind: ``object``, ``array``, ``text``, ``number`` or ``word`` (true, false, null).
    :ivar text: a leaf's value, up to :data:`MOST_TEXT` characters of it; a branch's size, such as
        ``12 keys``.
    :ivar length: of a text, how many characters it has.
    :ivar at: its JSON pointer from the root of the whole value.
    :ivar children: those that are drawn; none if they are fetched when it is opened.
    :ivar start: the place of the first child that is drawn.
    :ivar left: how many children come after the last that is drawn.
    :ivar is_branch: it has children, drawn or not.
    :ivar is_open: it is open from the start.
    """

    key: str | None
    kind: str
    text: str
    at: str
    children: Sequence[Node] = ()
    start: int = 0
    left: int = 0
    is_branch: bool = False
    is_open: bool = False
    length: int = 0

    @property
    def next(self) -> int:
        """The place of the first child after the last that is drawn."""
        return self.start + len(self.children)


def tree(value: Json, at: str = "", start: int = 0) -> Node:
    """Return a value's tree, or a part of it.

    :param at: the JSON pointer of the part, such as ``/plan/3``.
    :param start: the place of the first child of it to draw.
    :raises InvalidInput: there is nothing at that place.
    """
    part = value_at(value, at)
    drawn = _drawn(part, at, start)
    key = unescaped(at.rpartition("/")[2]) if at else None
    # What a reader has opened shows its children, of which there may be many, closed.
    return _node(part, key, at, start, drawn, 0, 0 if at else _NEAR)


def value_at(value: Json, at: str) -> Json:
    """Return what a JSON pointer names.

    :raises InvalidInput: nothing.
    """
    for name in steps(at):
        try:
            found = child(value, name)
        except LookupError:
            raise InvalidInput(f"there is nothing at {at!r:.80} any more") from None
        value = _visible(name, found) if isinstance(value, Mapping) else found
    return value


def _drawn(value: Json, at: str, start: int) -> set[str]:
    """Return which branches' children are drawn: those near the root first, while there is room."""
    drawn: set[str] = set()
    room = BUDGET
    waiting = deque([(at, value, start)])
    while waiting:
        place, branch, first = waiting.popleft()
        count = min(CHILDREN, max(0, _size(branch) - first))
        if place != at and count > room:
            continue
        room -= count
        drawn.add(place)
        waiting.extend(
            (f"{place}/{escaped(key)}", child, 0)
            for key, child in _children(branch, first)
            if _size(child)
        )
    return drawn


def _node(
    value: Json, key: str | None, at: str, start: int, drawn: set[str], depth: int, near: int
) -> Node:
    size = _size(value)
    kind = _kind(value)
    if not isinstance(value, Mapping | list | tuple):
        if isinstance(value, str):
            return Node(key, kind, redacted_text(value[:MOST_TEXT]), at, length=len(value))
        return Node(key, kind, _word(value), at)
    text = counted(size, "key" if kind == "object" else "item")
    if at not in drawn:
        return Node(key, kind, text, at, left=size, is_branch=size > 0)
    children = tuple(
        _node(child, name, f"{at}/{escaped(name)}", 0, drawn, depth + 1, _below(size, near))
        for name, child in _children(value, start)
    )
    is_open = depth == 0 or (size <= _FEW and depth <= near)
    left = size - start - len(children)
    return Node(key, kind, text, at, children, start, left, size > 0, is_open)


def _below(size: int, near: int) -> int:
    """Return down to which depth the children of a branch are open: many are not."""
    return near if size <= 2 * _FEW else 0


def _children(value: Json, start: int) -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping):
        for place, (key, child) in enumerate(value.items()):
            if place >= start + CHILDREN:
                return
            if place >= start:
                yield str(key), _visible(key, child)
    elif isinstance(value, list | tuple):
        for place, child in enumerate(value[start : start + CHILDREN], start):
            yield str(place), child


def _visible(key: str, value: Json) -> Json:
    return HIDDEN if is_secret(key, value) else value


def _size(value: Json) -> int:
    return len(value) if isinstance(value, Mapping | list | tuple) else 0


def _kind(value: Json) -> str:
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple):
        return "array"
    if isinstance(value, str):
        return "text"
    return "word" if value is None or isinstance(value, bool) else "number"


def _word(value: Json) -> str:
    return (
        {None: "null", True: "true", False: "false"}[value]
        if _kind(value) == "word"
        else str(value)
    )
