"""The watchlist's pure parts: payloads, claims, addresses and the engine's own steps."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from roost_core.errors import PermanentError
from roost_core.models import WorkItem
from roost_core.settings import Settings
from roost_plugins import watchlist
from roost_plugins.watchlist import addresses, rules
from roost_plugins.watchlist.rules import Page, Watch

URL = "https://example.com/news"


def page(**fields: Any) -> Page:
    """Make a page that answered in full, changed by ``fields``."""
    usual: dict[str, Any] = {
        "url": URL,
        "at": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        "elapsed_ms": 12,
        "status": 200,
        "content_type": "text/html; charset=utf-8",
        "charset": "utf-8",
        "body": b"<p>The bridge is\n open.</p>",
    }
    return Page(**{**usual, **fields})


# -- payloads --------------------------------------------------------------------------------


def test_a_url_is_all_that_a_payload_needs():
    """Claim, number of checks and delay have defaults."""
    expected = Watch(url=URL, claim=None, checks_required=3, delay_seconds=60.0)
    assert expected == Watch.from_payload({"url": URL})


def test_a_full_payload_is_taken_as_it_is():
    """Every field arrives, whole seconds as a float."""
    payload = {"url": URL, "claim": "open", "checks_required": 1, "delay_seconds": 0}
    assert Watch(URL, "open", 1, 0.0) == Watch.from_payload(payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (None, "must be an object with url, claim"),
        ([URL], "must be an object"),
        ({}, "url must be a string"),
        ({"url": ""}, "url must be a string"),
        ({"url": 7}, "url must be a string"),
        ({"url": "example.com"}, "url must name a host"),
        ({"url": "http://"}, "url must name a host"),
        ({"url": "http:///path"}, "url must name a host"),
        ({"url": "http://h:99999/"}, "url must name a host"),
        ({"url": "http://h:0/"}, "url must name a host"),
        ({"url": "http://[::1/"}, "url must name a host"),
        ({"url": "file://host/etc/passwd"}, "must start with http:// or https://"),
        ({"url": "gopher://host/"}, "must start with http:// or https://"),
        ({"url": "http://h/a b"}, "spaces or control characters"),
        ({"url": "http://h/\r\nX: y"}, "spaces or control characters"),
        ({"url": "http://h/" + "x" * 2048}, "the limit is 2048"),
        ({"url": "http://user@h/"}, "must not contain a user name"),
        ({"url": URL, "claim": ""}, "claim must be a string"),
        ({"url": URL, "claim": " \n"}, "claim must be a string"),
        ({"url": URL, "claim": 1}, "claim must be a string"),
        ({"url": URL, "claim": "x" * 1001}, "claim must be a string"),
        ({"url": URL, "checks_required": 0}, "checks_required must be a whole number"),
        ({"url": URL, "checks_required": True}, "checks_required must be a whole number"),
        ({"url": URL, "checks_required": 2.0}, "checks_required must be a whole number"),
        ({"url": URL, "checks_required": None}, "checks_required must be a whole number"),
        ({"url": URL, "checks_required": 100_001}, "from 1 to 100000"),
        ({"url": URL, "delay_seconds": -1}, "delay_seconds must be finite"),
        ({"url": URL, "delay_seconds": float("inf")}, "delay_seconds must be finite"),
        ({"url": URL, "delay_seconds": float("nan")}, "delay_seconds must be finite"),
        ({"url": URL, "delay_seconds": "60"}, "delay_seconds must be a number"),
        ({"url": URL, "allow_private": True}, "unknown field 'allow_private'; known are url"),
    ],
)
def test_an_unsound_payload_is_refused_for_good(payload: Any, words: str):
    """The error says which field in one line, and retrying is pointless."""
    with pytest.raises(PermanentError) as caught:
        Watch.from_payload(payload)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_password_is_not_repeated():
    """An error goes to dead letters and screens; the secret does not."""
    with pytest.raises(PermanentError) as caught:
        Watch.from_payload({"url": "https://me:hunter2@example.com/"})
    assert "hunter2" not in str(caught.value)


# -- observations ----------------------------------------------------------------------------


def test_an_observation_holds_the_evidence_and_not_the_page():
    """Size, hash and excerpt stand for the body."""
    seen = rules.observe(page(), Watch(URL, claim="IS open"))
    assert {
        "ok": True,
        "status": 200,
        "url": URL,
        "redirects": 0,
        "at": "2030-01-02T03:04:05.000Z",
        "elapsed_ms": 12,
        "bytes": 27,
        "sha256": hashlib.sha256(page().body or b"").hexdigest(),
        "truncated": False,
        "content_type": "text/html; charset=utf-8",
        "claim_found": True,
        "excerpt": "<p>The bridge is open.</p>",
        "error": None,
    } == seen


@pytest.mark.parametrize("status", [199, 301, 304, 404, 500])
def test_only_2xx_is_ok(status: int):
    """Any other status is an observation with an error, and the claim is not looked for."""
    seen = rules.observe(page(status=status), Watch(URL, claim="open"))
    assert (False, None) == (seen["ok"], seen["claim_found"])
    assert f"the site answered with HTTP status {status}" == seen["error"]


def test_a_fetch_that_broke_off_is_not_ok():
    """An error counts more than the status that came before it."""
    seen = rules.observe(page(error="the line was cut", body=None), Watch(URL))
    assert (False, "the line was cut") == (seen["ok"], seen["error"])
    assert (None, None) == (seen["bytes"], seen["sha256"])


def test_a_truncated_page_cannot_refute_a_claim():
    """What was not read may contain it; what was read may confirm it."""
    cut = page(is_truncated=True)
    assert rules.observe(cut, Watch(URL, claim="closed"))["claim_found"] is None
    assert rules.observe(cut, Watch(URL, claim="open"))["claim_found"] is True


def test_texts_from_the_web_are_cleaned_and_cut():
    """Control characters, colours, right-to-left overrides and length do not get through."""
    hostile = page(
        content_type="text/\x1b[31mhtml\r\n\u202e" + "x" * 9000,
        error="bad\x00 \x07line\n\nnext \udcff" + "y" * 9000,
        url="http://h/" + "z" * 9000,
    )
    seen = rules.observe(hostile, Watch(URL))
    assert seen["content_type"].startswith("text/[31mhtml xxx")
    assert seen["error"].startswith("bad line next yyy")
    lengths = [len(seen[key]) for key in ("content_type", "error", "url")]
    assert [rules.MAX_CONTENT_TYPE, rules.MAX_ERROR, rules.MAX_URL] == lengths


@pytest.mark.parametrize(
    ("charset", "body", "expected"),
    [
        (None, "naïve".encode(), "naïve"),
        ("utf-8", b"\xef\xbb\xbfx", "x"),
        ("ISO-8859-1", b"na\xefve", "naïve"),
        ("windows-1252", b"\x80 5", "€ 5"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
        ("utf-16-le", "ok".encode("utf-16-le"), "ok"),
        ("no-such-charset", b"ok\xff", "ok\ufffd"),
        ("charset\x00", b"ok", "ok"),
        ("utf-8", b"\xff\xfe", "\ufffd\ufffd"),
        # Python's codecs that are not for pages count as not declared.
        ("zlib", b"plain", "plain"),
        ("punycode", b"plain-", "plain-"),
        ("unicode_escape", rb"\x41", r"\x41"),
        ("idna", b"plain", "plain"),
    ],
)
def test_pages_are_decoded_by_their_charset(charset: str | None, body: bytes, expected: str):
    """A wrong or strange charset falls back to UTF-8 and never fails."""
    assert expected == rules.decode(body, charset)


@pytest.mark.parametrize(
    ("text", "claim", "expected"),
    [
        ("all is well", "is", "all is well"),
        ("ALL\tIS\n WELL", "is well", "ALL IS WELL"),
        ("price (EUR) 5.00", "(eur) 5.00", "price (EUR) 5.00"),
        ("price 5x00", "5.00", None),
        ("", "x", None),
        ("x" * 500 + "claim" + "y" * 500, "claim", "x" * 80 + "claim" + "y" * 80),
        ("Hauptstraße 5", "HAUPTSTRASSE", "hauptstrasse 5"),
        ("a\x1b]0;title\x07b", "title", "a]0;titleb"),
    ],
)
def test_a_claim_is_found_as_people_read_it(text: str, claim: str, expected: str | None):
    """Case and white space do not matter, everything else is literal, the excerpt is clean."""
    assert expected == rules.find_claim(text, claim)


def test_white_space_is_all_that_python_calls_so():
    """One claim finds every white space character there is."""
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    assert [] == [char for char in spaces if rules.find_claim(f"a{char} b", "a b") is None]


def test_a_claim_and_a_page_made_for_each_other_are_no_trouble():
    """Half a million near misses: a backtracking search would not come back."""
    assert rules.find_claim("a " * 500_000, "a " * 400 + "b") is None


def test_an_excerpt_is_bounded_even_if_the_claim_is_stretched():
    """A page may spread the claim over any amount of white space."""
    excerpt = rules.find_claim("a" + " " * 100_000 + "b" * 5000, "a b")
    assert excerpt is not None
    assert rules.MAX_EXCERPT >= len(excerpt)


@pytest.mark.parametrize(
    ("counts", "has_claim", "expected"),
    [
        ((0, 0, 0, 0), True, "pending"),
        ((0, 2, 0, 0), True, "unreachable"),
        ((0, 2, 0, 0), False, "unreachable"),
        ((1, 2, 0, 0), False, "observed"),
        ((2, 1, 2, 0), True, "confirmed"),
        ((2, 1, 0, 2), True, "refuted"),
        ((2, 0, 1, 1), True, "mixed"),
        ((2, 0, 0, 1), True, "mixed"),
        ((1, 0, 0, 0), True, "mixed"),
    ],
)
def test_the_verdict_table(counts: tuple[int, int, int, int], has_claim: bool, expected: str):
    """One line for each row of the table in the module's docstring."""
    names = ("ok", "failed", "claim_found", "claim_absent")
    named = dict(zip(names, counts, strict=True))
    assert expected == rules.verdict(named, has_claim=has_claim)


# -- addresses -------------------------------------------------------------------------------


NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::808:808",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:10.1.2.3",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:808:808:0:0:f5ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2001:20::1",
    "2a00:1450::5efe:a00:1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "localhost",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused(address: str):
    """Whatever leads inside, in whatever wrapping; and what is not an address at all."""
    assert addresses.refuse_non_public(address) is not None
    assert addresses.allow_all(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.215.14",
        "172.32.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82a::200e",
    ],
)
def test_public_addresses_are_allowed(address: str):
    """Sites on the internet, over IPv4, IPv6 and NAT64."""
    assert addresses.refuse_non_public(address) is None


# -- the engine ------------------------------------------------------------------------------


async def test_the_first_snapshot_is_made_without_a_fetch():
    """It only checks the payload; aiohttp is not needed for that."""
    item = WorkItem(work_id="w1", engine="watchlist", payload={"url": URL})
    first = await watchlist.init_snapshot(item)
    assert ("w1", "watchlist", "init") == (first.work_id, first.engine, first.step)
    assert (0, "pending", []) == tuple(
        first.data[key] for key in ("checks_completed", "verdict", "observations")
    )
    assert (False, None) == (first.is_finished, first.next_step_delay_seconds)


async def test_a_bad_payload_fails_at_the_first_snapshot():
    """It goes straight to the dead letters."""
    item = WorkItem(work_id="w1", engine="watchlist", payload={"uri": URL})
    with pytest.raises(PermanentError, match="unknown field 'uri'"):
        await watchlist.init_snapshot(item)


async def test_a_refused_address_names_the_operators_setting():
    """The payload cannot change that, and a literal needs no lookup."""
    item = WorkItem(work_id="w1", engine="watchlist", payload={"url": "http://[::ffff:7f00:1]/"})
    context: Any = SimpleNamespace(settings=Settings(), heartbeat=lambda *_: None)
    first = await watchlist.init_snapshot(item)
    with pytest.raises(PermanentError) as caught:
        await watchlist.step(first, item, context)
    named = "watchlist_allow_private_addresses (ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES)"
    assert named in str(caught.value)


def test_importing_the_engine_does_not_import_aiohttp():
    """Commands that never fetch start fast."""
    code = "import sys, roost_plugins.watchlist; sys.exit('aiohttp' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
