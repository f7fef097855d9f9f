"""JSON Schemas of what answers are made of: the models, as they are encoded."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.models import Act, Json, Lease, Verb, WorkMeta, WorkRow, WorkStatus
from roost_core.models.overview import Overview

#: What the core names for its types only.
_NAMES: Final = {"Act": Act, "Verb": Verb}
#: What is never in an answer.
_HIDDEN: Final = {(Lease, "token")}
_SIMPLE: Final[Mapping[Any, Mapping[str, Json]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
}


class Schemas:
    """Gathers the schemas of classes under their names."""

    def __init__(self) -> None:
        self.known: dict[str, Json] = {}

    def of(self, kind: Any) -> dict[str, Json]:
        """Return the schema of a type; that of a class is a reference."""
        if kind in _SIMPLE:
            return dict(_SIMPLE[kind])
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.of(one) for one in args]}
        if origin in (tuple, list, Sequence):
            return {"type": "array", "items": self.of(args[0])}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.of(args[1])}
        if isinstance(kind, type) and attrs.has(kind):
            return self._reference(kind)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return {"type": "string", "enum": [str(one.value) for one in kind]}
        raise TypeError(f"no schema for {kind!r}")

    def _reference(self, kind: type[Any]) -> dict[str, Json]:
        name = kind.__name__
        if name not in self.known:
            self.known[name] = {}  # it may have some of itself
            self.known[name] = self._object(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, kind: type[Any]) -> dict[str, Json]:
        about = _about(kind)
        fields = _fields(kind)
        if kind is WorkRow:  # one object in a list
            fields = {**_fields(WorkMeta), **{k: v for k, v in fields.items() if k != "meta"}}
            del fields["reason"]
        if kind is Overview:
            fields["is_well"] = bool
        optional = {"stuck", "problem"} if kind is WorkStatus else set()
        if name_of(kind) == "CountedGroup":
            optional = {"error"}
        found: dict[str, Json] = {
            "type": "object",
            "properties": {name: self.of(one) for name, one in fields.items()},
            "required": [name for name in fields if name not in optional],
        }
        return {"description": about, **found} if about else found


def name_of(kind: type[Any]) -> str:
    """Return what the document calls a class."""
    return kind.__name__


def _fields(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, localns=_NAMES)
    return {
        field.name: hints[field.name]
        for field in attrs.fields(kind)
        if field.name != "extra" and (kind, field.name) not in _HIDDEN
    }


def _about(kind: type[Any]) -> str:
    """Return what a class says of itself, without the marks of its documentation."""
    text = inspect.getdoc(kind) or ""
    if text.startswith(f"{kind.__name__}("):  # attrs' own
        return ""
    text = re.sub(r":[a-z]+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    text = re.sub(r"^:ivar (\w+):", r"- `\1`:", text, flags=re.MULTILINE)
    return text.replace("``", "`")


def of_request(kind: type[Any]) -> dict[str, Json]:
    """Return the schema of what a body may say."""
    properties, required = {}, []
    for field in attrs.fields(kind):
        properties[field.name] = of_field(field)
        if field.default is attrs.NOTHING:
            required.append(field.name)
    found: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**found, "required": required} if required else found


def of_field(field: attrs.Attribute[Any]) -> dict[str, Json]:
    """Return the schema of a field of a request."""
    known = field.metadata
    found = {**known["kind"].schema, "description": known["about"]}
    default = field.default
    if default is not attrs.NOTHING and default not in (None, (), {}, ""):
        found["default"] = default
    if known["example"] is not None:
        found["examples"] = [known["example"]]
    return found
