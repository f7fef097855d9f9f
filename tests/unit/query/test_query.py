"""Queries: what they may be, what they are true of, and what an error points at."""

from __future__ import annotations

import pytest

from roost_core.codec.records import encode_model
from roost_core.errors import InvalidInput
from roost_core.models import ErrorRecord, State
from roost_core.query import Op, Query, Subject, Term, Test, fingerprint, matches, parse

NOW = 10_000_000_000
HOUR = 3_600_000


def subject(**fields):
    """Make a failed work item of the engine crawl."""
    known = {
        "work_id": "w-12ab",
        "engine": "crawl",
        "state": State.FAILED,
        "labels": {"team": "search", "env": "prod"},
        "priority": 3,
        "attempts": 2,
        "created_ms": NOW - 2 * HOUR,
        "updated_ms": NOW - HOUR,
        "title": lambda: "A Refund of Straße 7",
        "error": lambda: ("exception HTTPError: 429 Too Many", "0123456789ab"),
    }
    return Subject(**{**known, **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state:failed",
        "state:done,failed",
        "-state:done",
        "STATE:Failed",
        "engine:crawl",
        "engine:cr*,other",
        "id:w-12*",
        "id:w-12ab",
        "id:x,w-12ab",
        "label:team",
        "label:team=search",
        "label:team=se*",
        "label:team=*",
        "label:team=other,search",
        "label:owner,env",
        "label:team=search label:env=prod",
        "-label:owner",
        "error:*",
        "error:429",
        'error:"too many"',
        "error:#0123456789ab",
        '-error:"#0123456789ab"',
        "title:refund",
        "title:STRASSE",
        '-title:"refund  of"',
        "priority:>2",
        "priority:>=3",
        "priority:3",
        "priority:=3",
        "priority:<4",
        "attempts:<=2",
        "-attempts:-2",
        "older:2h",
        "older:7200",
        "-older:3h",
        "newer:2h",
        "-newer:90m",
        "idle:1h",
        "-idle:61m",
        "12AB",
        "refund",
        "team=search",
        "429",
        '"Too Many"',
        "-absent",
        "  state:failed \t refund\n",
    ],
)
def test_what_is_true(text):
    """Each of these is true of one work item, and its negation is not."""
    query = parse(text)
    assert matches(query, subject(), NOW)
    for term in query.terms:
        negated = Term(term.key, term.tests, not term.is_negated)
        assert not matches(Query((negated,)), subject(), NOW)


def test_what_a_work_item_lacks():
    """Without a title, labels or an error there is nothing to find in them."""
    bare = subject(labels={}, title=lambda: None, error=lambda: None)
    for text in ("error:*", "error:429", "title:a", "label:team", "refund", "error:#0123456789ab"):
        assert not matches(parse(text), bare, NOW)
        assert matches(parse(f"-{text}"), bare, NOW)


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("stat:failed", 1, "unknown stat:; did you mean state?"),
        ("engine:a -sate:done", 11, "unknown sate:; did you mean state?"),
        ("http://x", 1, "text with a colon goes in quotes"),
        ("engine:a state:fail", 16, "unknown state 'fail'; did you mean failed?"),
        ("state:done,,failed", 12, "nothing stands behind state:"),
        ("state: failed", 7, "nothing stands behind state:"),
        ("state:done engine:x state:failed", 21, "state: is there twice: for either, write"),
        ("engine:a/b", 8, "no engine: 1 to 64 letters"),
        ("id:w-*1", 4, "no work id: 1 to 128 letters"),
        ("label:=x", 7, "no label: write label:KEY=VALUE"),
        ("label:team=a*b", 7, "no label: a value is 1 to 100"),
        ("error:#12", 7, "a fingerprint is # and 12 hexadecimal digits"),
        ('error:""', 7, "an empty text is in everything"),
        ('""', 1, "an empty text is in everything"),
        ('error:"429', 7, "this quote has no end"),
        ('a "b"c', 6, "a quote in a word"),
        ('error:"a"b', 10, "after a quoted text"),
        ('don"t', 4, "a quote in a word"),
        ("a -", 4, "nothing stands behind -"),
        ("priority:high", 10, "no number 'high': write 5, >5"),
        ("older:soon", 7, "no time 'soon': write 90s"),
        ("older:11y", 7, "no time"),
        ("older:999999h", 7, "no time"),
    ],
)
def test_errors_point_at_the_word(text, at, why):
    """One line: at which character, counted from 1, and what to write instead."""
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert str(refused.value).startswith(f"query, at character {at}: ")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_query_has_a_bound():
    """A URL may be of any length; a query may not."""
    assert 1 == len(parse("x" * 2000).terms)
    with pytest.raises(InvalidInput, match="2001 characters; 2000 are the most"):
        parse("x" * 2001)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("  STATE:done,failed   -x ", "state:done,failed -x"),
        ("label:team=a,b,c*", "label:team=a,team=b,team=c*"),
        ("label:team=*", "label:team"),
        ('error:"429"', "error:429"),
        ('"a b" error:"#"', '"a b" error:"#"'),
        ('title:"say \\"hi\\" \\\\ \\n"', 'title:"say \\"hi\\" \\\\ \\\\n"'),
        ("older:120m newer:90s idle:1.5", "older:2h newer:90s idle:1.500s"),
        ("priority:=5 attempts:>=2", "priority:5 attempts:>=2"),
        ('"state:done" "-x"', '"state:done" "-x"'),
    ],
)
def test_how_a_query_is_written(text, written):
    """In one way, whatever way it was typed, and that is the same query."""
    assert written == str(parse(text))
    assert parse(text) == parse(written)


def test_terms_are_looked_up():
    """What narrows a search is what is not negated."""
    query = parse("state:failed -engine:a older:1h")
    assert [Term("state", (Test(Op.IS, "failed"),))] == query.of("state")
    assert [] == query.of("engine")
    assert query.uses("newer", "older")
    assert not query.uses("newer", "idle")
    assert "-engine:a engine:b" == str(parse("-engine:a").narrowed("engine", "b"))


def error(message, **fields):
    """Encode an error."""
    return encode_model(ErrorRecord("exception", message, **fields))


def test_errors_that_are_alike():
    """Ids and numbers make no difference; kind, type and words do; so does nothing after them."""
    one = fingerprint(error("item w-1f3 of 20 said 429", error_type="HTTPError"))
    assert one == fingerprint(error("item w-07 of 3 said 503", error_type="HTTPError"))
    assert one == fingerprint(
        error("item w-1f3 of 20 said 429", error_type="HTTPError", traceback="x", worker_id="w")
    )
    assert one != fingerprint(error("item w-1f3 of 20 said no", error_type="HTTPError"))
    assert one != fingerprint(error("item w-1f3 of 20 said 429"))
    assert 12 == len(one)
    begin = "x " * 60
    assert fingerprint(error(f"{begin}a")) == fingerprint(error(f"{begin}b"))


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"kind":', b'{"message":"open'])
def test_a_damaged_error_has_a_fingerprint(raw):
    """Whatever the bytes are."""
    assert 12 == len(fingerprint(raw))
