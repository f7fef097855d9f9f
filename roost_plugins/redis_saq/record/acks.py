"""What the scripts answer to who changes work."""

from __future__ import annotations

from typing import Final

from roost_core.backend import Ack, Purged
from roost_core.errors import BackendError, CorruptRecord, LeaseLost, VersionConflict
from roost_core.values import unchecked
from roost_plugins.redis_saq.record.kinds import STATES

#: What is read here needs no check.
_new_ack: Final = unchecked(Ack)


def ack(answer: bytes, work_id: str) -> tuple[Ack, int | None]:
    """Read the answer of ``commit``, ``fail`` or ``interrupt``.

    :returns: the answer, and in how many milliseconds the now free lane should claim: when
        something is due, or a lease expires, without anybody to announce it.
    :raises LeaseLost: the token is not current, or a newer Roost has written the record.
    :raises VersionConflict: the stored version is not the expected one.
    :raises CorruptRecord: the stored record does not decode.
    """
    if answer == b"lost":
        raise LeaseLost(f"the lease on {work_id} is no longer current")
    if answer == b"newer":
        raise LeaseLost(f"a newer Roost has taken over {work_id}")
    if answer == b"version":
        raise VersionConflict(f"the step of {work_id} did not start from the stored version")
    if answer == b"corrupt":
        raise CorruptRecord(f"the stored record of {work_id} does not decode")
    try:
        _, state, version, attempts, at, due, claim_in = answer.split(b" ")
        return (
            _new_ack(
                STATES[state],
                int(version),
                int(attempts),
                int(at),
                None if due == b"-1" else int(due),
            ),
            None if claim_in == b"-1" else int(claim_in),
        )
    except (KeyError, ValueError) as error:
        # A damaged record may have anything in place of an earlier answer.
        raise BackendError(f"unexpected answer about {work_id}: {answer!r:.200}") from error


def purged(member: bytes) -> Purged:
    """Read what is to be forgotten: "life id", with life 0 if unknown."""
    life, _, work_id = member.decode().partition(" ")
    return Purged(work_id, int(life) or None)
