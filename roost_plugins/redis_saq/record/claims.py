"""The claims in the answer of the script ``claim``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

import attrs

from roost_core.backend import Claim, Since, newest
from roost_core.codec.times import from_milliseconds
from roost_core.errors import CorruptRecord
from roost_core.models import Lease
from roost_core.values import Value, unchecked
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.blame import NO_BLAME, Blame
from roost_plugins.redis_saq.record.kinds import FAR


@attrs.frozen(eq=False, repr=False)
class BrokenClaim(Value):
    """A claim that cannot be passed to a worker: what gives its lease back, and what is wrong."""

    work_id: bytes
    token: bytes
    reason: str


def claims(
    rows: Sequence[Sequence[Any]], worker_id: str, asked_at: float
) -> tuple[tuple[Claim, ...], list[BrokenClaim]]:
    """Read the claims of the ``claim`` script's answer; a broken one does not affect the others."""
    sound, broken = [], []
    reader = _reader(fields.RECORD, Claim)
    for row in rows:
        try:
            sound.append(reader.claim(row, worker_id, asked_at))
        except (CorruptRecord, ValueError, TypeError, OverflowError, OSError) as error:
            # The token is this worker's own, and always first.
            token = row[1].split(b" ", 1)[0]
            broken.append(BrokenClaim(row[0], token, f"the stored record does not decode: {error}"))
    return tuple(sound), broken


def _since(stored: Sequence[bytes | None]) -> Since:
    base, *followed = stored or (b"",)
    return Since(len(base or b""), len(followed), sum(len(one or b"") for one in followed))


class _ClaimReader:
    """Where the values of a claim are, and what makes objects from them.

    Each step through the queue makes a claim and a lease, so this does without defaults, validators
    and lookups by name.
    """

    #: The attributes of a claim that are not fields, or are made from several values.
    _OWN = ("lease", "recoveries", "item", "snapshot", "asked_at", "is_solo", "since")

    def __init__(self, table: fields.Table, kind: type[Claim]) -> None:
        claimed = table.claimed
        self.texts = len(claimed.texts)
        self.blame = claimed.texts.index("blame")
        self.fence = claimed.numbers.index("fence")
        self.times = [claimed.numbers.index(name) for name in claimed.times]
        self.new_claim = unchecked(kind)
        self.new_lease = unchecked(Lease)
        names = [*self._OWN, *claimed.texts, *claimed.numbers]
        missing = [one.name for one in attrs.fields(kind) if one.name not in names]
        if missing:
            raise TypeError(f"no field of the record is claimed as {', '.join(missing)}")
        self.in_order = itemgetter(*(names.index(one.name) for one in attrs.fields(kind)))

    def claim(self, row: Sequence[Any], worker_id: str, asked_at: float) -> Claim:
        """Read one claim of the ``claim`` script's answer.

        :raises ValueError: something in it is not a string, or not a number that a record may hold.
        """
        work_id, standing, item, snapshot = row
        token, *words = standing.decode().split(" ")
        numbers: list[Any] = list(map(int, words[self.texts :]))
        if max(numbers) > FAR:
            raise ValueError("a number in it is too large")
        word = words[self.blame]
        blame = NO_BLAME if word == "-" else Blame.of(word.encode())
        # The last number says when it expires, which is not a field of the record.
        expires_at = from_milliseconds(numbers[-1])
        lease = self.new_lease(work_id.decode(), worker_id, token, numbers[self.fence], expires_at)
        for place in self.times:
            numbers[place] = numbers[place] or None
        texts = [None if word == "-" else word for word in words[: self.texts]]
        # A lost item is detected when it does not decode, with its id known.
        since = None
        if type(snapshot) is list:
            since, snapshot = _since(snapshot), newest(snapshot) if snapshot else b""
        own = (lease, blame.deaths, item or b"", snapshot, asked_at, blame.is_apart, since)
        return self.new_claim(*self.in_order((*own, *texts, *numbers)))


#: Made at first use: most commands claim nothing.
_reader: Final = cache(_ClaimReader)
