"""What a server must be and how it should be set up, so that nothing is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from roost_core.backend import Finding
from roost_core.shown.sizes import size
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.connection.refusals import is_full_home
from roost_plugins.redis_saq.keys import PLACES, TYPES, Keys

#: The oldest servers whose scripts behave as Roost's need: effects replication, ``ZADD`` and
#: ``XADD`` options, stream ranges that exclude their ends.
OLDEST: Final = {"redis": (6, 2), "valkey": (7, 2)}
#: A clock that differs more than this from the server's is reported. Seconds.
_CLOCK_SHIFT: Final = 2.0


def parse_info(raw: bytes) -> dict[str, str]:
    """Return the fields of an answer to ``INFO``."""
    lines = raw.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def server_version(info: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return the server's kind and version from ``INFO server``."""
    kind = str(info.get("server_name", "redis"))
    text = str(info.get("valkey_version") or info.get("redis_version") or "0")
    return kind, tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def refused_version(info: Mapping[str, Any]) -> str | None:
    """Return why this server is too old, or None."""
    kind, version = server_version(info)
    needed = OLDEST.get(kind, OLDEST["redis"])
    if version[:2] >= needed:
        return None
    return (
        f"{kind} {'.'.join(map(str, version))} is too old: Roost needs Redis 6.2 or later, "
        "or Valkey 7.2 or later"
    )


async def _fsync(client: Any, endpoint: Endpoint) -> str | None:
    """Return when the server syncs, or None if it does not say (hosted ones)."""
    from roost_plugins.redis_saq.connection.redis_py import redis

    try:
        found = await client.execute_command(endpoint.config_command, "GET", "appendfsync")
    except redis.exceptions.ResponseError:
        return None
    # A client that knows the command returns a mapping, otherwise a list.
    value = found.get("appendfsync") if isinstance(found, dict) else (found or [None])[-1]
    return value.decode() if isinstance(value, bytes) else value


async def refused_eviction(client: Any) -> str | None:
    """Return why this server would throw work away under memory pressure, or None.

    This applies without a limit, too: one can be set at any time, and no worker would check again.
    """
    info = await client.info("memory")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return None
    return (
        f"maxmemory-policy is {policy}, so the server would throw work away when its memory "
        "is full: set it to noeviction"
    )


async def findings(client: Any, endpoint: Endpoint) -> Sequence[Finding]:
    """Check version, persistence, eviction, memory, replication and clock."""
    info = await client.info()
    kind, version = server_version(info)
    found = [
        Finding("ok", "server", f"{kind} {'.'.join(map(str, version))} at {endpoint.description}")
    ]
    too_old = refused_version(info)
    if too_old:
        found.append(Finding("problem", "server", too_old))
    found.append(await _persistence(client, info, endpoint))
    evicts = await refused_eviction(client)
    found.append(
        Finding("problem", "eviction", evicts)
        if evicts
        else Finding("ok", "eviction", "nothing is evicted")
    )
    if evicted := int(info.get("evicted_keys", 0)):
        found.append(Finding("problem", "eviction", f"{evicted} keys have been evicted"))
    found.append(_memory(info))
    if info.get("role") == "slave":
        found.append(Finding("problem", "replication", "this is a replica: use its primary"))
    elif int(info.get("connected_slaves", 0)):
        found.append(
            Finding(
                "info",
                "replication",
                "replication is asynchronous: a failover can lose acknowledged commits, whose "
                "steps then run again",
            )
        )
    found.append(await _clock(client))
    return found


async def left_for_newer(client: Any, key: str) -> Sequence[Finding]:
    """Report how much work is set aside for workers of a newer Roost.

    :param key: the full name of the key ``newer``.
    """
    left = await client.zcard(key)
    if not left:
        return []
    return [
        Finding(
            "warning",
            "upgrade",
            f"{left} work items were written by a newer Roost and wait for one of its workers: "
            "upgrade the workers",
        )
    ]


async def index_gaps(client: Any, keys: Keys) -> Sequence[Finding]:
    """Report work that the index by engine and error lacks, or has although it is gone.

    An older Roost, which does not know the index, enqueues and removes work without it.
    """
    pipeline = client.pipeline(transaction=True)
    for place, begin, end in (("created", "[e ", "(e!"), ("failed", "[f ", "(f!")):
        pipeline.zcard(keys.key(place))
        pipeline.zlexcount(keys.key("index"), begin, end)
    created, by_engine, failed, by_error = await pipeline.execute()
    if created == by_engine and failed == by_error:
        return []
    return [
        Finding(
            "warning",
            "index",
            f"index incomplete: it has {by_engine} of {created} work items and {by_error} of "
            f"{failed} dead letters, because an older Roost is or was at work here; until roost "
            "doctor --repair, queries look at all work instead",
        )
    ]


async def disagreements(client: Any, keys: Keys) -> Sequence[Finding]:
    """Report keys of the wrong type, and places and work that do not add up."""
    pipeline = client.pipeline(transaction=True)
    for name in TYPES:
        pipeline.type(keys.key(name))
    found = [
        Finding(
            "problem",
            "damage",
            f"the key {keys.key(name)} holds a value of type {kind.decode()} and not {right}: "
            "roost doctor --repair",
        )
        for (name, right), kind in zip(TYPES.items(), await pipeline.execute(), strict=True)
        if kind.decode() not in (right, "none")
    ]
    if found:
        return found
    pipeline = client.pipeline(transaction=True)
    for name in (*PLACES.values(), "newer", "created"):
        pipeline.zcard(keys.key(name))
    *standing, created = await pipeline.execute()
    if sum(standing) == created:
        return []
    return [
        Finding(
            "warning",
            "damage",
            f"{created} work items are in {sum(standing)} places: see roost doctor --repair "
            "--dry-run",
        )
    ]


async def _persistence(client: Any, info: Mapping[str, Any], endpoint: Endpoint) -> Finding:
    if info.get("aof_last_write_status", "ok") != "ok":
        full = ": its disk is full, make room there" if is_full_home(endpoint.description) else ""
        text = f"the last write to the append-only file failed{full}"
        return Finding("problem", "persistence", text)
    if not info.get("aof_enabled"):
        return Finding(
            "problem",
            "persistence",
            "the append-only file is off: a restart of the server loses work; set appendonly yes",
        )
    fsync = await _fsync(client, endpoint)
    if endpoint.is_embedded and fsync == "no":
        # The embedded server's own arrangement: see the module supervisor.
        said = ", written before each answer and synced to disk every second"
    else:
        said = f", appendfsync {fsync}" if fsync else ""
    return Finding("ok", "persistence", f"the append-only file is on{said}")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if most and used > 0.9 * most:
        return Finding(
            "warning", "memory", f"{size(used)} of {size(most)} are used: writes will be refused"
        )
    return Finding(
        "ok",
        "memory",
        f"{size(used)} of {size(most)} are used" if most else f"{size(used)} are used",
    )


async def _clock(client: Any) -> Finding:
    before = time.time()  # Compared with the server's clock, and used for nothing else.
    seconds, microseconds = await client.time()
    shift = float(seconds) + float(microseconds) / 1e6 - (before + time.time()) / 2
    if abs(shift) > _CLOCK_SHIFT:
        return Finding(
            "info",
            "clock",
            f"this machine's clock is {-shift:+.1f} s off the server's; Roost goes by the server's",
        )
    return Finding("ok", "clock", "this machine and the server agree")
