"""The Lua scripts as texts: every key is declared, and nothing is asked for that is not there."""

from __future__ import annotations

import hashlib
import re

import pytest

from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.keys import PLACES, Keys

KEYS = Keys("roost", "tenant", "queue")
LIBRARY = scripts._text("lib")


FUNCTION = re.compile(
    r"^(?:local function (\w+)|(\w+) = function)\(.*?\n(.*?)^end$", re.MULTILINE | re.DOTALL
)


def reachable_keys(name):
    """Return the keys that a script can touch, through the library's functions, too."""
    texts, known = [scripts._text(name)], {}
    if name not in scripts._READERS:
        library = without_comments(LIBRARY)
        known = {match[1] or match[2]: match[3] for match in FUNCTION.finditer(library)}
        # What stands outside of functions runs in every script.
        texts.append(FUNCTION.sub("", library))
    seen, keys = set(), set()
    while texts:
        text = without_comments(texts.pop())
        keys |= set(re.findall(r"\bK\.(\w+)", text))
        for called in set(re.findall(r"\b(\w+)\(", text)) & set(known) - seen:
            seen.add(called)
            texts.append(known[called])
    return keys


def without_comments(text):
    """Return Lua without its comments."""
    return re.sub(r"--.*", "", text)


@pytest.mark.parametrize("name", scripts.NAMES)
def test_every_key_is_declared(name):
    """What a script can touch stands in its header, and the header names nothing else."""
    declared = scripts.load(name, KEYS, 1000).key_names
    assert len(set(declared)) == len(declared)
    assert set() == reachable_keys(name) - set(declared)
    assert set() == set(declared) - reachable_keys(name)


@pytest.mark.parametrize("name", scripts.NAMES)
def test_ready_to_call(name):
    """Names are resolved, keys share the queue's tag, and the head counts them."""
    script = scripts.load(name, KEYS, 1234)
    body = without_comments(script.source)
    assert re.search(r"\bK\.\w", body) is None
    assert hashlib.sha1(script.source.encode()).hexdigest() == script.sha
    assert all(one.startswith("{roost:tenant:queue}:") for one in script.keys)
    assert ("1234" in script.source) == (name not in scripts._READERS)
    assert script.head_count == 3 + len(script.keys)
    parts = script.packed_head.split(b"\r\n")[1::2]
    assert [b"EVALSHA", script.sha.encode(), str(len(script.keys)).encode()] == parts[:3]
    assert [one.encode() for one in script.keys] == parts[3:]


@pytest.mark.parametrize("name", scripts.NAMES)
def test_scripts_ask_for_nothing_that_servers_lack(name):
    """Plain commands only; no clock but the server's; no key made up on the way."""
    body = without_comments(scripts.load(name, KEYS, 1000).source)
    commands = set(re.findall(r"redis\.call\('([A-Z]+)'", body))
    known = {
        *("TIME", "HGET", "HSET", "HDEL", "HEXISTS", "HGETALL", "INCR", "PUBLISH", "XADD"),
        *("ZADD", "ZREM", "ZCARD", "ZSCORE", "ZRANGE", "ZREVRANGE"),
        *("ZRANGEBYLEX", "ZRANGEBYSCORE"),
    }
    assert set() == commands - known
    assert "math.random" not in body
    assert re.search(r"\bos\.|\bKEYS\[0\]\s*=", body) is None


def test_an_unknown_key_is_loud(monkeypatch):
    """A key that the header lacks becomes KEYS[0], which is nil: the server refuses the call."""
    monkeypatch.setattr(scripts, "_text", lambda name: "-- KEYS: a\nreturn redis.call('X', K.b)")
    assert "KEYS[0]" in scripts.load("read", KEYS, 1000).source


def test_a_script_without_header(monkeypatch):
    """It cannot be loaded."""
    monkeypatch.setattr(scripts, "_text", lambda name: "return 1")
    with pytest.raises(ValueError, match=r"read\.lua has no header"):
        scripts.load("read", KEYS, 1000)


def test_another_index():
    """The list script takes any place as its index, and stays the same script."""
    script = scripts.load("list", KEYS, 1000)
    other = scripts.with_index(script, KEYS, "done")
    assert (script.sha, script.source) == (other.sha, other.source)
    assert "{roost:tenant:queue}:done" in other.keys
    assert b":done" in other.packed_head
    assert "{roost:tenant:queue}:index" not in other.keys


def test_queues_share_nothing():
    """Prefix, namespace and queue are part of every key and channel: no tenant meets another."""
    names = set()
    for keys in (KEYS, Keys("roost", "tenant2", "queue"), Keys("roost", "tenant", "q2")):
        mine = {keys.key(place) for place in PLACES.values()}
        mine |= {keys.wake_channel("w"), keys.ended_channel("w"), keys.key("record")}
        assert set() == names & mine
        names |= mine
        assert all(one.startswith(keys.tag + ":") for one in mine)


def test_places_are_distinct():
    """Each state has a set of its own."""
    assert len(PLACES) == len(set(PLACES.values()))
