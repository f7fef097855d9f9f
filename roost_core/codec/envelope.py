"""What surrounds each persisted model: the schema number, and the server's times."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, TypeVar

import cattrs

from roost_core.codec.converter import converter
from roost_core.codec.strict_json import loads
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CodecError, CorruptRecord, InvalidInput, WrittenByNewer

_T = TypeVar("_T")

#: The schema number of persisted models. Anything with a higher one is left to a newer Roost.
SCHEMA: Final = 1

#: What decoding valid JSON of the wrong shape raises: cattrs takes shapes for granted.
_UNDECODABLE: Final = (
    InvalidInput,
    cattrs.BaseValidationError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


def decode(
    cls: type[_T],
    raw: bytes,
    what: str,
    max_bytes: int,
    *,
    takes_newer: bool = False,
    envelope: int = 1,
    schemas: Container[int] = (SCHEMA,),
    **server_times: int | None,
) -> _T:
    """Decode a persisted model.

    :param what: its name in error messages.
    :param takes_newer: of a model that a newer Roost wrote, take what this one knows.
    :param envelope: levels around a payload or data of maximum depth.
    :param schemas: those that this Roost reads.
    :param server_times: fields stored alongside the bytes, in milliseconds since the epoch.
    :raises CorruptRecord: the bytes do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    try:
        plain = loads(raw, what, max_bytes, envelope=envelope)
        if not isinstance(plain, dict):
            raise CodecError(f"{what} is not an object")
        schema = plain.pop("schema", None)
        if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
            raise CodecError(f"{what} has schema {schema!r:.80}; this Roost reads {SCHEMA}")
        if schema not in schemas and not takes_newer:
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
