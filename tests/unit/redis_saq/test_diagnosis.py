"""What a server is reported to be, by its own INFO."""

from __future__ import annotations

import time

import pytest
import redis.exceptions

from roost_core.settings import Settings
from roost_plugins.redis_saq.connection.endpoint import Endpoint
from roost_plugins.redis_saq.diagnosis import (
    findings,
    refused_eviction,
    refused_version,
    server_version,
)


class FakeClient:
    """A server that says what it is told to."""

    def __init__(self, config=None, shift=0.0, **info):
        self.values = {
            "redis_version": "7.0.15",
            "aof_enabled": 1,
            "aof_last_write_status": "ok",
            "maxmemory": 0,
            "maxmemory_policy": "noeviction",
            "used_memory": 1000,
            "role": "master",
            "connected_slaves": 0,
            "evicted_keys": 0,
        } | info
        self.config = {"appendfsync": "everysec"} if config is None else config
        self.shift = shift

    async def info(self, section=None):
        """Return all of it."""
        return self.values

    async def execute_command(self, *words):
        """Return a value, or refuse as hosted servers do."""
        assert ("CONFIG", "GET") == words[:2]
        if isinstance(self.config, Exception):
            raise self.config
        name = words[2]
        return [name.encode(), self.config[name].encode()] if name in self.config else []

    async def time(self):
        """Return a clock that is off."""
        now = time.time() + self.shift
        return int(now), int(now % 1 * 1e6)


async def look(client):
    """Return the findings as (level, subject) pairs, and by subject."""
    found = await findings(client, Endpoint(Settings(extra={"redis_url": "redis://:pw@h"})))
    assert all("pw" not in one.message for one in found)
    return {(one.level, one.subject) for one in found}, {one.subject: one.message for one in found}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"redis_version": "7.0.15"}, ("redis", (7, 0, 15))),
        ({"redis_version": "6.2.0-rc1"}, ("redis", (6, 2, 0))),
        (
            {"server_name": "valkey", "redis_version": "7.2.4", "valkey_version": "8.1.3"},
            ("valkey", (8, 1, 3)),
        ),
        ({}, ("redis", (0,))),
    ],
)
def test_versions(info, expected):
    """Valkey also says which Redis it stands for; its own version counts."""
    assert expected == server_version(info)


@pytest.mark.parametrize(
    ("kind", "version", "is_refused"),
    [
        ("redis", "5.0.14", True),
        ("redis", "6.0.20", True),
        ("redis", "6.2.0", False),
        ("redis", "7.4.1", False),
        ("redis", "10.0", False),
        ("valkey", "7.1.9", True),
        ("valkey", "7.2.0", False),
        ("valkey", "9.0.1", False),
        ("another", "6.0.0", True),
        ("another", "6.2.6", False),
        ("redis", "", True),
    ],
)
def test_old_servers_are_refused(kind, version, is_refused):
    """Redis before 6.2 and Valkey before 7.2 lack what the scripts need."""
    info = {"server_name": kind, f"{'valkey' if kind == 'valkey' else 'redis'}_version": version}
    refusal = refused_version(info)
    assert is_refused == (refusal is not None)
    if refusal:
        assert "is too old: Roost needs Redis 6.2 or later, or Valkey 7.2 or later" in refusal


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl"])
@pytest.mark.parametrize("maxmemory", [0, 100_000_000])
async def test_eviction_is_refused(policy, maxmemory):
    """Any policy but noeviction, with a limit or before one is set."""
    client = FakeClient(maxmemory_policy=policy, maxmemory=maxmemory)
    assert f"maxmemory-policy is {policy}" in await refused_eviction(client)
    assert ("problem", "eviction") in (await look(client))[0]


async def test_no_eviction():
    """With noeviction, or where the server does not tell, there is nothing to refuse."""
    assert await refused_eviction(FakeClient(maxmemory=5)) is None
    silent = FakeClient()
    del silent.values["maxmemory_policy"]
    assert await refused_eviction(silent) is None


async def test_a_sound_server():
    """Nothing is wrong, and each subject is reported."""
    levels, messages = await look(FakeClient())
    subjects = ("server", "persistence", "eviction", "memory", "clock")
    assert {("ok", one) for one in subjects} == levels
    assert "redis 7.0.15 at redis://:***@h" == messages["server"]
    assert "the append-only file is on, appendfsync everysec" == messages["persistence"]


@pytest.mark.parametrize(
    ("info", "level", "subject", "words"),
    [
        ({"redis_version": "5.0"}, "problem", "server", "too old"),
        ({"aof_enabled": 0}, "problem", "persistence", "set appendonly yes"),
        ({"aof_last_write_status": "err"}, "problem", "persistence", "last write"),
        ({"evicted_keys": 3}, "problem", "eviction", "3 keys have been evicted"),
        ({"maxmemory": 1050}, "warning", "memory", "1000 B of 1.0 KiB are used: writes"),
        ({"maxmemory": 5000}, "ok", "memory", "1000 B of 4.9 KiB are used"),
        ({"role": "slave"}, "problem", "replication", "use its primary"),
        ({"connected_slaves": 1}, "info", "replication", "asynchronous"),
    ],
)
async def test_findings(info, level, subject, words):
    """What would lose data is a problem, and says what to do."""
    levels, messages = await look(FakeClient(**info))
    assert (level, subject) in levels
    assert words in messages[subject]


async def test_clocks():
    """A clock that is off is mentioned, with its direction; Roost goes by the server's."""
    levels, messages = await look(FakeClient(shift=3600))
    assert ("info", "clock") in levels
    assert "-3600" in messages["clock"]


async def test_a_hosted_server_that_hides_its_settings():
    """CONFIG may be forbidden: then less is reported, and nothing is wrong."""
    _, messages = await look(FakeClient(config=redis.exceptions.ResponseError("unknown command")))
    assert "the append-only file is on" == messages["persistence"]
    _, messages = await look(FakeClient(config={}))
    assert "the append-only file is on" == messages["persistence"]
