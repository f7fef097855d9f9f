"""What tests do to a ledger on Redis behind its back, so that time need not pass."""

from __future__ import annotations

from typing import Any

from roost_plugins.redis_saq.ledger.ledger import RedisLedger


async def age_lease(ledger: RedisLedger, work_id: str) -> None:
    """Make a work item's lease expire now, after those that have expired before."""
    now = await ledger.now_ms()
    await ledger.client.zadd(ledger.keys.key("running"), {work_id: now}, xx=True)


async def age_due(ledger: RedisLedger, work_id: str) -> None:
    """Make a sleeping or retrying work item due by now, in the order of its former due time."""
    for place in ("sleeping", "retry_wait"):
        key = ledger.keys.key(place)
        due = await ledger.client.zscore(key, work_id)
        if due is not None:
            now = await ledger.now_ms()
            await ledger.client.zadd(key, {work_id: min(due, now)}, xx=True)


async def wipe(ledger: RedisLedger) -> None:
    """Remove every key of the queue."""
    keys: list[Any] = [key async for key in ledger.client.scan_iter(f"{ledger.keys.tag}:*")]
    if keys:
        await ledger.client.delete(*keys)
