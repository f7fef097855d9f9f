"""What a worker's process tells its supervisor: a line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from roost_core.models import Json
from roost_core.values import Value
from roost_plugins.console.dev.watching import Signature

#: A message that is longer is not one of ours. Bytes.
MOST_BYTES: Final = 16 << 20


@attrs.frozen(eq=False, repr=False)
class Seen(Value):
    """What loading has read.

    :ivar files: the files, and what each was then.
    :ivar folders: the packages among them.
    """

    files: Mapping[str, Signature] = attrs.field(factory=dict)
    folders: Sequence[str] = ()


@attrs.frozen(eq=False, repr=False)
class Ready(Value):
    """The plugins are loaded and sound; the worker waits until it may begin.

    :ivar engines: the ids of all engines.
    :ivar own: those of engines that were named, each with a payload to try it with, or None.
    """

    seen: Seen
    engines: Sequence[str]
    own: Mapping[str, Json]


@attrs.frozen(eq=False, repr=False)
class Broken(Value):
    """The plugins cannot be used, or the worker cannot start; its process ends.

    :ivar lines: what is wrong and where; the first line says it all.
    :ivar is_loaded: the plugins were sound: it is something else.
    """

    seen: Seen
    lines: Sequence[str]
    is_loaded: bool = False


@attrs.frozen(eq=False, repr=False)
class Loading(Value):
    """Loading takes long.

    :ivar where: the line that is being run: ``FILE:LINE``.
    """

    where: str


@attrs.frozen(eq=False, repr=False)
class Beat(Value):
    """The process runs Python."""


Message = Ready | Broken | Loading | Beat
_KINDS: Final[Mapping[str, type[Message]]] = {
    "ready": Ready,
    "broken": Broken,
    "loading": Loading,
    "beat": Beat,
}


def written(message: Message) -> bytes:
    """Return a message as a line."""
    name = type(message).__name__.lower()
    return json.dumps({"is": name, **attrs.asdict(message)}).encode() + b"\n"


def read(line: bytes) -> Message | None:
    """Return the message of a line; None if it is none, such as one that was cut off."""
    try:
        fields: dict[str, Any] = json.loads(line)
        kind = _KINDS[fields.pop("is")]
        if "seen" in fields:
            fields["seen"] = _seen(**fields["seen"])
        return kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _seen(files: Mapping[str, Sequence[int] | None], folders: Sequence[str]) -> Seen:
    found: dict[str, Signature] = {}
    for path, known in files.items():
        if known is None:
            found[path] = None
        else:
            changed, size, inode = known
            found[path] = (changed, size, inode)
    return Seen(found, tuple(folders))


class Lines:
    """Puts lines together from what a pipe brings."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            self._rest = b""
        for line in lines:
            message = read(line)
            if message is not None:
                yield message
