"""Why a work item does not run: the script ``why``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roost_core.backend import Facts, Obstacle
from roost_plugins.redis_saq.ledger.control import halt_of
from roost_plugins.redis_saq.ledger.one_queue import Part
from roost_plugins.redis_saq.record import rates
from roost_plugins.redis_saq.record.answers import text, time_of
from roost_plugins.redis_saq.record.standing import stored_work


class RedisExplaining(Part):
    """Reads what decides when a work item of one queue runs."""

    async def facts(self, work_id: str) -> Facts | None:
        """Return what decides when a work item runs, read atomically, or None."""
        answer = await self._call("why", work_id)
        if answer is None:
            return None
        row, now, layout, ahead, obstacle, live, offering, others, halt, holder, *rest = answer
        pace, usual, size = rest
        work, now_ms = stored_work(row), int(now)
        return Facts(
            work=work,
            now_ms=now_ms,
            ahead=None if ahead < 0 else ahead,
            obstacle=None if obstacle is None else _obstacle(obstacle),
            offering=offering,
            others=others,
            workers=tuple(_seen(one) for one in live),
            holder=None if holder is None else _seen(holder),
            halt=None if halt is None else halt_of(work.engine.encode(), halt),
            set_aside=layout or None,
            pace=rates.pace_in(pace, now_ms),
            usual=rates.usual_in(work.engine, work.step or "", usual),
            snapshot_bytes=size,
        )


def _obstacle(found: Sequence[Any]) -> Obstacle:
    resource, is_held, work_id, engine, worker, expires, ahead = found
    is_leased = worker not in (b"", b"-") and expires != b""
    return Obstacle(
        resource=text(resource),
        is_held=bool(is_held),
        work_id=text(work_id),
        engine=text(engine) or None,
        worker_id=text(worker) if is_leased else None,
        expires_ms=time_of(float(expires)) if is_leased else None,
        ahead=ahead,
    )


def _seen(found: Sequence[bytes]) -> tuple[bytes, int]:
    info, seen = found
    return info, time_of(float(seen))
