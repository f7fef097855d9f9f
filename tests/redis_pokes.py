"""What tests do to a Redis backend behind its back, so that time need not pass."""

from __future__ import annotations

from typing import Any

from roost_plugins.redis_saq.backend import RedisSaqBackend


async def age_lease(backend: RedisSaqBackend, work_id: str) -> None:
    """Make a work item's lease expire now: after those that have before."""
    now = await backend.now_ms()
    await backend.client.zadd(backend.keys.key("running"), {work_id: now}, xx=True)


async def age_due(backend: RedisSaqBackend, work_id: str) -> None:
    """Make a sleeping or retrying work item due by now, in the order of its former due time."""
    for place in ("sleeping", "retry_wait"):
        key = backend.keys.key(place)
        due = await backend.client.zscore(key, work_id)
        if due is not None:
            now = await backend.now_ms()
            await backend.client.zadd(key, {work_id: min(due, now)}, xx=True)


async def wipe(backend: RedisSaqBackend) -> None:
    """Remove every key of the backend's queue."""
    keys: list[Any] = [key async for key in backend.client.scan_iter(f"{backend.keys.tag}:*")]
    if keys:
        await backend.client.delete(*keys)
