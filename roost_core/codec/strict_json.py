"""JSON with caps: only what every reader of Roost's records can hold. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

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
    :raises CodecError: it is not JSON (NaN, infinity, lone surrogates, other types), nests too
        deep, or is larger than ``max_bytes``.
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
    """Decode JSON that a person wrote: like :func:`loads`, but no object may repeat a key.

    :raises CodecError: see there; a repeated key would lose the first value.
    """
    return _decode_json(_STRICT_DECODER, raw, what, max_bytes, 0)


def _decode_json(
    decoder: json.JSONDecoder, raw: bytes | str, what: str, max_bytes: int, envelope: int
) -> Json:
    try:
        data = raw if isinstance(raw, bytes) else raw.encode()
        # First of all: the decoder calls itself for each level. To let it run into the end of the
        # stack is no check, because whatever is called there fails, finalizers of others as well.
        _check(data, what, max_bytes, envelope)
        value = decoder.decode(data.decode())
        # Escapes can spell lone surrogates that no UTF-8 file or terminal can hold.
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    return value


def parse(text: bytes | str) -> Any:
    """Decode JSON that was written in a form of its own, and may be damaged. It may be of any size.

    :raises ValueError: malformed, or nested deeper than 64.
    """
    check_depth(text)
    return json.loads(text)


def check_depth(text: bytes | str) -> None:
    """Refuse what a decoder would run out of stack over, JSON or not.

    :raises ValueError: it nests deeper than 64.
    """
    data = text if isinstance(text, bytes) else text.encode(errors="replace")
    if _is_too_deep(data, MAX_DEPTH):
        raise ValueError(f"it nests deeper than {MAX_DEPTH}")


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


# Made once: json.dumps and json.loads would make a new one per call with these options. The encoder
# checks for cycles: otherwise it would write one out some thousands of times before it is too deep,
# and a thread's stack may not reach that far.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
#: For bytes that were checked, or made here: it has no caps.
DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r:.80} appears twice in one object")
            seen.add(key)
    return found


_STRICT_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_duplicates
)


_HOLDERS: Final = (dict, list, tuple)
#: What a key that is not a string looks like in JSON; a string can look like that, too. To look at
#: the first character before the alternatives takes a third less time.
_LIKE_NO_TEXT: Final = re.compile(r'"(?=[-0-9tfn])(?:-?[0-9][-+.e0-9]*|true|false|null)":')


def _check_keys(value: Json, encoded: str) -> None:
    """Refuse keys that are not strings: JSON would make ``1`` and ``"1"`` one key.

    Each step pays for this. For nearly all values the JSON itself shows that there is no such key,
    at a fraction of the cost of making it; only the rest are walked.
    """
    if _LIKE_NO_TEXT.search(encoded) is None:
        return
    left = [value] if isinstance(value, _HOLDERS) else []
    while left:
        one = left.pop()
        if isinstance(one, dict):
            try:
                "".join(one)  # the quickest way to find a key that is not a string
            except TypeError:
                raise TypeError("each key of an object must be a string") from None
        children: Iterable[Json] = one.values() if isinstance(one, dict) else one
        left += [child for child in children if isinstance(child, _HOLDERS)]


def _check(raw: bytes, what: str, max_bytes: int, envelope: int) -> None:
    """Check JSON, valid or not, against the caps."""
    if len(raw) > max_bytes:
        raise CodecError(f"{what} has {len(raw)} bytes; the limit is {max_bytes}")
    if _is_too_deep(raw, MAX_DEPTH + envelope):
        raise CodecError(f"{what} nests deeper than {MAX_DEPTH}")


def _is_too_deep(raw: bytes, deepest: int) -> bool:
    # Fewer brackets than levels cannot nest too deep: most values need no closer look.
    return raw.count(b"[") + raw.count(b"{") > deepest and _nests_deeper(raw, deepest)


#: Turns every bracket of JSON into a square one; used where everything else is deleted.
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _nests_deeper(raw: bytes, deepest: int) -> bool:
    """Return whether JSON nests deeper, or, if it is not valid, opens as many without an end.

    Strings are cut out, then pairs of brackets from the inside outwards, one level per round: a few
    passes in C over the bytes, where walking the values would take as long as encoding them.
    Whatever passes takes a decoder at most twice as deep: what is left are the unclosed ones.
    """
    outside_texts = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside_texts).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > deepest


def pretty(value: Json) -> bytes:
    """Encode a checked value as indented JSON with sorted keys, for people."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return text.encode() + b"\n"


def digest(engine: str, payload: Json) -> str:
    """Return what an idempotency key stands for: SHA-256 of engine and canonical payload.

    :raises CodecError: the payload is not JSON.
    """
    try:
        canonical = json.dumps([engine, payload], sort_keys=True, separators=(",", ":"))
        _check_keys(payload, canonical)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"the payload is not JSON: {_cause(error)}") from error
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
