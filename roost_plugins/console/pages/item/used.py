"""What steps have used, as far as a work item's snapshots count tokens or money. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from roost_core.backend import StoredHistory
from roost_core.codec.snapshots import decode_outline
from roost_core.errors import CorruptRecord
from roost_core.models import Json

#: This many figures are told.
_MOST: Final = 8
#: What an agent's snapshots call what they have used, and how deep it is looked for.
_USED: Final = re.compile(r"(^|_)(tokens?|cost|costs|usd|eur|spent)(_|$)", re.IGNORECASE)
_DEEP: Final = 3
#: This many bytes of versions are decoded for it; those that are left out are stepped over.
_ROOM: Final = 64 << 20

_Path = tuple[str, ...]
_Counts = Mapping[_Path, float]


@attrs.frozen
class Figure:
    """What the steps since have used, if the snapshots count it."""

    name: str
    amount: str


@attrs.frozen
class Used:
    """What steps have used.

    :ivar is_least: whether it may be more, because not all versions between could be read.
    """

    figures: Sequence[Figure]
    is_least: bool = False


def used_since(history: StoredHistory, version: int, room: int = _ROOM) -> Used:
    """Return what the steps after a version have used: by how much each has raised a count.

    A version that a person has put back takes the counts back, too, and what was used stays used.

    :param room: this many bytes are decoded at most, besides the first version and the last.
    """
    read = _read(history, version, room)
    sums: dict[_Path, float] = {}
    before = read.get(version)
    is_least = before is None
    for number in range(version + 1, history.work.version + 1):
        commit, counts = history.commit(number), read.get(number)
        if counts is None:
            is_least = True
        if commit is None or commit.is_by_person:
            # A person has used nothing; of what is not remembered nobody knows who it was.
            is_least |= commit is None
            before = counts
        elif counts is not None:
            if before is not None:
                for path, value in counts.items():
                    if (grown := value - before.get(path, 0)) > 0:
                        sums[path] = sums.get(path, 0) + grown
            before = counts
        # A step that cannot be read is told with the next one that can be.
    found = [Figure(".".join(path), _written(amount)) for path, amount in sums.items()]
    return Used(found[:_MOST], is_least)


def _read(history: StoredHistory, version: int, room: int) -> dict[int, _Counts]:
    """Return the counts of a version and those after it, as far as they can be read."""
    found: dict[int, _Counts] = {}
    # The two ends say the most.
    ends = (version, history.work.version)
    for number, text in history.texts():
        if number < version or text is None:
            continue
        if number not in ends:
            if len(text) > room:
                continue
            room -= len(text)
        try:
            snapshot = decode_outline(text)
        except CorruptRecord:
            continue
        found[number] = dict(_counts(snapshot.data, (), _DEEP))
    return found


def _counts(value: Json, path: _Path, deep: int) -> Iterator[tuple[_Path, float]]:
    """Yield the counts of tokens and of money in a value, with their paths.

    They are found by their names, at the top or in objects within: ``usage.total_tokens``.
    """
    if not isinstance(value, Mapping):
        return
    for key, child in value.items():
        is_number = isinstance(child, int | float) and not isinstance(child, bool)
        if is_number and _USED.search(str(key)):
            yield (*path, str(key)), child
        elif deep and isinstance(child, Mapping):
            yield from _counts(child, (*path, str(key)), deep - 1)


def _written(amount: float) -> str:
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.6g}"
