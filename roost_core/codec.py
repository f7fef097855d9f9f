"""Models to JSON bytes and back, and the checks at that border.

What is persisted of an item or a snapshot carries a schema number; fields that
this Roost does not know survive a round trip in ``extra``. Times that the
server decides are not in these bytes: the backend keeps them and they are
filled in on the way out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from typing import Any, Final, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from roost_core import models
from roost_core.errors import CodecError, CorruptRecord, InvalidInput, WrittenByNewer
from roost_core.models import (
    Artifact,
    ErrorRecord,
    Heartbeat,
    Json,
    RetryPolicy,
    Snapshot,
    State,
    Stuck,
    WorkerInfo,
    WorkItem,
    unchecked_snapshot,
)
from roost_core.values import Value

#: The number that persisted models carry. What has a higher one is left to a newer Roost.
SCHEMA: Final = 1
#: JSON nests at most this deep, so that no reader runs out of stack.
MAX_DEPTH: Final = 64
#: Levels around the values in a snapshot's data: the envelope, and data itself. Each value may nest
#: as deep as a payload, because a payload that is no object starts as such a value.
_AROUND_DATA: Final = 2
#: The largest payload of a work item, in bytes of JSON.
MAX_PAYLOAD_BYTES: Final = 1 << 20
#: The largest snapshot, in bytes of JSON, envelope included.
MAX_SNAPSHOT_BYTES: Final = 8 << 20
#: The largest event that an engine may emit, in bytes of JSON.
MAX_EVENT_BYTES: Final = 16 << 10

_T = TypeVar("_T")

#: Times of the server, kept beside the bytes and not in them.
_SERVER_TIMES: Final = ("created_at", "updated_at", "finished_at")


@lru_cache(maxsize=256)
def from_milliseconds(value: int) -> datetime:
    """Turn the server's milliseconds since the epoch into an aware UTC time."""
    return datetime.fromtimestamp(value / 1000, UTC)


def to_milliseconds(value: datetime) -> int:
    """Turn an aware time into whole milliseconds since the epoch.

    :raises InvalidInput: the time has no zone.
    """
    if value.tzinfo is None:
        raise InvalidInput(f"{value.isoformat()} has no time zone: add Z or an offset")
    return round(value.timestamp() * 1000)


# -- JSON ------------------------------------------------------------------------------------


def dumps(value: Json, what: str, max_bytes: int, envelope: int = 0) -> bytes:
    """Encode ``value`` as compact UTF-8 JSON.

    :param what: the name of the value in error messages.
    :param envelope: levels around the value that do not count as its own.
    :raises CodecError: it is not JSON (NaN, infinity, lone surrogates, other
        types), nests too deep, or is larger than ``max_bytes``.
    """
    try:
        encoded = _ENCODER.encode(value)
        _check_keys(value, encoded)
        raw = encoded.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(raw, what, max_bytes, envelope)
    return raw


def loads(raw: bytes | str, what: str, max_bytes: int, envelope: int = 0) -> Json:
    """Decode JSON under the same caps as :func:`dumps`.

    :raises CodecError: malformed, too large, too deep, NaN or infinite.
    """
    return _decode_json(_DECODER, raw, what, max_bytes, envelope)


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


# Made once: json.dumps and json.loads would make one for each call with these options.
# It looks out for circles: without that it would write one down some thousands of times, with all
# that hangs on it, before it is too deep; and as deep as that a thread's stack may not reach.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


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


# -- models ----------------------------------------------------------------------------------


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False, omit_if_default=True)
    converter.register_unstructure_hook(datetime, lambda value: value.isoformat())
    converter.register_structure_hook(datetime, lambda value, _: _time(value))
    converter.register_structure_hook(State, lambda value, _: State(value))
    # attrs' own validators decide; cattrs must not turn 1 into "1" or "x" into an error of its own.
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook_factory(
        _is_tuple, lambda cls: _list_of(converter, get_args(cls)[0])
    )
    # By factory: what reads or writes a class is made when it is first read or written, because
    # each takes up to a millisecond, and a short command needs two of fourteen.
    converter.register_unstructure_hook_factory(_is_model, partial(_writer, converter))
    converter.register_structure_hook_factory(_is_model, partial(_reader, converter))
    return converter


#: The persisted models.
_MODELS: Final = frozenset(
    {RetryPolicy, Artifact, ErrorRecord, Heartbeat, Stuck, WorkerInfo, WorkItem, Snapshot}
)


def _is_model(cls: Any) -> bool:
    return cls in _MODELS


def _writer(converter: cattrs.Converter, cls: Any) -> Any:
    kept_apart = set(_SERVER_TIMES) if cls in (WorkItem, Snapshot) else set()
    omitted = {"extra"} | (kept_apart & {field.name for field in attrs.fields(cls)})
    rules: dict[str, Any] = {name: override(omit=True) for name in omitted}
    if cls is Snapshot:
        # Handed to the JSON encoder as it is: walking it would cost more than encoding it.
        rules["data"] = override(unstruct_hook=_as_dict)
    unstructure = make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **rules)
    return _with_extra(unstructure)


def _reader(converter: cattrs.Converter, cls: Any) -> Any:
    known = {field.name for field in attrs.fields(cls)} - {"extra"}
    structure = make_dict_structure_fn(cls, converter, extra=override(omit=True))
    return _keep_unknown(cls, known, structure)


def _as_dict(value: Mapping[str, Json]) -> dict[str, Json]:
    return value if isinstance(value, dict) else dict(value)


def _strict(kind: type) -> Any:
    accepted = (int, float) if kind is float else kind

    def structure(value: Any, _: type) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise InvalidInput(f"expected {kind.__name__}, found {value!r:.80}")
        return value

    return structure


def _is_tuple(cls: Any) -> bool:
    origin: Any = get_origin(cls)
    return origin is tuple


def _list_of(converter: cattrs.Converter, kind: Any) -> Any:
    def structure(value: Any, _: type) -> tuple[Any, ...]:
        # A text or an object can be walked like a list, but is none.
        if not isinstance(value, list):
            raise InvalidInput(f"expected a list, found {value!r:.80}")
        return tuple(converter.structure(one, kind) for one in value)

    return structure


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value  # one of the server's, put in by _decode
    if not isinstance(value, str):
        raise InvalidInput(f"expected a time, found {value!r:.80}")
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise InvalidInput(f"expected a time with a zone, found {value!r:.80}")
    return time


def _with_extra(unstructure: Any) -> Any:
    def encode(model: Any) -> dict[str, Any]:
        plain: dict[str, Any] = unstructure(model)
        return {**model.extra, **plain} if model.extra else plain

    return encode


def _keep_unknown(cls: type, known: set[str], structure: Any) -> Any:
    def decode(plain: Any, _: type) -> Any:
        if not isinstance(plain, dict):
            raise InvalidInput(f"expected an object for {cls.__name__}, found {plain!r:.80}")
        model = structure(plain, cls)
        if plain.keys() <= known:
            return model
        unknown = {key: value for key, value in plain.items() if key not in known}
        return attrs.evolve(model, extra=unknown)

    return decode


@cache
def converter() -> cattrs.Converter:
    """Return the one converter; made at first use, because that takes milliseconds."""
    return _converter()


@cache
def _snapshot_writer() -> Callable[[Snapshot], dict[str, Any]]:
    """Return what writes snapshots, without a look at the class: each step comes through here."""
    writer: Callable[[Snapshot], dict[str, Any]] = converter().get_unstructure_hook(Snapshot)
    return writer


def encode_payload(payload: Json) -> bytes:
    """Encode a payload as it stands in an encoded work item.

    :raises CodecError: it is not JSON, too deep, or over 1 MiB.
    """
    return dumps(payload, "the payload", MAX_PAYLOAD_BYTES)


def encode_item(item: WorkItem) -> bytes:
    """Encode a work item for the backend.

    :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
    """
    payload = encode_payload(item.payload)
    plain = converter().unstructure(attrs.evolve(item, payload=None))
    rest = dumps({"schema": SCHEMA, **plain}, "the work item", MAX_PAYLOAD_BYTES)
    # The payload is encoded once and spliced in: it may be large.
    return rest[:-1] + b',"payload":' + payload + b"}"


def decode_item(raw: bytes, created_ms: int | None = None) -> WorkItem:
    """Decode a stored work item.

    :param created_ms: when the server accepted it, in milliseconds since the epoch.
    :raises CorruptRecord: the bytes do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    return _decode(
        WorkItem, raw, "the stored work item", 2 * MAX_PAYLOAD_BYTES, created_at=created_ms
    )


@attrs.frozen(eq=False, repr=False)
class EncodedSnapshot(Value):
    """A snapshot as bytes, and what decoding these bytes would bring, for less.

    Engines must see what another worker would see, so their data has to make the round
    trip through JSON in each step; the envelope around it holds only what has been checked.
    What a newer Roost has added, ``extra``, may hold anything, but is rare.
    """

    raw: bytes = attrs.field(repr=False)
    _snapshot: Snapshot

    @classmethod
    def of(cls, snapshot: Snapshot) -> EncodedSnapshot:
        """Encode a snapshot for the backend.

        :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole
            has over 8 MiB.
        """
        plain = {"schema": SCHEMA, **_snapshot_writer()(snapshot)}
        return cls(
            dumps(plain, "the snapshot", MAX_SNAPSHOT_BYTES, envelope=_AROUND_DATA), snapshot
        )

    def decoded(
        self, created_ms: int | None, updated_ms: int | None, finished_ms: int | None
    ) -> Snapshot:
        """Return what :func:`decode_snapshot` makes of the bytes, a new one each time."""
        mine = self._snapshot
        if mine.extra or any(one.extra for one in mine.artifacts):
            return decode_snapshot(
                self.raw, created_ms=created_ms, updated_ms=updated_ms, finished_ms=finished_ms
            )
        # Not checked again: these bytes have been made here, with no space around them.
        plain, _ = _DECODER.raw_decode(self.raw.decode())
        return unchecked_snapshot(
            work_id=mine.work_id,
            engine=mine.engine,
            version=mine.version,
            step=mine.step,
            data=plain.get("data", {}),
            artifacts=mine.artifacts,
            is_finished=mine.is_finished,
            next_step_delay_seconds=mine.next_step_delay_seconds,
            created_at=None if created_ms is None else from_milliseconds(created_ms),
            updated_at=None if updated_ms is None else from_milliseconds(updated_ms),
            finished_at=None if finished_ms is None else from_milliseconds(finished_ms),
            extra={},
        )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Encode a snapshot for the backend.

    :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole
        has over 8 MiB.
    """
    return EncodedSnapshot.of(snapshot).raw


def decode_snapshot(
    raw: bytes,
    *,
    created_ms: int | None = None,
    updated_ms: int | None = None,
    finished_ms: int | None = None,
) -> Snapshot:
    """Decode a stored snapshot and fill in the server's times, in milliseconds.

    :raises CorruptRecord: the bytes do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    return _decode(
        Snapshot,
        raw,
        "the stored snapshot",
        MAX_SNAPSHOT_BYTES,
        envelope=_AROUND_DATA,
        created_at=created_ms,
        updated_at=updated_ms,
        finished_at=finished_ms,
    )


def encode_model(model: ErrorRecord | Heartbeat | WorkerInfo) -> bytes:
    """Encode one of the small persisted models.

    Lone surrogates in its texts become question marks: what went wrong, or what an
    engine has to say, must never be the reason that it cannot be stored.

    :raises CodecError: it holds what is not JSON, or is over 1 MiB.
    """
    what = f"the {type(model).__name__}"
    plain = {"schema": SCHEMA, **converter().unstructure(model)}
    try:
        encoded = _ENCODER.encode(plain)
        _check_keys(plain, encoded)
        raw = encoded.encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(raw, what, MAX_PAYLOAD_BYTES, envelope=1)
    return raw


def decode_model(cls: type[_T], raw: bytes) -> _T:
    """Decode what :func:`encode_model` wrote; of what a newer Roost wrote, what is known here.

    :raises CorruptRecord: the bytes do not decode.
    """
    return _decode(cls, raw, f"the stored {cls.__name__}", MAX_PAYLOAD_BYTES, takes_newer=True)


#: What decoding sound JSON of the wrong shape raises: cattrs takes shapes for granted.
_UNDECODABLE: Final = (
    InvalidInput,
    cattrs.BaseValidationError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


def _decode(
    cls: type[_T],
    raw: bytes,
    what: str,
    max_bytes: int,
    *,
    takes_newer: bool = False,
    envelope: int = 1,
    **server_times: int | None,
) -> _T:
    try:
        # The envelope is levels around a payload or data of the greatest depth.
        plain = loads(raw, what, max_bytes, envelope=envelope)
        if not isinstance(plain, dict):
            raise CodecError(f"{what} is not an object")
        schema = plain.pop("schema", None)
        if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
            raise CodecError(f"{what} has schema {schema!r:.80}; this Roost reads {SCHEMA}")
        if schema > SCHEMA and not takes_newer:
            raise WrittenByNewer(
                f"{what} has schema {schema}, this Roost reads {SCHEMA}: a newer one wrote it",
                schema,
            )
        for name, at_ms in server_times.items():
            if at_ms is not None:
                plain[name] = from_milliseconds(at_ms)
            else:
                plain.pop(name, None)
        return converter().structure(plain, cls)
    except _UNDECODABLE as error:
        raise CorruptRecord(f"{what} does not decode: {error}") from error


def to_plain(value: Any) -> Json:
    """Turn a model into plain JSON values for people: every field, times in ISO 8601."""
    if attrs.has(type(value)):
        plain = {
            field.name: to_plain(getattr(value, field.name))
            for field in attrs.fields(type(value))
            if field.name != "extra"
        }
        return {**getattr(value, "extra", {}), **plain}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, models.State):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(child) for key, child in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(child) for child in value]
    return value
