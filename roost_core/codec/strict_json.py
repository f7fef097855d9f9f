"""JSON with caps: what every reader of Roost's records can hold, and nothing else. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from typing import Final

from roost_core.errors import CodecError
from roost_core.values import Json

#: JSON nests at most this deep, so that no reader runs out of stack.
MAX_DEPTH: Final = 64
#: The largest payload of a work item, in bytes of JSON.
MAX_PAYLOAD_BYTES: Final = 1 << 20
#: The largest snapshot, in bytes of JSON, envelope included.
MAX_SNAPSHOT_BYTES: Final = 8 << 20
#: The largest event that an engine may emit, in bytes of JSON.
MAX_EVENT_BYTES: Final = 16 << 10


def dumps(
    value: Json, what: str, max_bytes: int, envelope: int = 0, errors: str = "strict"
) -> bytes:
    """Encode ``value`` as compact UTF-8 JSON.

    :param what: the name of the value in error messages.
    :param envelope: levels around the value that do not count as its own.
    :param errors: ``replace`` puts question marks in place of lone surrogates.
    :raises CodecError: it is not JSON (NaN, infinity, lone surrogates, other
        types), nests too deep, or is larger than ``max_bytes``.
    """
    try:
        encoded = _ENCODER.encode(value)
        _check_keys(value, encoded)
        raw = encoded.encode("utf-8", errors)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(raw, what, max_bytes, envelope)
    return raw


def loads(raw: bytes | str, what: str, max_bytes: int, envelope: int = 0) -> Json:
    """Decode JSON under the same caps as :func:`dumps`.

    :raises CodecError: malformed, too large, too deep, NaN or infinite.
    """
    return _decode_json(DECODER, raw, what, max_bytes, envelope)


def loads_typed(raw: bytes | str, what: str, max_bytes: int) -> Json:
    """Decode JSON that a person wrote: like :func:`loads`, and no object has a key twice.

    :raises CodecError: see there; of two values with one key, the first would be lost.
    """
    return _decode_json(_STRICT_DECODER, raw, what, max_bytes, 0)


def _decode_json(
    decoder: json.JSONDecoder, raw: bytes | str, what: str, max_bytes: int, envelope: int
) -> Json:
    try:
        data = raw if isinstance(raw, bytes) else raw.encode()
        _check_size(data, what, max_bytes)
        value = decoder.decode(data.decode())
        # Escapes can spell lone surrogates that no UTF-8 file or terminal can hold.
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(data, what, max_bytes, envelope)
    return value


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"it nests deeper than {MAX_DEPTH}"
    if isinstance(error, UnicodeEncodeError):
        return "it holds a lone surrogate"
    return str(error)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not allowed")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text:.20} is too large for a number")
    return value


# Each is made once: json.dumps and json.loads would make one for each call with these options.
# The encoder looks out for circles: without that it would write one down some thousands of times,
# with all that hangs on it, before it is too deep; and as deep as that a thread's stack may not
# reach.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
#: For bytes that have been checked, or made here: it knows no caps.
DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r:.80} stands twice in one object")
            seen.add(key)
    return found


_STRICT_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_duplicates
)


_HOLDERS: Final = (dict, list, tuple)
#: What a key that is no text looks like once it is JSON; a text can look so as well.
_LIKE_NO_TEXT: Final = re.compile(r'"(?:-?[0-9][-+.e0-9]*|true|false|null)":')


def _check_keys(value: Json, encoded: str) -> None:
    """Refuse keys that are no texts: JSON would make ``1`` and ``"1"`` one key.

    This stands in the way of each step. A look at the JSON says for nearly all values that there
    is no such key, and costs a fraction of making it; only the rest are walked through.
    """
    if _LIKE_NO_TEXT.search(encoded) is None:
        return
    left = [value] if isinstance(value, _HOLDERS) else []
    while left:
        one = left.pop()
        if isinstance(one, dict):
            try:
                "".join(one)  # the quickest way to find a key that is no text
            except TypeError:
                raise TypeError("each key of an object must be a text") from None
        children: Iterable[Json] = one.values() if isinstance(one, dict) else one
        left += [child for child in children if isinstance(child, _HOLDERS)]


def _check_size(raw: bytes, what: str, max_bytes: int) -> None:
    if len(raw) > max_bytes:
        raise CodecError(f"{what} has {len(raw)} bytes; the most is {max_bytes}")


def _check(raw: bytes, what: str, max_bytes: int, envelope: int) -> None:
    """Check sound JSON against the caps."""
    _check_size(raw, what, max_bytes)
    deepest = MAX_DEPTH + envelope
    # Fewer brackets than levels cannot nest too deep: most values are not looked at any closer.
    if raw.count(b"[") + raw.count(b"{") > deepest and _nests_deeper(raw, deepest):
        raise CodecError(f"{what} nests deeper than {MAX_DEPTH}")


#: Makes every bracket of JSON a square one, and is used where all else is deleted.
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _nests_deeper(raw: bytes, deepest: int) -> bool:
    """Return whether sound JSON nests deeper.

    Texts are cut out, then pairs of brackets from the inside outwards, a level in each round:
    a few passes of C over the bytes, where a walk over the values would take as long as
    encoding them.
    """
    outside_texts = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside_texts).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def pretty(value: Json) -> bytes:
    """Encode a checked value as indented JSON with sorted keys, for people."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return text.encode() + b"\n"


def digest(engine: str, payload: Json) -> str:
    """Name what an idempotency key stands for: SHA-256 of engine and canonical payload.

    :raises CodecError: the payload is not JSON.
    """
    try:
        canonical = json.dumps([engine, payload], sort_keys=True, separators=(",", ":"))
        _check_keys(payload, canonical)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"the payload is not JSON: {_cause(error)}") from error
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
