"""The table of a record's fields, and what the scripts get for it."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from roost_core.backend import Claim, NewWork, StoredWork
from roost_core.models import State
from roost_plugins.redis_saq import scripts
from roost_plugins.redis_saq.record import claims, kinds
from roost_plugins.redis_saq.record.fields import RECORD, Field, Table
from roost_plugins.redis_saq.record.lua import expanded
from tests import rows

LUA = Path(scripts.__file__).parent / "lua"

SMALL = Table(
    layout=7,
    head=(
        Field("state", kinds.STATE, shown=("state",)),
        Field("version", kinds.COUNT, accepted="'0'"),
        Field("at", kinds.TIME, claimed="at_ms", accepted="now"),
        Field("new", kinds.WORD, enqueued="engine", is_added=True),
    ),
    label=Field("step", kinds.LINE),
    rest=(Field("fence", kinds.COUNT, claimed="fence"), Field("entries", kinds.COUNT)),
    lines=(Field("key", kinds.LINE, enqueued="idempotency_key"),),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local F.head = x", "local state, version, at, new, more, step = x"),
        (
            "F.head_pattern",
            r"'^7 (%l[%l_]*) (%d+) (%d+) ?([!-~]*)([^\n]*)\n([^\n]*)\n()'",
        ),
        (
            "{ F.head_fields }",
            "{ state = state, version = version, at = at, new = new, more = more, step = step }",
        ),
        (
            "F.head_text_of_r",
            r"'7 ' .. r.state .. ' ' .. r.version .. ' ' .. r.at .. ' ' .. r.new .. r.more"
            r" .. '\n' .. r.step .. '\n'",
        ),
        (
            "F.accepted_text",
            r"'7 ' .. state .. ' 0 ' .. now .. ' ' .. new .. more .. '\n' .. step .. '\n'",
        ),
        ("F.rest", "fence, entries, more_standing, key"),
        ("F.rest_pattern", r"'^(%d+) (%d+)([^\n]*)\n([^\n]*)\n()'"),
        (
            "F.rest_text_of_r",
            r"r.fence .. ' ' .. r.entries .. r.more_standing .. '\n' .. r.key .. '\n'",
        ),
        ("F.shown_of_r", "r.state"),
        ("F.claimed_of_r", "r.at .. ' ' .. r.fence .. ' ' .. expires"),
        ("F.before.entries", "'^(%S+ )(%d+)(.*)$'"),
        ("  F.head_absent\n", "  if new == '' then new = '-' end\n"),
        ("  F.rest_absent\nreturn", "return"),
        ("F.accepted_of_r\n", "r.version = '0'\nr.at = now\n"),
        (
            "F.new",
            "state = 'queued', version = '0', at = '0', new = ARGV[6], step = '', fence = '0',"
            " entries = '0', key = ARGV[7],\nmore = '', more_standing = ''",
        ),
        ("-- F.head, a comment\n", "-- F.head, a comment\n"),
    ],
)
def test_what_a_name_stands_for(text, expected):
    """Lists and statements as a person would have written them."""
    assert expected == expanded(text, SMALL)


def test_a_name_that_stands_for_nothing():
    """It is found when the script is loaded."""
    with pytest.raises(KeyError):
        expanded("local F.heads = 1", SMALL)


def test_line_breaks():
    """A long list continues after a comma and before an operator, below where it began."""
    made = expanded("local x = F.head_text_of_r\n{\n  F.rest_fields,\n}", RECORD)
    assert all(len(line) <= 112 for line in made.splitlines())
    assert "\n  .. r.updated" in made
    assert "\n  blocked_on = blocked_on" in made
    assert not re.search(r"[, ]$", made.replace(",\n", "\n"), re.MULTILINE)


def test_the_layout_is_that_of_the_scripts():
    """The number is in the Lua text, too: the history of that line tells who had which."""
    assert f"\nlocal LAYOUT = {RECORD.layout}\n" in (LUA / "lib/record.lua").read_text()


def test_the_order_of_the_stored_words_stays():
    """An older Roost reads what this one has written: words that it knows are where they were."""
    assert [
        *("state", "engine", "version", "token", "last", "updated", "committed", "attempts"),
        *("blame", "row", "max_steps", "has_error", "has_beat", "deadline"),
    ] == [field.name for field in RECORD.head if not field.is_added]
    assert [
        *("fence", "worker", "priority", "seq", "created", "started", "blocked_on"),
        *("max_attempts", "max_recoveries", "nonce", "since", "base", "entries"),
    ] == [field.name for field in RECORD.rest if not field.is_added]
    assert ["step", "resources", "key"] == [field.name for field in (RECORD.label, *RECORD.lines)]


def test_every_name_is_an_attribute():
    """What the table fills and asks for is there, and everything stored is filled."""
    stored = {one.name for one in attrs.fields(StoredWork)}
    claim = {one.name for one in attrs.fields(Claim)}
    new = {one.name for one in attrs.fields(NewWork)}
    assert set() == {name for field in RECORD for name in field.shown} - stored
    assert set() == {field.enqueued for field in RECORD if field.enqueued} - new
    # The others are read into the lease, and into `recoveries` and `is_solo`.
    assert {"blame", "fence"} == {field.claimed for field in RECORD if field.claimed} - claim


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"label": Field("state", kinds.LINE)}, "'state'"),
        ({"label": Field("State", kinds.LINE)}, "'State'"),
        ({"head": (Field("a", kinds.FLAG, is_added=True), Field("b", kinds.FLAG))}, "follow"),
        (
            {"rest": tuple(Field("a" * n, kinds.FLAG) for n in range(1, 31))},
            "more fields than one pattern",
        ),
    ],
)
def test_tables_that_cannot_be(change, error):
    """A name twice, one that Lua does not know, a new word between old ones, too many."""
    parts = {"head": SMALL.head, "label": SMALL.label, "rest": SMALL.rest, "lines": SMALL.lines}
    with pytest.raises(ValueError, match=error):
        Table(7, **{**parts, **change})


def test_arguments_of_an_enqueue():
    """In the table's order, with whatever stands for none."""
    work = NewWork("w", "demo", b"", "n", "d", resources=("b", "a"), max_steps=7, priority=-3)
    assert ["demo", 7, 0, -3, 5, 3, "n", "a b", ""] == RECORD.arguments(work)
    early = attrs.evolve(work, deadline_ms=-5, idempotency_key="a key")
    assert [1, "a key"] == [RECORD.arguments(early)[2], RECORD.arguments(early)[-1]]


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (kinds.STATE, b"retry_wait", State.RETRY_WAIT),
        (kinds.WORD, b"-", None),
        (kinds.WORD, b"w\xff", "w�"),
        (kinds.COUNT, b"0", 0),
        (kinds.TIME, b"0", None),
        (kinds.TIME, b"17", 17),
        (kinds.ASKED, b"9" * 19, kinds.FAR),
        (kinds.ASKED_TIME, b"0", None),
        (kinds.PRIORITY, b"-5", -5),
    ],
)
def test_reading(kind, raw, expected):
    """Each kind has its own words for none, and its own bounds."""
    assert expected == kind.read(raw)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (kinds.STATE, b"resting"),
        (kinds.COUNT, b""),
        (kinds.COUNT, b"1" * 16),
        (kinds.COUNT, str(kinds.FAR + 1).encode()),
        (kinds.ASKED, b"9" * 20),
        (kinds.TIME, b"soon"),
        (kinds.BLAME, b"1,2"),
    ],
)
def test_broken_words(kind, raw):
    """What no script of ours would write is not shown as if it were true."""
    with pytest.raises(ValueError, match=r"\w"):
        kind.read(raw)


def test_a_claim_with_an_attribute_that_nobody_brings(monkeypatch):
    """It is a mistake in the code, and not a broken claim."""

    @attrs.frozen(eq=False, repr=False)
    class Wider(Claim):
        more: int = 0

    monkeypatch.setattr(claims, "Claim", Wider)
    with pytest.raises(TypeError, match="claimed as more"):
        claims.claims([[b"w", rows.claimed(b"t"), b"", None]], "worker", 0.0)
