"""Snapshots as bytes, and back: what each step has to pay for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Final

import attrs

from roost_core.codec.converter import converter
from roost_core.codec.envelope import SCHEMA, decode
from roost_core.codec.moved import (
    MOVED_SCHEMA,
    NO_VALUES,
    Earlier,
    Mover,
    Stored,
    described,
    has_values,
    with_schema,
)
from roost_core.codec.strict_json import DECODER, MAX_SNAPSHOT_BYTES, dumps
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord
from roost_core.models.snapshot import Snapshot, unchecked_snapshot
from roost_core.values import unchecked

#: The schema of a snapshot that later ones are stored as changes of (``pieced``). An older Roost
#: would take it for the newest version, and so has to leave it to a newer one. 2 is no schema: work
#: that is left has the number that its worker must know, and 2 is that of a record's layout. 4 is
#: that of one with stand-ins (``moved``).
BASE_SCHEMA: Final = 3
#: Where the data begins in an encoded snapshot. Inside a JSON string its quotes would be escaped.
DATA_KEY: Final = b'"data":'
#: Levels around the values in a snapshot's data: the envelope, and data itself. Each value may nest
#: as deep as a payload, because a payload that is not an object starts as such a value.
_AROUND_DATA: Final = 2
#: With this begins what stands in place of a snapshot that cannot be put together; JSON never does.
_LOST: Final = b"!"


@cache
def _snapshot_writer() -> Callable[[Snapshot], dict[str, Any]]:
    """Return the function that writes snapshots, without a lookup by class: each step needs it."""
    writer: Callable[[Snapshot], dict[str, Any]] = converter().get_unstructure_hook(Snapshot)
    return writer


@attrs.frozen(eq=False, repr=False)
class EncodedSnapshot(Stored):
    """A snapshot as bytes, and what decoding these bytes would return, for less.

    Engines must see what another worker would see, so their data has to make the round
    trip through JSON in each step; the envelope around it holds only what has been checked.
    What a newer Roost has added, ``extra``, may hold anything, but is rare.
    """

    #: As ``pieced`` has them: it is stored whole, and no changes follow it.
    is_whole: ClassVar[bool] = True
    is_base: ClassVar[bool] = False
    change: ClassVar[bytes] = b""

    _snapshot: Snapshot = attrs.field(kw_only=True)

    @classmethod
    def of(
        cls, snapshot: Snapshot, before: Stored | None = None, least: int = 0
    ) -> EncodedSnapshot:
        """Encode a snapshot for the backend.

        :param before: the one before it.
        :param least: how many bytes a text has that is moved out of it
            (:mod:`roost_core.codec.moved`); 0 for none but those that ``before`` has moved.
        :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole
            has over 8 MiB.
        """
        plain = plain_snapshot(snapshot)
        whole = dumps(plain, "the snapshot", MAX_SNAPSHOT_BYTES, envelope=_AROUND_DATA)
        known = {} if before is None else before.values
        if not known and not 0 < least <= len(whole):
            return _new_encoded(whole, NO_VALUES, None, snapshot)
        mover = Mover(least, known)
        earlier = cache(lambda: None if before is None else Earlier(before, least))

        def is_edited(text: bytes) -> bool:
            found = earlier()
            return found is not None and found.has_edited(text)

        raw = mover(whole, is_edited)
        if not mover.moved:
            return cls(whole, snapshot=snapshot)
        return cls(with_schema(raw, MOVED_SCHEMA), mover.moved, whole, snapshot=snapshot)

    def decoded(
        self, created_ms: int | None, updated_ms: int | None, finished_ms: int | None
    ) -> Snapshot:
        """Return what :func:`decode_snapshot` makes of the bytes, a new one each time."""
        mine = self._snapshot
        if mine.extra or (mine.artifacts and any(one.extra for one in mine.artifacts)):
            return decode_snapshot(
                self.whole,
                created_ms=created_ms,
                updated_ms=updated_ms,
                finished_ms=finished_ms,
            )
        # Not checked again: these bytes were made here, without surrounding space.
        plain, _ = DECODER.raw_decode(self.whole.decode())
        return with_data(mine, plain.get("data", {}), created_ms, updated_ms, finished_ms)


#: Each step makes one.
_new_encoded: Final = unchecked(EncodedSnapshot)


def plain_snapshot(snapshot: Snapshot, schema: int = SCHEMA) -> dict[str, Any]:
    """Return a snapshot as a plain object to encode."""
    return {"schema": schema, **_snapshot_writer()(snapshot)}


def with_data(
    snapshot: Snapshot,
    data: dict[str, Any],
    created_ms: int | None,
    updated_ms: int | None,
    finished_ms: int | None,
) -> Snapshot:
    """Return a checked snapshot with other data, and the server's times in milliseconds."""
    return unchecked_snapshot(
        snapshot.work_id,
        snapshot.engine,
        snapshot.version,
        snapshot.step,
        data,
        snapshot.artifacts,
        snapshot.is_finished,
        snapshot.next_step_delay_seconds,
        None if created_ms is None else from_milliseconds(created_ms),
        None if updated_ms is None else from_milliseconds(updated_ms),
        None if finished_ms is None else from_milliseconds(finished_ms),
        {},
    )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Encode a snapshot for the backend.

    :raises CodecError: ``data`` is not JSON, a value in it is too deep, or the whole
        has over 8 MiB.
    """
    return EncodedSnapshot.of(snapshot).raw


def lost_snapshot(reason: Exception, what: str = "the stored snapshot is damaged") -> bytes:
    """Return what stands for a snapshot that cannot be put together, because parts are lost.

    Whoever decodes it is told what is wrong and the reason.
    """
    return _LOST + f"{what}: {reason}".encode()


def decode_snapshot(
    raw: bytes,
    *,
    created_ms: int | None = None,
    updated_ms: int | None = None,
    finished_ms: int | None = None,
) -> Snapshot:
    """Decode a stored snapshot and fill in the server's times, in milliseconds.

    :param raw: its bytes, with the texts that were moved in their places.
    :raises CorruptRecord: the bytes do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    if raw[:1] == _LOST:
        raise CorruptRecord(raw[1:].decode(errors="replace"))
    if has_values(raw):
        raise CorruptRecord("the stored snapshot is damaged: large texts of it are elsewhere")
    return decode(
        Snapshot,
        raw,
        "the stored snapshot",
        MAX_SNAPSHOT_BYTES,
        envelope=_AROUND_DATA,
        schemas=(SCHEMA, BASE_SCHEMA, MOVED_SCHEMA),
        created_at=created_ms,
        updated_at=updated_ms,
        finished_at=finished_ms,
    )


def decode_outline(raw: bytes | bytearray) -> Snapshot:
    """Decode a stored snapshot, with a few words in place of each text that is kept elsewhere.

    :raises CorruptRecord: the bytes do not decode.
    :raises WrittenByNewer: a newer Roost wrote them.
    """
    return decode_snapshot(described(bytes(raw)))
