"""Ways to keep a state and its last versions: candidates beside what the product does.

Each gets the snapshots of consecutive steps, makes what a worker would send, and the copy that the
next step gets. What the server does is counted in bytes, not carried out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from time import process_time_ns
from typing import Any, Final

import attrs

from benchmarks.probes.series import KINDS
from benchmarks.probes.states import SEED
from roost_core import Snapshot
from roost_core.codec import changes
from roost_core.codec.moved import Stored as Text
from roost_core.codec.pieced import (
    MOST_CHANGE_BYTES,
    MOST_CHANGES,
    REWRITE,
    PiecedSnapshot,
)
from roost_core.codec.records import encode_item
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.models import WorkItem
from roost_core.stepping.recent import StoredItem

#: The versions that each way keeps, the newest among them.
VERSIONS: Final = 50
#: What is sent is tried out this often. Steps.
_TRIED: Final = 10
#: As much of the previous version as there is serves as a dictionary: log2 of bytes.
_WINDOW_LOG: Final = 24


@attrs.frozen
class Stored:
    """What a step stores: bytes of a whole, of a change, and what the server copies by itself."""

    whole: int = 0
    change: int = 0
    copied: int = 0


class Way:
    """A way to keep a state."""

    name: str
    #: Whether a change leads from a version to the next; else to the one before.
    is_forward = False

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.spent_ns = 0

    def step(self, snapshot: Snapshot) -> None:
        """Store a step's snapshot, and copy it for the next step; its CPU counts."""
        began = process_time_ns()
        stored = self._step(snapshot)
        self.spent_ns += process_time_ns() - began
        self.stored.append(stored)

    def _step(self, snapshot: Snapshot) -> Stored:
        raise NotImplementedError

    def check(self) -> None:
        """Follow the last change.

        :raises RuntimeError: it does not lead where it should.
        """

    @property
    def sent(self) -> int:
        """Bytes that the worker has sent."""
        return sum(one.whole + one.change for one in self.stored)

    @property
    def written(self) -> int:
        """Bytes that the server has written."""
        return sum(one.whole + one.change + one.copied for one in self.stored)

    def _last_whole(self, before: int) -> int:
        """Return the place of the last whole, if one is needed before this place."""
        return max(i for i in range(before + 1) if self.stored[i].whole)

    @property
    def claim(self) -> int:
        """Bytes that another worker has to be sent in order to continue."""
        place = self._last_whole(len(self.stored) - 1)
        followed = sum(one.change for one in self.stored[place + 1 :])
        return self.stored[place].whole + followed

    @property
    def kept(self) -> int:
        """Bytes of the last versions."""
        newest = len(self.stored) - 1
        oldest = newest - VERSIONS + 1
        if self.is_forward:
            kept = self.stored[self._last_whole(oldest) :]
            return sum(one.whole + one.change for one in kept)
        base = self._last_whole(newest)
        back = self.stored[min(oldest, base) + 1 :]
        return self.stored[base].whole + sum(one.change + one.copied for one in back)


class Wholes(Way):
    """Each version as a whole; the server keeps the one before."""

    name = "wholes"

    def __init__(self) -> None:
        super().__init__()
        self.raw = b""

    def _step(self, snapshot: Snapshot) -> Stored:
        encoded = EncodedSnapshot.of(snapshot)
        encoded.decoded(0, 0, None)
        before, self.raw = self.raw, encoded.raw
        return Stored(whole=len(encoded.raw), copied=len(before))


def _zstd() -> Any:
    """Return Python's own module, or the package that brings it to an older one, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


class _Zstd(Way):
    """Patches by zstd, of a version with its neighbour as the prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.zstd = _zstd()
        named = self.zstd.CompressionParameter
        self.options = {
            named.compression_level: 1,
            named.window_log: _WINDOW_LOG,
            named.enable_long_distance_matching: 1,
        }
        self.raw = b""
        self.last = (b"", b"", b"")

    def _patch(self, known: bytes, wanted: bytes) -> bytes:
        prefix = self.zstd.ZstdDict(known, is_raw=True).as_prefix
        patch: bytes = self.zstd.compress(wanted, options=self.options, zstd_dict=prefix)
        self.last = known, wanted, patch
        return patch

    def check(self) -> None:
        """Follow the last patch, as every way does."""
        known, wanted, patch = self.last
        if not known:
            return
        prefix = self.zstd.ZstdDict(known, is_raw=True).as_prefix
        options = {self.zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        if wanted != self.zstd.decompress(patch, zstd_dict=prefix, options=options):
            raise RuntimeError(f"{self.name}: a patch does not lead where it should")


class ZstdBack(_Zstd):
    """The newest version as a whole, and patches that lead back from it."""

    name = "newest whole, zstd back"

    def _step(self, snapshot: Snapshot) -> Stored:
        encoded = EncodedSnapshot.of(snapshot)
        encoded.decoded(0, 0, None)
        before, self.raw = self.raw, encoded.raw
        patch = self._patch(encoded.raw, before) if before else b""
        return Stored(whole=len(encoded.raw), change=len(patch))


class _Based(Way):
    """Knows when the whole has to be stored again: by the product's own rule."""

    is_forward = True

    def __init__(self) -> None:
        super().__init__()
        self._base = self._since = self._count = 0

    def _forward(self, whole: int, change: int) -> Stored:
        self._since, self._count = self._since + change, self._count + 1
        most = min(REWRITE * self._base, MOST_CHANGE_BYTES)
        if change and self._since <= most and self._count <= MOST_CHANGES:
            return Stored(change=change)
        self._base, self._since, self._count = whole, 0, 0
        return Stored(whole=whole)


class ZstdForward(_Based, _Zstd):
    """A base, and patches that lead on from it."""

    name = "base, zstd forward"

    def _step(self, snapshot: Snapshot) -> Stored:
        encoded = EncodedSnapshot.of(snapshot)
        encoded.decoded(0, 0, None)
        before, self.raw = self.raw, encoded.raw
        patch = self._patch(before, encoded.raw) if before else b""
        return self._forward(len(encoded.raw), len(patch))


class JsonPatch(_Based):
    """A base, and patches of RFC 6902 that lead on from it, of the data only."""

    name = "base, JSON patches"

    def __init__(self) -> None:
        super().__init__()
        self._make = import_module("jsonpatch").make_patch
        self._data: Any = None
        self._last: tuple[Any, Any, str] | None = None

    def _step(self, snapshot: Snapshot) -> Stored:
        encoded = EncodedSnapshot.of(snapshot)
        # One for the next step, and one to compare with, which nobody can change.
        encoded.decoded(0, 0, None)
        before, self._data = self._data, encoded.decoded(0, 0, None).data
        if before is None:
            return self._forward(len(encoded.raw), 0)
        patch = self._make(before, self._data).to_string()
        self._last = before, self._data, patch
        return self._forward(len(encoded.raw), len(patch.encode()))

    def check(self) -> None:
        """Follow the last patch, as every way does."""
        if self._last is None:
            return
        before, wanted, patch = self._last
        if wanted != import_module("jsonpatch").apply_patch(before, patch):
            raise RuntimeError(f"{self.name}: a patch does not lead where it should")


class Pieces(Way):
    """What the product does: pieces of text, splices of them, and a base now and then."""

    name = "as built"

    def __init__(self) -> None:
        super().__init__()
        self._item = StoredItem(encode_item(WorkItem(work_id="w-1", engine="bench")), 0)
        self._before: Text | PiecedSnapshot | None = None
        self._last: tuple[Text | PiecedSnapshot | None, EncodedSnapshot | PiecedSnapshot] | None
        self._last = None

    def _step(self, snapshot: Snapshot) -> Stored:
        before = self._before
        encoded = self._item.encode(snapshot, before)
        encoded.decoded(0, 0, None)
        self._before = encoded
        self._last = before, encoded
        # Where no change is sent, the server keeps the version before, if it has it as a whole.
        copied = 0
        if before is not None and not encoded.change:
            is_there = isinstance(before, Text) or before.is_base
            copied = len(before.raw) if is_there else 0
        whole = len(encoded.raw) if encoded.is_whole else 0
        return Stored(whole=whole, change=len(encoded.change), copied=copied)

    def check(self) -> None:
        """Follow the last change, as every way does."""
        before, after = self._last or (None, None)
        if before is None or after is None or not after.change:
            return
        text = bytearray(before.raw)
        changes.followed(text, after.change)
        if text != after.raw:
            raise RuntimeError(f"{self.name}: a change does not lead where it should")


#: The first is what the others' CPU is compared with.
_WAYS: Final[Sequence[type[Way]]] = (Wholes, ZstdBack, ZstdForward, JsonPatch, Pieces)


def _is_there(way: type[Way]) -> bool:
    """Whether a way has what it needs."""
    if issubclass(way, _Zstd):
        return _zstd() is not None
    return way is not JsonPatch or find_spec("jsonpatch") is not None


def compare(kind: str, steps: int) -> list[dict[str, Any]]:
    """Take each way through the steps of a kind of state, in turns, and return a row for each.

    :raises RuntimeError: what a way has stored does not lead where it should.
    """
    state = KINDS[kind]()
    ways = [way() for way in _WAYS if _is_there(way)]
    source = random.Random(SEED)  # noqa: S311 - no secret
    for n in range(1, steps + 1):
        text = json.dumps(state.at(n))
        # In another order each time: what runs before something takes its place in caches.
        for way in source.sample(ways, len(ways)):
            # Each gets its own, as from a step that has copied everything.
            data = json.loads(text)
            way.step(Snapshot("w-1", "bench", version=n, step="step", data=data))
            if n % _TRIED == 0:
                way.check()
    final = ways[0].stored[-1].whole
    return [
        {
            "kind": kind,
            "steps": steps,
            "final_bytes": final,
            "way": way.name,
            "sent_of_final": way.sent / final,
            "written_of_final": way.written / final,
            "cpu_of_wholes": way.spent_ns / ways[0].spent_ns,
            "claim_of_final": way.claim / final,
            "kept_of_final": way.kept / final,
        }
        for way in ways
    ]
