"""The lines of ``roost enqueue --batch``: JSON objects, all checked before any is enqueued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from roost_core.cli.arguments import iso_time
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.strict_json import MAX_PAYLOAD_BYTES, loads_typed
from roost_core.errors import InvalidInput
from roost_core.models.work import RetryPolicy
from roost_core.values import Json

#: A line may hold a full payload and its other fields, in bytes.
MAX_LINE_BYTES: Final = MAX_PAYLOAD_BYTES + (64 << 10)

_KEYS: Final = tuple(field.name for field in attrs.fields(EnqueueRequest))
_RETRY_KEYS: Final = tuple(
    field.name for field in attrs.fields(RetryPolicy) if field.name != "extra"
)


@attrs.frozen
class BatchLine:
    """A line of the file: its number, from 1, and its request."""

    number: int
    request: EnqueueRequest


def read_batch(lines: Iterable[bytes], engine: str | None) -> list[BatchLine]:
    """Check every line.

    :param engine: for lines that name none.
    :raises InvalidInput: a line is invalid; the text has its number, and how many more are bad.
    """
    found, errors = [], []
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            request = _request(loads_typed(raw, "the line", MAX_LINE_BYTES), engine)
            # A relative deadline needs the server's clock; any clock will do for the checks.
            request.build(now_ms=0)
        except InvalidInput as error:
            errors.append(f"line {number}: {error}")
        else:
            found.append(BatchLine(number, request))
    if errors:
        more = f" ({len(errors) - 1} more bad lines)" if len(errors) > 1 else ""
        raise InvalidInput(f"{errors[0]}{more}; nothing was enqueued")
    return found


def _request(plain: Json, engine: str | None) -> EnqueueRequest:
    if not isinstance(plain, dict):
        raise InvalidInput("expected a JSON object")
    _refuse_unknown(plain, _KEYS, "")
    values: dict[str, Any] = {"engine": engine, **plain}
    if not isinstance(values["engine"], str):
        raise InvalidInput("no engine: give the key engine here, or --engine for all lines")
    if values.get("deadline_at") is not None:
        values["deadline_at"] = _time(values["deadline_at"])
    if values.get("retry") is not None:
        values["retry"] = _retry(values["retry"])
    return EnqueueRequest(**values)


def _time(value: Json) -> Any:
    if not isinstance(value, str):
        raise InvalidInput(f"deadline_at must be a string with an ISO 8601 time, not {value!r:.80}")
    try:
        return iso_time(value)
    except ValueError as error:
        raise InvalidInput(f"deadline_at: {error}") from error


def _retry(value: Json) -> RetryPolicy:
    if not isinstance(value, dict):
        raise InvalidInput("retry must be an object")
    _refuse_unknown(value, _RETRY_KEYS, "retry.")
    return RetryPolicy(**value)


def _refuse_unknown(plain: Mapping[str, Json], known: tuple[str, ...], prefix: str) -> None:
    for key in plain:
        if key not in known:
            if not prefix and key in _RETRY_KEYS:
                raise InvalidInput(
                    f'unknown key {key}: it goes inside retry: {{"retry": {{"{key}": ...}}}}'
                )
            raise InvalidInput(f"unknown key {prefix}{key}; known are {', '.join(known)}")
