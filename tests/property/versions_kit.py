"""JSON documents and edits of them, and a shelf that keeps versions as the scripts do."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import strategies as st

from roost_core.backend import StoredHistory, StoredVersion, StoredWork
from roost_core.backend.history import CHANGE, WHOLE
from roost_core.codec.pieced import PiecedSnapshot
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.models import State

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 0.0, 1, 1.0, True, 9, 10, 99]),
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=30,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=8)


def exact(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal in types, signs and the order of keys as well."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return [*one] == [*other] and all(exact(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(exact, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def _holders(value: Any) -> list[Any]:
    """Return all objects and lists in a value, itself first."""
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, dict | list):
            found.append(one)
            left += one.values() if isinstance(one, dict) else one
    return found


def edited(data: st.DataObject, value: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an object after one edit: somewhere in it, or all of it replaced."""
    if data.draw(st.integers(0, 11), label="is replaced") == 11:
        return data.draw(OBJECTS, label="in its place")
    new = copy.deepcopy(value)
    holders = _holders(new)
    # What is deep is drawn as often as what is not.
    holder = holders[data.draw(st.integers(0, len(holders) - 1), label="where")]
    if isinstance(holder, list):
        _edit_list(data, holder)
    else:
        _edit_object(data, holder)
    return new


def _edit_list(data: st.DataObject, holder: list[Any]) -> None:
    how = data.draw(st.integers(0, 6), label="how")
    at = data.draw(st.integers(0, len(holder)), label="at")
    until = data.draw(st.integers(at, len(holder)), label="until")
    if how == 0:
        holder.append(data.draw(JSON))
    elif how == 1:
        holder[at:until] = data.draw(st.lists(JSON, max_size=4))
    elif how == 2:
        del holder[at:until]
    elif how == 3:
        # A sliding window.
        holder[:] = [*holder[at:], *data.draw(st.lists(LEAVES, max_size=3))]
    elif how == 4:
        holder[:] = [*holder[until:], *holder[at:until], *holder[:at]]
    elif how == 5:
        holder.extend(copy.deepcopy(holder[at:until]))
    elif at < len(holder):
        holder[at] = data.draw(JSON)


def _edit_object(data: st.DataObject, holder: dict[str, Any]) -> None:
    how = data.draw(st.integers(0, 4), label="how")
    keys = [*holder]
    key = data.draw(st.sampled_from(keys) if keys else TEXTS, label="key")
    if how == 0:
        holder[data.draw(TEXTS)] = data.draw(JSON)
    elif how == 1:
        holder.pop(key, None)
    elif how == 2:
        holder[key] = data.draw(JSON)
    elif how == 3:
        # Renamed, where it is.
        name = data.draw(TEXTS)
        items = [(name if one == key else one, value) for one, value in holder.items()]
        holder.clear()
        holder.update(items)
    else:
        items = data.draw(st.permutations([*holder.items()]))
        holder.clear()
        holder.update(items)


class Shelf:
    """What a ledger stores of one work item: the whole or a base, and the ways back."""

    def __init__(self) -> None:
        self.stored: bytes | None = None
        self.version = self.base = 0
        self.committed: list[bytes] = [b""]
        self.entries: list[StoredVersion] = []
        #: The texts that were moved out of any version, by their ids.
        self.values: dict[str, bytes] = {}

    def commit(self, encoded: EncodedSnapshot | PiecedSnapshot, raw: bytes) -> None:
        """Store a snapshot as ``advance`` does; ``raw`` is what its bytes have to be."""
        is_anchored = self.base > 0
        assert encoded.is_whole or is_anchored
        back = b""
        if encoded.change:
            back = CHANGE + encoded.change
        elif self.stored is not None and self.base in (0, self.version):
            back = WHOLE + self.stored
        self.version += 1
        if encoded.is_whole:
            self.stored = encoded.raw
            self.base = self.version if encoded.is_base else 0
        self.committed.append(raw)
        self.entries.append(StoredVersion(self.version, 0, 0, "worker", "step", back))

    def history(self) -> StoredHistory:
        """Return it as a ledger does."""
        work = StoredWork(
            work_id="w", engine="e", state=State.RUNNING, version=self.version, item=None
        )
        base = self.base or self.version
        return StoredHistory(work, self.stored, base, (*reversed(self.entries),))
