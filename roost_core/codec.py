"""Models to JSON bytes and back, and the checks at that border.

What is persisted of an item or a snapshot carries a schema number; fields that
this Roost does not know survive a round trip in ``extra``. Times that the
server decides are not in these bytes: the backend keeps them and they are
filled in on the way out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from roost_core import models
from roost_core.errors import CodecError, CorruptRecord, InvalidInput
from roost_core.models import (
    Artifact,
    ErrorRecord,
    Heartbeat,
    Json,
    RetryPolicy,
    Snapshot,
    State,
    WorkerInfo,
    WorkItem,
)

#: The number that persisted models carry; a reader refuses newer ones.
SCHEMA: Final = 1
#: JSON nests at most this deep, so that no reader runs out of stack.
MAX_DEPTH: Final = 64
#: The largest payload of a work item, in bytes of JSON.
MAX_PAYLOAD_BYTES: Final = 1 << 20
#: The largest snapshot, in bytes of JSON, envelope included.
MAX_SNAPSHOT_BYTES: Final = 8 << 20
#: The largest event that an engine may emit, in bytes of JSON.
MAX_EVENT_BYTES: Final = 16 << 10

_T = TypeVar("_T")

#: Times of the server, kept beside the bytes and not in them.
_SERVER_TIMES: Final = ("created_at", "updated_at", "finished_at")


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


def dumps(value: Json, what: str, max_bytes: int) -> bytes:
    """Encode ``value`` as compact UTF-8 JSON.

    :param what: the name of the value in error messages.
    :raises CodecError: it is not JSON (NaN, infinity, lone surrogates, other
        types), nests deeper than 64, or is larger than ``max_bytes``.
    """
    try:
        raw = _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(raw, value, what, max_bytes)
    return raw


def loads(raw: bytes | str, what: str, max_bytes: int) -> Json:
    """Decode JSON under the same caps as :func:`dumps`.

    :raises CodecError: malformed, too large, too deep, NaN or infinite.
    """
    if len(raw) > max_bytes:
        raise CodecError(f"{what} has {len(raw)} bytes; the most is {max_bytes}")
    try:
        value = _DECODER.decode(raw if isinstance(raw, str) else raw.decode())
        # Escapes can spell lone surrogates that no UTF-8 file or terminal can hold.
        _refuse_surrogates(raw, value)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{what} is not JSON: {_cause(error)}") from error
    _check(raw, value, what, max_bytes)
    return value


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"it nests deeper than {MAX_DEPTH}"
    if isinstance(error, UnicodeEncodeError):
        return "it holds a lone surrogate"
    return str(error)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not allowed")


# Made once: json.dumps and json.loads would make one for each call with these options.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _refuse_surrogates(raw: bytes | str, value: Json) -> None:
    if isinstance(raw, str) or b"\\u" in raw:
        json.dumps(value, ensure_ascii=False).encode()


def _check(raw: bytes | str, value: Json, what: str, max_bytes: int) -> None:
    if len(raw) > max_bytes:
        raise CodecError(f"{what} has {len(raw)} bytes; the most is {max_bytes}")
    if isinstance(raw, bytes):
        brackets = raw.count(b"[") + raw.count(b"{")
    else:
        brackets = raw.count("[") + raw.count("{")
    # Fewer brackets than levels cannot nest too deep: most values are never walked.
    if brackets > MAX_DEPTH:
        level: list[Json] = [value]
        for _ in range(MAX_DEPTH + 1):
            level = [child for parent in level for child in _children(parent)]
            if not level:
                return
        raise CodecError(f"{what} nests deeper than {MAX_DEPTH}")


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list | tuple)]
    if isinstance(value, list | tuple):
        return [child for child in value if isinstance(child, dict | list | tuple)]
    return []


def pretty(value: Json) -> bytes:
    """Encode a checked value as indented JSON with sorted keys, for people."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return text.encode() + b"\n"


def digest(engine: str, payload: Json) -> str:
    """Name what an idempotency key stands for: SHA-256 of engine and canonical payload."""
    canonical = json.dumps([engine, payload], sort_keys=True, separators=(",", ":"))
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
    for cls in (RetryPolicy, Artifact, ErrorRecord, Heartbeat, WorkerInfo, WorkItem, Snapshot):
        names = {field.name for field in attrs.fields(cls)}
        kept_apart = names & set(_SERVER_TIMES) if cls in (WorkItem, Snapshot) else set()
        rules: dict[str, Any] = {name: override(omit=True) for name in {"extra", *kept_apart}}
        unstructure = make_dict_unstructure_fn(
            cls, converter, _cattrs_omit_if_default=True, **rules
        )
        structure = make_dict_structure_fn(cls, converter, extra=override(omit=True))
        converter.register_unstructure_hook(cls, _with_extra(unstructure))
        converter.register_structure_hook(cls, _keep_unknown(cls, names - {"extra"}, structure))
    return converter


def _strict(kind: type) -> Any:
    accepted = (int, float) if kind is float else kind

    def structure(value: Any, _: type) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise InvalidInput(f"expected {kind.__name__}, found {value!r:.80}")
        return value

    return structure


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value  # one of the server's, put in by _decode
    if not isinstance(value, str):
        raise InvalidInput(f"expected a time, found {value!r:.80}")
    return datetime.fromisoformat(value)


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
        unknown = {key: value for key, value in plain.items() if key not in known}
        return attrs.evolve(model, extra=unknown) if unknown else model

    return decode


@cache
def converter() -> cattrs.Converter:
    """Return the one converter; made at first use, because that takes milliseconds."""
    return _converter()


def encode_item(item: WorkItem) -> bytes:
    """Encode a work item for the backend.

    :raises CodecError: the payload is not JSON, too deep, or over 1 MiB.
    """
    payload = dumps(item.payload, "the payload", MAX_PAYLOAD_BYTES)
    plain = converter().unstructure(attrs.evolve(item, payload=None))
    rest = dumps({"schema": SCHEMA, **plain}, "the work item", MAX_PAYLOAD_BYTES)
    # The payload is encoded once and spliced in: it may be large.
    return rest[:-1] + b',"payload":' + payload + b"}"


def decode_item(raw: bytes, created_ms: int | None = None) -> WorkItem:
    """Decode a stored work item.

    :param created_ms: when the server accepted it, in milliseconds since the epoch.
    :raises CorruptRecord: the bytes do not decode.
    """
    return _decode(
        WorkItem, raw, "the stored work item", 2 * MAX_PAYLOAD_BYTES, created_at=created_ms
    )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Encode a snapshot for the backend.

    :raises CodecError: ``data`` is not JSON, too deep, or the whole is over 8 MiB.
    """
    plain = converter().unstructure(snapshot)
    return dumps({"schema": SCHEMA, **plain}, "the snapshot", MAX_SNAPSHOT_BYTES)


def decode_snapshot(
    raw: bytes,
    *,
    created_ms: int | None = None,
    updated_ms: int | None = None,
    finished_ms: int | None = None,
) -> Snapshot:
    """Decode a stored snapshot and fill in the server's times, in milliseconds.

    :raises CorruptRecord: the bytes do not decode.
    """
    return _decode(
        Snapshot,
        raw,
        "the stored snapshot",
        MAX_SNAPSHOT_BYTES,
        created_at=created_ms,
        updated_at=updated_ms,
        finished_at=finished_ms,
    )


def encode_model(model: ErrorRecord | Heartbeat | WorkerInfo) -> bytes:
    """Encode one of the small persisted models."""
    plain = {"schema": SCHEMA, **converter().unstructure(model)}
    return json.dumps(plain, separators=(",", ":")).encode()


def decode_model(cls: type[_T], raw: bytes) -> _T:
    """Decode what :func:`encode_model` wrote.

    :raises CorruptRecord: the bytes do not decode.
    """
    return _decode(cls, raw, f"the stored {cls.__name__}", MAX_PAYLOAD_BYTES)


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


def _decode(cls: type[_T], raw: bytes, what: str, max_bytes: int, **server_times: int | None) -> _T:
    try:
        plain = loads(raw, what, max_bytes)
        if not isinstance(plain, dict):
            raise CodecError(f"{what} is not an object")
        schema = plain.pop("schema", None)
        if schema != SCHEMA:
            raise CodecError(f"{what} has schema {schema!r}; this Roost reads {SCHEMA}")
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
