"""Work items, error records, heartbeats and workers as bytes, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import attrs

from roost_core.codec.converter import converter
from roost_core.codec.envelope import SCHEMA, decode
from roost_core.codec.strict_json import MAX_PAYLOAD_BYTES, dumps
from roost_core.models.snapshot import Artifact
from roost_core.models.standing import ErrorRecord
from roost_core.models.work import WorkItem
from roost_core.models.worker import Heartbeat, WorkerInfo
from roost_core.values import Json

_T = TypeVar("_T")


def encode_payload(payload: Json) -> bytes:
    """Encode a payload as it appears in an encoded work item.

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
    return decode(
        WorkItem, raw, "the stored work item", 2 * MAX_PAYLOAD_BYTES, created_at=created_ms
    )


def encode_model(model: ErrorRecord | Heartbeat | WorkerInfo) -> bytes:
    """Encode one of the small persisted models.

    Lone surrogates in its texts become question marks: an error or an engine's message must never
    fail to be stored because of its text.

    :raises CodecError: it holds something that is not JSON, or is over 1 MiB.
    """
    what = f"the {type(model).__name__}"
    plain = {"schema": SCHEMA, **converter().unstructure(model)}
    return dumps(plain, what, MAX_PAYLOAD_BYTES, envelope=1, errors="replace")


def encode_artifact(artifact: Artifact, beside: Mapping[str, Json], max_bytes: int) -> bytes:
    """Encode what a store keeps of an artifact; :func:`decode_model` reads it.

    :param beside: the store's own fields; once decoded, they are in the artifact's ``extra``.
    :raises CodecError: it holds something that is not JSON, or is larger than ``max_bytes``.
    """
    plain = {"schema": SCHEMA, **converter().unstructure(artifact), **beside}
    return dumps(plain, "the artifact's record", max_bytes)


def decode_model(cls: type[_T], raw: bytes) -> _T:
    """Decode what :func:`encode_model` wrote; if a newer Roost wrote it, the fields known here.

    :raises CorruptRecord: the bytes do not decode.
    """
    return decode(cls, raw, f"the stored {cls.__name__}", MAX_PAYLOAD_BYTES, takes_newer=True)
