"""Other ways to send a snapshot: candidates, measured next to the product and not used there.

Each sends the next snapshot to a receiver that has the previous one, and recovers exactly the same
bytes.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from time import process_time
from typing import Any, Final

import attrs

from benchmarks.measuring.figures import middle
from benchmarks.probes.states import State
from roost_core import Snapshot
from roost_core.codec.snapshots import decode_snapshot, encode_snapshot

#: A cost is the median of this many passes, each of at least this many CPU seconds.
_PASSES: Final = 3
_PASS_SECONDS: Final = 0.01

_Encode = Callable[[bytes, bytes], bytes]


@attrs.frozen
class Candidate:
    """A way to send: ``encode(before, after)`` and ``decode(before, sent)``, both to bytes."""

    name: str
    encode: _Encode
    decode: _Encode


@attrs.frozen
class Cost:
    """What a candidate sends, and its CPU on top of the JSON's, in µs: all for one step."""

    name: str
    bytes: float
    encode_us: float
    decode_us: float


# -- compression -----------------------------------------------------------------------------


def _compressing(name: str, compress: Any, decompress: Any) -> Candidate:
    return Candidate(name, lambda _, after: compress(after), lambda _, sent: decompress(sent))


def _with_before(before: bytes, after: bytes) -> bytes:
    """Compress with the previous snapshot as a dictionary: of a long one, zlib sees 32 KB."""
    packer = zlib.compressobj(1, zdict=before)
    return packer.compress(after) + packer.flush()


def _out_with_before(before: bytes, sent: bytes) -> bytes:
    unpacker = zlib.decompressobj(zdict=before)
    return unpacker.decompress(sent) + unpacker.flush()


# -- differences -----------------------------------------------------------------------------


def shared_head(one: bytes, other: bytes) -> int:
    """Return how many bytes both begin with; compares blocks, halving them."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        center = (low + high + 1) // 2
        if one[low:center] == other[low:center]:
            low = center
        else:
            high = center - 1
    return low


def shared_tail(one: bytes, other: bytes, most: int) -> int:
    """Return how many bytes both end with, ``most`` at most."""
    low, high = 0, most
    while low < high:
        center = (low + high + 1) // 2
        if one[len(one) - center : len(one) - low] == other[len(other) - center : len(other) - low]:
            low = center
        else:
            high = center - 1
    return low


def _body(raw: bytes) -> int:
    """Return where the engine's data begins: the version comes before it, and always differs."""
    return raw.index(b'"data":')


def cut(before: bytes, after: bytes) -> bytes:
    """Leave out what the data has in common with the previous one at both ends."""
    old, new = before[_body(before) :], after[_body(after) :]
    head = shared_head(old, new)
    tail = shared_tail(old, new, min(len(old), len(new)) - head)
    envelope = after[: len(after) - len(new)]
    return b"%d %d %d\n" % (len(envelope), head, tail) + envelope + new[head : len(new) - tail]


def restore(before: bytes, sent: bytes) -> bytes:
    """Undo :func:`cut`."""
    line, _, rest = sent.partition(b"\n")
    envelope, head, tail = (int(one) for one in line.split())
    old = before[_body(before) :]
    return b"".join(
        (rest[:envelope], old[:head], rest[envelope:], old[len(old) - tail :] if tail else b"")
    )


def difference(before: Any, after: Any) -> Any:
    """Return how JSON differs: ``{key: difference}``, ``["+", items]`` or ``["=", value]``."""
    if isinstance(before, dict) and isinstance(after, dict) and list(before) == list(after):
        return {
            key: difference(before[key], value)
            for key, value in after.items()
            if before[key] != value
        }
    if isinstance(before, list) and isinstance(after, list) and after[: len(before)] == before:
        return ["+", after[len(before) :]]
    return ["=", after]


def patched(before: Any, patch: Any) -> Any:
    """Undo :func:`difference`; what did not change is shared with ``before``."""
    if isinstance(patch, dict):
        return {**before, **{key: patched(before[key], one) for key, one in patch.items()}}
    how, value = patch
    return [*before, *value] if how == "+" else value


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _patch(before: bytes, after: bytes) -> bytes:
    # Both are parsed: an engine may have changed what it was given or has returned.
    return _compact(difference(json.loads(before), json.loads(after)))


def _apply(before: bytes, sent: bytes) -> bytes:
    return _compact(patched(json.loads(before), json.loads(sent)))


# -- all of them -----------------------------------------------------------------------------


def candidates() -> Sequence[Candidate]:
    """Return all candidates that this Python has."""
    found = [
        _compressing("zlib 1", partial(zlib.compress, level=1), zlib.decompress),
        _compressing("zlib 6", partial(zlib.compress, level=6), zlib.decompress),
        _compressing("lzma 0", partial(lzma.compress, preset=0), lzma.decompress),
        Candidate("zlib 1, previous as dictionary", _with_before, _out_with_before),
        Candidate("cut at both ends", cut, restore),
        Candidate(
            "cut at both ends, zlib 1",
            lambda before, after: zlib.compress(cut(before, after), 1),
            lambda before, sent: restore(before, zlib.decompress(sent)),
        ),
        Candidate("JSON patch", _patch, _apply),
    ]
    if find_spec("compression") is not None:
        zstd: Any = import_module("compression.zstd")
        found.insert(3, _compressing("zstd 1", partial(zstd.compress, level=1), zstd.decompress))
    return found


def snapshots(state: State, count: int) -> list[bytes]:
    """Return consecutive snapshots as they are stored."""
    return [
        encode_snapshot(
            Snapshot("w-0123456789abcdef", "bench", version=n, step="step", data=state.at(n))
        )
        for n in range(1, count + 1)
    ]


def json_cost(stored: Sequence[bytes]) -> Cost:
    """Return what the product does now: JSON and nothing else."""
    models = [decode_snapshot(raw) for raw in stored]
    return Cost(
        "JSON, as it is",
        middle([len(raw) for raw in stored]),
        _microseconds(lambda: [encode_snapshot(model) for model in models], len(models)),
        _microseconds(lambda: [decode_snapshot(raw) for raw in stored], len(stored)),
    )


def cost(candidate: Candidate, stored: Sequence[bytes]) -> Cost:
    """Measure a candidate over consecutive snapshots.

    :raises RuntimeError: what comes out is not what went in.
    """
    pairs = list(pairwise(stored))
    sent = [candidate.encode(before, after) for before, after in pairs]
    for (before, after), raw in zip(pairs, sent, strict=True):
        if candidate.decode(before, raw) != after:
            raise RuntimeError(f"{candidate.name} does not give back what it was given")
    ways = [(before, raw) for (before, _), raw in zip(pairs, sent, strict=True)]
    return Cost(
        candidate.name,
        middle([len(raw) for raw in sent]),
        _microseconds(lambda: [candidate.encode(*pair) for pair in pairs], len(pairs)),
        _microseconds(lambda: [candidate.decode(*way) for way in ways], len(ways)),
    )


def _microseconds(work: Callable[[], object], count: int) -> float:
    """Return the CPU of one of ``count`` pieces of work."""
    took = []
    for _ in range(_PASSES):
        began, rounds = process_time(), 0
        while (spent := process_time() - began) < _PASS_SECONDS or not rounds:
            work()
            rounds += 1
        took.append(spent / rounds)
    return 1e6 * middle(took) / count
