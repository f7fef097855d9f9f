"""JSON and files that are named on the command line: ``JSON|@FILE|-``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roost_core.codec.strict_json import MAX_PAYLOAD_BYTES, loads_typed
from roost_core.errors import CodecError, InvalidInput
from roost_core.values import Json


def json_from(text: str, what: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> Json:
    """Return the JSON that was typed, or that is in the file ``@FILE``; ``-`` is standard input.

    :param what: its name in error messages.
    :raises InvalidInput: the file cannot be read, or has more than ``max_bytes``.
    :raises CodecError: it is not JSON; the text asks whether a file was meant, if there is one.
    """
    raw: bytes | str = text
    if text == "-" or text.startswith("@"):
        with opened(text.removeprefix("@")) as file:
            # One byte over the limit is enough to refuse it: the rest is not read.
            raw = file.read(max_bytes + 1)
        if len(raw) > max_bytes:
            raise InvalidInput(f"{what} has more than {max_bytes} bytes")
    try:
        return loads_typed(raw, what, max_bytes)
    except CodecError as error:
        if raw is text and _is_file(text):
            raise CodecError(f"{error}; did you mean @{text}?") from error
        raise


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no file has such a name
        return False


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open a file for reading; ``-`` is standard input.

    :raises InvalidInput: it cannot be opened.
    """
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  # closed below; only opening may fail like this
    except OSError as error:
        raise InvalidInput(f"cannot read {name}: {error.strerror}") from error
    with file:
        yield file
