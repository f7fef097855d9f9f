"""The Lua scripts as texts: every key is declared, and no command is used that servers lack."""

from __future__ import annotations

import hashlib
import re
import textwrap

import pytest

from roost_core.settings import Settings
from roost_plugins.redis_saq import composing, scripts
from roost_plugins.redis_saq.keys import PLACES, TYPES, Keys
from roost_plugins.redis_saq.record import fields
from roost_plugins.redis_saq.record.lua import expanded

KEYS = Keys("roost", "tenant", "queue")
#: A function at the outermost level: it begins and ends at the first column.
FUNCTION = re.compile(
    r"^(?:local )?function (\w+)\(.*?^end$|^(\w+) = function\(.*?^end$", re.MULTILINE | re.DOTALL
)
#: Those that are made when they are first called are in one function, a branch for each.
SELDOM = re.compile(
    r"^local made\nseldom = function\(name\)\n  if not made then made = \{\} end\n"
    r"  local one = made\[name\]\n  if one then return one end\n(.*?)"
    r"^  end\n  made\[name\] = one\n  return one\nend\n",
    re.MULTILINE | re.DOTALL,
)
BRANCH = re.compile(r"^  (?:else)?if name == '(\w+)' then\n((?:    .*\n| *\n)+)", re.MULTILINE)
SELDOM_CALL = re.compile(r"\bseldom\('(\w+)'\)(?=\()")


def without_comments(text):
    """Return Lua without its comments."""
    return re.sub(r"--.*", "", text)


def bounds(kept):
    """Return how much is kept: what it is without settings, except for the number of events."""
    return scripts.Bounds.of(Settings(events_kept=kept))


def composed(name):
    """Return a script as the server gets it, its keys by their names, and without comments."""
    script = scripts.load(name, KEYS, bounds(1000))
    names = dict(enumerate(script.key_names, 1))
    source = re.sub(r"\bKEYS\[(\d+)\]", lambda found: f"K.{names[int(found[1])]}", script.source)
    return without_comments(source)


def seldom_of(source):
    """Return the parts of a composed script that are made when first called, as in its file."""
    found = SELDOM.search(source)
    return "".join(
        textwrap.dedent(text).replace("one = function(", f"local function {name}(", 1)
        for name, text in BRANCH.findall(found[1] if found else "")
    )


def flat(source):
    """Return a composed script as if all of its functions were made at once."""
    inner = seldom_of(source)
    whole = SELDOM.sub(lambda _: inner, source).replace("local seldom\n", "")
    return SELDOM_CALL.sub(r"\1", whole)


def reachable_keys(source):
    """Return the keys that a script can touch, through its functions, too."""
    functions = {found[1] or found[2]: found[0] for found in FUNCTION.finditer(source)}
    # What is outside of functions always runs.
    texts = [FUNCTION.sub("", source)]
    seen, keys = set(), set()
    while texts:
        text = texts.pop()
        keys |= set(re.findall(r"\bK\.(\w+)", text))
        # Named is enough: a function may be handed on, and called elsewhere.
        for named in (set(re.findall(r"\b(\w+)\b", text)) & set(functions)) - seen:
            seen.add(named)
            texts.append(functions[named])
    return keys


@pytest.mark.parametrize("name", scripts.names())
def test_every_key_is_declared(name):
    """What a script can touch is in its header, and the header names nothing else."""
    declared = scripts.load(name, KEYS, bounds(1000)).key_names
    assert len(set(declared)) == len(declared)
    assert set(declared) == reachable_keys(flat(composed(name)))


@pytest.mark.parametrize("name", scripts.names())
def test_nothing_is_composed_in_vain(name):
    """Each function in front of a script is used in it: the server makes them in every call."""
    source = flat(composed(name))
    functions = [found[1] or found[2] for found in FUNCTION.finditer(source)]
    assert [] == [one for one in functions if len(re.findall(rf"\b{one}\b", source)) < 2]
    assert len(set(functions)) == len(functions)


@pytest.mark.parametrize("name", scripts.names())
def test_functions_stand_before_their_use(name):
    """Lua knows a local function from its definition on: later ones would be unknown globals."""
    # `seldom` is declared before all, and set after those that it calls and that call it.
    source = re.sub(r"\blocal seldom\n", "", SELDOM_CALL.sub("", composed(name)))
    for found in FUNCTION.finditer(source):
        function = found[1] or found[2]
        assert re.search(rf"\b{function}\b", source).start() >= found.start(), function


@pytest.mark.parametrize("name", scripts.names())
def test_what_is_seldom_called(name):
    """It is made when it is first called: by its name as a text, never by a local of its name."""
    source = composed(name)
    functions = {one[1] for one in FUNCTION.finditer(seldom_of(source))}
    assert functions == set(SELDOM_CALL.findall(source))
    rest = re.sub(r"'[^'\n]*'", "", SELDOM_CALL.sub("", source))
    assert set() == functions & set(re.findall(r"\w+", rest))
    # One that is called for each work item is not among them.
    often = {"parse", "text_of", "event", "release", "ready_member", "make_ready"}
    assert not often & functions


def test_the_most_frequent_script_is_short():
    """An advance has only what it needs: nothing about lines, resources or whole records."""
    source = flat(composed("advance"))
    functions = {found[1] or found[2] for found in FUNCTION.finditer(source)}
    assert {"upgraded", "newer_layout", "remembered", "quoted", "emit", "event"} <= functions
    assert set() == functions & {"parse", "text_of", "make_ready", "release", "dead_letter", "wake"}


@pytest.mark.parametrize("name", scripts.names())
def test_ready_to_call(name):
    """Names are resolved, and keys share the queue's tag."""
    script = scripts.load(name, KEYS, bounds(1234))
    body = script.source
    assert re.search(r"\bK\.\w", body) is None
    assert "KEYS[0]" not in body
    assert hashlib.sha1(script.source.encode()).hexdigest() == script.sha
    assert [f"{{roost:tenant:queue}}:{key}" for key in script.key_names] == list(script.keys)
    assert 1 == script.source.count("local EVENTS_KEPT = 1234\n")


@pytest.mark.parametrize("name", scripts.names())
def test_heads_of_calls(name):
    """What comes before a call's arguments: the script by name or by source, then its keys."""
    script = scripts.load(name, KEYS, bounds(1000))
    keys = (str(len(script.keys)), *script.keys)
    assert ("EVALSHA", script.sha, *keys) == script.by_name
    assert ("EVAL", script.source, *keys) == script.by_source


@pytest.mark.parametrize("name", scripts.names())
def test_scripts_ask_for_nothing_that_servers_lack(name):
    """Plain commands only; no clock but the server's; no key made up on the way."""
    body = composed(name)
    commands = set(re.findall(r"redis\.p?call\('([A-Z]+)'", body))
    known = {
        *(
            "TIME",
            "HGET",
            "HMGET",
            "HSET",
            "HDEL",
            "HEXISTS",
            "HSETNX",
            "HGETALL",
            "HINCRBY",
            "HSTRLEN",
            "INCR",
            "INCRBY",
        ),
        *("GET", "SET", "HSCAN", "ZSCAN"),
        *("PUBLISH", "XADD", "XTRIM"),
        *("ZADD", "ZREM", "ZCARD", "ZSCORE", "ZRANGE", "ZREVRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE"),
        *("ZCOUNT", "ZLEXCOUNT", "EXISTS"),
        *("DEL", "HLEN"),
        *("XREVRANGE", "XLEN", "MEMORY"),
    }
    # A command may come from a variable of the script: that is one of its words, too.
    # Without NOVALUES, where a server lacks it, the same is asked again.
    options = {"LIMIT", "WITHSCORES", "MAXLEN", "COUNT", "NOVALUES", "SAMPLES", "USAGE"}
    named = set(re.findall(r"'([A-Z]{3,})'", body)) - options
    assert set() == (commands | named) - known
    assert "math.random" not in body
    assert re.search(r"\bos\.", body) is None
    # Keys by their number, all of which `composed` has named: none by a computed one.
    assert "KEYS" not in body


def parts_of(name):
    """Return what a file defines for others, and the words that it uses, without its comments."""
    text = without_comments(expanded(composing.text_of(name), fields.RECORD))
    defined = re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE)
    return set(defined) if name.startswith("lib/") else set(), set(re.findall(r"\w+", text))


def all_files():
    """Return the names of all files of Lua."""
    paths = composing.FOLDER.rglob("*.lua")
    return sorted(path.relative_to(composing.FOLDER).with_suffix("").as_posix() for path in paths)


@pytest.mark.parametrize("name", all_files())
def test_a_file_names_the_files_that_it_uses(name):
    """Those of which it uses something itself, and no others: each is read and composed for it."""
    words = parts_of(name)[1]
    shared = [one for one in all_files() if one.startswith("lib/") and one != name]
    used = {one.removeprefix("lib/") for one in shared if parts_of(one)[0] & words}
    named = composing.header(composing.text_of(name), "USES")
    assert used == set(named)
    assert len(used) == len(named)


def test_only_the_files_that_a_script_uses_are_read(monkeypatch):
    """A short command composes one script: it does not read all files for it."""
    read = []

    def text_of(name):
        read.append(name)
        return real(name)

    real = composing.text_of
    monkeypatch.setattr(composing, "text_of", text_of)
    composing._pieces.cache_clear()
    scripts.load("read", KEYS, bounds(1000))
    assert {"read", "lib/show", "lib/record", "lib/newest"} == set(read)


SHARED = {
    "lib/record": (
        "-- Shared.\n-- USES: clock\n\nlocal clock = now_of(1)\n\n"
        "-- One.\n-- It has two lines.\nlocal function one()\n  return 1\nend\n\n"
        "local function two()\n\n  -- Nearly three.\n  return one() -- not three\nend\n\n"
    ),
    "lib/line": (
        "-- Later.\n-- USES: record\n"
        "local function three(x)\n  if x then\n    return two\n  end\nend\n\n"
    ),
    "lib/odd": (
        "-- Odd.\n-- USES: record\n\n"
        "-- Seldom.\n-- It is odd.\nlocal function odd()\n  return one()\nend\n\n"
    ),
    "lib/clock": "local function now_of(x)\n  return x\nend\n\nlocal function lost()\nend\n",
    "lib/unused": "local unused = 1\n",
}


def composed_of(body):
    """Return a script's text that uses these files."""
    return composing.composed(f"-- A script.\n-- KEYS: a\n-- USES: line odd\n\n{body}\n")


@pytest.fixture
def shared(monkeypatch):
    """Provide a few simple shared functions; return those composed for a script."""
    monkeypatch.setattr(composing, "text_of", SHARED.__getitem__)
    composing._pieces.cache_clear()

    def functions_for(body):
        text = flat(composed_of(body)).removesuffix(f"{body}\n")
        assert "local clock = now_of(1)\n" in text
        assert "unused" not in text
        return [found[1] or found[2] for found in FUNCTION.finditer(text)]

    yield functions_for
    composing._pieces.cache_clear()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", ["now_of"]),
        ("return one()", ["now_of", "one"]),
        ("return two()", ["now_of", "one", "two"]),
        ("local f = three", ["now_of", "one", "two", "three"]),
        ("return 1 -- three", ["now_of"]),
        ("return threefold, lone", ["now_of"]),
        ("return lost(one)", ["now_of", "lost", "one"]),
        ("return odd()", ["now_of", "one", "odd"]),
    ],
)
def test_what_is_reached_is_kept(shared, body, expected):
    """Directly or through others, called or handed on, in order; comments reach nothing."""
    assert expected == shared(body)


def test_the_server_gets_no_comments(shared):
    """A function comes as it is but for the lines that are comments or empty."""
    text = composed_of("-- Go.\nreturn two()")
    assert "\nlocal function two()\n  return one() -- not three\nend\n" in text
    assert text.endswith("end\n\nreturn two()\n")
    assert ["return one() -- not three"] == [
        line.strip() for line in text.splitlines() if "--" in line
    ]


def test_what_is_seldom_called_is_made_when_it_is(shared):
    """Alone, after all others, whoever calls it."""
    text = composed_of("if x then return odd() end\nreturn one()")
    often, seldom = text.split("local made\n")
    assert "odd" not in often
    branch = "one = function()\n  return one()\nend\n"
    assert f"  if name == 'odd' then\n{textwrap.indent(branch, '    ')}" in seldom
    assert seldom.endswith("end\n\nif x then return seldom('odd')() end\nreturn one()\n")
    assert "seldom" not in composed_of("return one()")


def test_an_unknown_key_is_loud(monkeypatch):
    """A key that the header lacks becomes KEYS[0], which is nil: the server refuses the call."""
    text = "-- KEYS: a\nreturn redis.call('X', K.b)"
    monkeypatch.setattr(composing, "text_of", lambda _: text)
    assert "KEYS[0]" in scripts.load("read", KEYS, bounds(1000)).source


def test_a_script_without_header(monkeypatch):
    """It cannot be loaded."""
    monkeypatch.setattr(composing, "text_of", lambda _: "return 1")
    with pytest.raises(ValueError, match=r"read\.lua has no header"):
        scripts.load("read", KEYS, bounds(1000))


def test_another_index():
    """The list script takes any place as its index, and stays the same script."""
    script = scripts.load("list", KEYS, bounds(1000))
    other = scripts.with_place(script, KEYS, "done")
    assert (script.sha, script.source) == (other.sha, other.source)
    assert "{roost:tenant:queue}:done" in other.keys
    assert "{roost:tenant:queue}:place" not in other.keys
    for head in (other.by_name, other.by_source):
        assert "{roost:tenant:queue}:done" in head
        assert "{roost:tenant:queue}:place" not in head


def test_queues_share_nothing():
    """Prefix, namespace and queue are part of every key and channel: no tenant meets another."""
    names = set()
    for keys in (KEYS, Keys("roost", "tenant2", "queue"), Keys("roost", "tenant", "q2")):
        mine = {keys.key(place) for place in PLACES.values()}
        mine |= {keys.wake_channel("w"), keys.ended_channel("w"), keys.key("work")}
        assert set() == names & mine
        names |= mine
        assert all(one.startswith(keys.tag + ":") for one in mine)


def test_places_are_distinct():
    """Each state has a set of its own."""
    assert len(PLACES) == len(set(PLACES.values()))


def test_the_type_of_each_key_is_known():
    """What a diagnosis and a repair look at is every key that a script names, and no other."""
    named = {
        name for one in scripts.names() for name in scripts.load(one, KEYS, bounds(1000)).key_names
    }
    assert named - {"place"} == set(TYPES)
