"""Models as plain values that JSON can hold, and back: unknown fields are kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from roost_core.errors import InvalidInput
from roost_core.models.snapshot import Artifact, Snapshot
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import ForkedFrom, RetryPolicy, State, WorkItem
from roost_core.models.worker import Heartbeat, Stuck, WorkerInfo
from roost_core.values import Json

#: Times of the server, kept alongside the bytes and not in them.
_SERVER_TIMES: Final = ("created_at", "updated_at", "finished_at")


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
    # By factory: what reads or writes a class is made at first use, because each takes up to a
    # millisecond, and a short command needs two of fourteen.
    converter.register_unstructure_hook_factory(_is_model, partial(_writer, converter))
    converter.register_structure_hook_factory(_is_model, partial(_reader, converter))
    return converter


#: The persisted models.
_MODELS: Final = frozenset(
    {
        RetryPolicy,
        ForkedFrom,
        Artifact,
        ErrorRecord,
        Heartbeat,
        Stuck,
        WorkerInfo,
        WorkItem,
        Snapshot,
    }
)


def _is_model(cls: Any) -> bool:
    return cls in _MODELS


def _writer(converter: cattrs.Converter, cls: Any) -> Any:
    kept_apart = set(_SERVER_TIMES) if cls in (WorkItem, Snapshot) else set()
    omitted = {"extra"} | (kept_apart & {field.name for field in attrs.fields(cls)})
    rules: dict[str, Any] = {name: override(omit=True) for name in omitted}
    if cls is Snapshot:
        # Passed to the JSON encoder unchanged: walking it would cost more than encoding it.
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
        # A string or an object can be iterated like a list, but is not one.
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
    """Return the one converter, made at first use because that takes milliseconds."""
    return _converter()
