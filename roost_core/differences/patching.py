"""JSON patches (RFC 6902), and assignments as a person types them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from roost_core.codec.strict_json import MAX_DEPTH, MAX_SNAPSHOT_BYTES, dumps, loads_typed
from roost_core.differences.comparing import is_equal
from roost_core.differences.hiding import MARK, no_stand_in
from roost_core.differences.pointers import child, index_of, new_index_of, parts_of, quoted, written
from roost_core.errors import CodecError, InvalidInput
from roost_core.values import Json, Value

#: What an operation needs besides ``op`` and ``path``.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}
_REVEAL: Final = "make the patch with --reveal"


@attrs.frozen(eq=False, repr=False)
class Operation(Value):
    """One operation of a patch, checked as far as it can be without a document.

    :ivar number: its place in the patch, from 1.
    :ivar source: of a move and a copy: where from.
    """

    number: int
    op: str
    path: tuple[str, ...]
    source: tuple[str, ...] = ()
    value: Json = None

    def __str__(self) -> str:
        """Name it in an error."""
        return f"operation {self.number} ({self.op} {quoted(written(self.path)) or 'the whole'})"


def parse_patch(value: Json) -> tuple[Operation, ...]:
    """Check a patch.

    :param value: its JSON: a list of operations.
    :raises InvalidInput: it is none, or would put what stands for a secret into the data; the text
        names the operation.
    """
    if not isinstance(value, list):
        raise InvalidInput('a patch is a list of operations: [{"op": "replace", "path": "/a", …}]')
    return tuple(_operation(number, one) for number, one in enumerate(value, 1))


def _operation(number: int, value: Json) -> Operation:
    here = f"operation {number} of the patch"
    if not isinstance(value, dict):
        raise InvalidInput(f"{here} is not an object")
    op = value.get("op")
    if not isinstance(op, str) or op not in _NEEDS:
        raise InvalidInput(f'{here} has the "op" {op!r:.40}; there are {", ".join(_NEEDS)}')
    for name in ("path", *_NEEDS[op]):
        if name not in value:
            raise InvalidInput(f'{here}, {op}, lacks "{name}"')
    for name in ("path", "from"):
        if name in value and not isinstance(value[name], str):
            raise InvalidInput(f'{here}, {op}: "{name}" has to be a JSON pointer')
    try:
        source = parts_of(value["from"]) if "from" in _NEEDS[op] else ()
        path, given = parts_of(value["path"]), value.get("value")
        if value.get(MARK):
            raise InvalidInput(f"something is hidden in it: {_REVEAL}")
        if "value" in _NEEDS[op]:
            no_stand_in(path, given, _REVEAL)
        return Operation(number, op, path, source, given)
    except InvalidInput as error:
        raise InvalidInput(f"{here}, {op}: {error}") from error


def patched(document: Json, patch: Sequence[Operation]) -> Json:
    """Return a document after all operations of a patch; the given one stays as it is.

    :raises InvalidInput: an operation cannot be carried out, or a test fails; the text names it.
    """
    found = [copy.deepcopy(document)]
    for one in patch:
        try:
            _ACTIONS[one.op](found, one)
        except InvalidInput as error:
            raise InvalidInput(f"{one}: {error}") from error
    return found[0]


# Each takes a list with the document as its only element, so that the whole can be replaced, too.
_Found = list[Json]


def _value_at(found: _Found, path: Sequence[str]) -> Json:
    value = found[0]
    for depth, part in enumerate(path):
        value = child(value, part, written(path[:depth]))
    return value


def _put(found: _Found, path: tuple[str, ...], value: Json, *, is_new: bool) -> None:
    """Put a value at a path: in place of what is there, or before it in a list if it is new."""
    if len(path) > MAX_DEPTH:
        raise InvalidInput(f"nothing may nest deeper than {MAX_DEPTH}")
    if not path:
        found[0] = value
        return
    parent, part, at = _value_at(found, path[:-1]), path[-1], written(path[:-1])
    if isinstance(parent, list):
        if not is_new:
            parent[index_of(part, len(parent), at)] = value
        elif part == "-":
            parent.append(value)
        else:
            parent.insert(new_index_of(part, len(parent), at), value)
        return
    if not is_new or not isinstance(parent, dict):
        child(parent, part, at)
    parent[part] = value


def _add(found: _Found, one: Operation) -> None:
    _put(found, one.path, copy.deepcopy(one.value), is_new=True)


def _replace(found: _Found, one: Operation) -> None:
    _put(found, one.path, copy.deepcopy(one.value), is_new=False)


def _taken(found: _Found, path: tuple[str, ...]) -> Json:
    value = _value_at(found, path)
    if not path:
        raise InvalidInput("the whole document cannot be taken away")
    parent, part = _value_at(found, path[:-1]), path[-1]
    del parent[int(part) if isinstance(parent, list) else part]
    return value


def _remove(found: _Found, one: Operation) -> None:
    _taken(found, one.path)


def _move(found: _Found, one: Operation) -> None:
    if one.source == one.path:
        _value_at(found, one.source)
        return
    if one.path[: len(one.source)] == one.source:
        raise InvalidInput("nothing can be moved into itself")
    value = _taken(found, one.source)
    try:
        _put(found, one.path, value, is_new=True)
    except InvalidInput as error:
        # What is said of a list may be true only then.
        raise InvalidInput(f"with {quoted(written(one.source))} taken out, {error}") from error


def _copy(found: _Found, one: Operation) -> None:
    _put(found, one.path, copy.deepcopy(_value_at(found, one.source)), is_new=True)
    # A few copies of copies would fill the memory, or nest deeper than anything can follow.
    dumps(found[0], "the document", MAX_SNAPSHOT_BYTES, envelope=1)


def _test(found: _Found, one: Operation) -> None:
    if not is_equal(_value_at(found, one.path), one.value):
        raise InvalidInput("the document has another value there")


_ACTIONS: Final[Mapping[str, Callable[[_Found, Operation], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def assigned(document: Json, *texts: str) -> Json:
    """Return a document after assignments ``path=value``; the given one stays as it is.

    The path is a JSON pointer, or keys and indices with dots between them: ``/todo/0`` or
    ``todo.0``. The last key of an object may be new, and ``-`` appends to a list. The value is
    JSON, or else a text as it stands; one that begins like an object, a list or a JSON text has to
    be one.

    :raises InvalidInput: one is no assignment, or its path leads nowhere, or it would put what
        stands for a secret into the data.
    """
    # Once for all: a copy of a large document takes a while.
    found = [copy.deepcopy(document)]
    for text in texts:
        _assign(found, text)
    return found[0]


def _assign(found: _Found, text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise InvalidInput(f"{quoted(text)!r} is no assignment: write path=value")
    where = parts_of(path) if path.startswith("/") else tuple(path.split("."))
    try:
        given = loads_typed(value, "the value", MAX_SNAPSHOT_BYTES)
    except CodecError as error:
        if value.lstrip()[:1] in ("{", "[", '"'):
            raise InvalidInput(f"{quoted(path)}: {error}") from error
        given = value
    try:
        no_stand_in(where, given, "give the value itself")
        parent = _value_at(found, where[:-1])
        is_new = isinstance(parent, dict) or where[-1] == "-"
        _put(found, where, given, is_new=is_new)
    except InvalidInput as error:
        raise InvalidInput(f"{quoted(path)}: {error}") from error
