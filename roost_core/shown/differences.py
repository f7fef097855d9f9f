"""Differences as lines for people: nothing that a terminal obeys, and no secrets. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from roost_core.codec.changes import common_end, common_start
from roost_core.differences import Difference, Kind
from roost_core.differences.hiding import MARK, hidden_above
from roost_core.differences.pointers import parts_of, written
from roost_core.shown.cells import cut, width_of
from roost_core.shown.redaction import clean, redacted
from roost_core.values import Json
from roost_core.wording.secrets import HIDDEN, is_secret

#: The mark in front of a line.
MARKS: Final = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}
#: More lines are summed up.
MOST_LINES: Final = 200
#: The narrowest that a value is cut to, and how much of a text is shown around what has changed.
_NARROWEST: Final = 20
_AROUND: Final = 12
#: A longer text is first cut to this: no more than this can be shown. Characters.
_READ: Final = 4000


class Line(NamedTuple):
    """A line: its mark, and the text behind it. A line that sums up has no mark."""

    mark: str
    text: str


def lines(
    differences: Sequence[Difference],
    width: int = 80,
    *,
    is_revealed: bool = False,
    most: int = MOST_LINES,
) -> Iterator[Line]:
    """Yield lines of at most this many cells, mark and a space in front included.

    :param is_revealed: whether secrets are shown.
    :param most: how many differences are shown; the rest are summed up.
    """
    found = differences if is_revealed else without_hidden(differences)
    for one in found[:most]:
        yield Line(MARKS[one.kind], _text(one, width - 2, is_revealed=is_revealed))
    left = len(found) - most
    if left > 0:
        yield Line("", f"and {left:,} more")


def without_hidden(differences: Sequence[Difference]) -> list[Difference]:
    """Return the differences without those in hidden fields: of each such field, that it changed.

    Their paths would show the names that are in it. The values of the others are as they were.

    :raises InvalidInput: the path of one is no JSON pointer.
    """
    found: list[Difference] = []
    fields: set[str] = set()
    field_of = _hidden_fields()
    for one in differences:
        field = field_of(one.path)
        if field is None:
            found.append(one)
        elif field not in fields:
            fields.add(field)
            found.append(Difference(Kind.CHANGED, field, HIDDEN, HIDDEN))
    return found


def _hidden_fields() -> Callable[[str], str | None]:
    """Return what finds the field that hides what is at a path; it finds None if there is none."""
    known: dict[str, str | None] = {}

    def find(path: str) -> str | None:
        # Where many values differ, most are in the same few objects.
        parent = path.rpartition("/")[0]
        if parent not in known:
            above = hidden_above(parts_of(path))
            known[parent] = None if above is None else written(above)
        return known[parent]

    return find


def hidden_at(path: str, value: Json) -> Json:
    """Return the value at a place without secrets, which the keys on the way may tell of.

    :raises InvalidInput: that is no JSON pointer.
    """
    parts = parts_of(path) or ("",)
    # Whatever is in a field that is named like a secret is one, a number too.
    is_hidden = hidden_above(parts) is not None or is_secret(parts[-1], value)
    return HIDDEN if is_hidden else redacted(value)


def hidden_patch(patch: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Return the operations of a patch without secrets: to be read, not to be carried out.

    Those in which something is hidden have a mark. Of a hidden field no more is told than that it
    changed.
    """
    found: list[dict[str, Json]] = []
    fields: set[str] = set()
    field_of = _hidden_fields()
    for one in patch:
        field = field_of(one["path"])
        if field is None:
            is_given = "value" in one
            shown = {**one, "value": hidden_at(one["path"], one["value"])} if is_given else one
            found.append(dict(one) if shown == one else {**shown, MARK: True})
        elif field not in fields:
            fields.add(field)
            found.append({"op": "replace", "path": field, "value": HIDDEN, MARK: True})
    return found


def _text(one: Difference, width: int, *, is_revealed: bool) -> str:
    path = cut(clean(one.path) or "(everything)", max(_NARROWEST, width // 2))
    room = max(_NARROWEST, width - width_of(path) - 2)
    if one.kind is not Kind.CHANGED:
        value = one.new if one.kind is Kind.ADDED else one.old
        shown = _cut(_written(value, one.path, is_revealed), room)
        return cut(f"{path}  {shown}", width)
    old, new = (_written(value, one.path, is_revealed) for value in (one.old, one.new))
    if old == new:
        return cut(f"{path}  {_cut(old, room)} (changed)", width)
    first, second = apart(old, new, (room - 3) // 2)
    return cut(f"{path}  {first} → {second}", width)


def _written(value: Json, path: str, is_revealed: bool) -> str:
    if not is_revealed:
        value = hidden_at(path, value)
        if value == HIDDEN:
            return HIDDEN
    return json.dumps(value, ensure_ascii=False)


def _safe(text: str) -> str:
    # JSON has no escape characters; what is left are marks that reorder text, and the like.
    return "".join(one if one.isprintable() else " " for one in text)


def _cut(text: str, room: int) -> str:
    """Cut a text to this many cells; what is cut off is counted."""
    # Of a long one no more can be shown than this.
    head = _safe(text[: 4 * room + _READ])
    if len(text) <= 4 * room + _READ and width_of(head) <= room:
        return head
    least = max(_NARROWEST // 2, room - len(f"… {len(text):,} more"))
    kept = cut(head, least).removesuffix("…")
    return f"{kept}… {len(text) - len(kept):,} more"


def apart(old: str, new: str, room: int) -> tuple[str, str]:
    """Cut two texts to this many cells: to what is different, with a little around it."""
    if max(len(old), len(new)) <= room and max(map(width_of, (old, new))) <= room:
        return _safe(old), _safe(new)
    start = common_start(old, new)
    end = common_end(old, new, min(len(old), len(new)) - start)
    begin = max(0, start - _AROUND)
    ahead = "…" if begin else ""
    shown = (text[begin : len(text) - max(0, end - _AROUND)] for text in (old, new))
    first, second = (ahead + _cut(one, room - len(ahead)) if one else "…" for one in shown)
    return first, second
