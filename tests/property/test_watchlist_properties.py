"""Whatever a site does, a watch counts right, ends right and stays small."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roost_core.codec.strict_json import MAX_SNAPSHOT_BYTES, dumps, loads
from roost_core.errors import PermanentError
from roost_plugins.watchlist import addresses, rules
from roost_plugins.watchlist.rules import Page, Watch

# Surrogates too: headers are decoded with them.
TEXT = st.text(st.characters(), max_size=400)
PAGES = st.builds(
    Page,
    url=TEXT,
    at=st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis adds the zone
    elapsed_ms=st.integers(0, 10**6),
    redirects=st.integers(0, 3),
    status=st.none() | st.sampled_from([200, 200, 204, 301, 404, 500]),
    content_type=st.none() | TEXT,
    charset=st.none() | st.sampled_from(["utf-8", "latin-1", "utf-16", "hex", "nonsense"]),
    body=st.none() | st.binary(max_size=50) | st.sampled_from([b"it is so", b"IT\nIS"]),
    is_truncated=st.booleans(),
    error=st.none() | st.none() | TEXT,
)
WATCHES = st.builds(
    Watch,
    url=st.just("https://example.com/"),
    claim=st.none() | st.just("it is"),
    checks_required=st.integers(1, 12),
    delay_seconds=st.floats(0, 100),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["url", "claim", "checks_required", "delay_seconds", "other"])


def run(watch: Watch, pages: list[Page]) -> list[dict[str, Any]]:
    """Return the data of every snapshot of a watch that sees these pages."""
    history = [rules.initial_data()]
    for page in pages:
        if rules.is_complete(history[-1], watch):
            break
        history.append(rules.next_data(history[-1], rules.observe(page, watch), watch))
    return history


@given(WATCHES, st.lists(PAGES, min_size=12, max_size=15))
def test_a_watch_ends_exactly_at_its_number_of_checks(watch: Watch, pages: list[Page]):
    """Each fetch counts once, and only the last makes the watch complete."""
    history = run(watch, pages)
    done = [data["checks_completed"] for data in history]
    assert list(range(watch.checks_required + 1)) == done
    complete = [rules.is_complete(data, watch) for data in history]
    assert [False] * watch.checks_required + [True] == complete


@given(WATCHES, st.lists(PAGES, min_size=12, max_size=12))
def test_the_verdict_follows_from_the_observations(watch: Watch, pages: list[Page]):
    """Derived again from the listed observations, by another way than the counts."""
    for data in run(watch, pages):
        found = [seen["claim_found"] for seen in data["observations"] if seen["ok"]]
        if not data["observations"]:
            expected = "pending"
        elif not found:
            expected = "unreachable"
        elif watch.claim is None:
            expected = "observed"
        elif all(one is True for one in found):
            expected = "confirmed"
        elif all(one is False for one in found):
            expected = "refuted"
        else:
            expected = "mixed"
        assert expected == data["verdict"]


@given(PAGES, WATCHES)
def test_an_observation_is_small_clean_json(page: Page, watch: Watch):
    """It survives the codec, prints on one line and has a bounded size."""
    seen = rules.observe(page, watch)
    assert seen == loads(dumps(seen, "it", 20_000), "it", 20_000)
    assert all(value.isprintable() for value in seen.values() if isinstance(value, str))
    assert seen["ok"] == (seen["error"] is None)


@given(st.integers(rules.OBSERVATIONS_KEPT - 2, rules.OBSERVATIONS_KEPT + 20))
def test_a_long_watch_keeps_the_newest_details_and_all_counts(checks: int):
    """The snapshot stops growing, and the report says what it leaves out."""
    watch = Watch("https://example.com/", None, checks)
    usual = {"url": "https://h/", "at": datetime(2030, 1, 1, tzinfo=UTC), "status": 200}
    pages = [Page(elapsed_ms=number, **usual) for number in range(checks)]
    data = run(watch, pages)[-1]
    kept = min(checks, rules.OBSERVATIONS_KEPT)
    numbers = [seen["elapsed_ms"] for seen in data["observations"]]
    assert list(range(checks - kept, checks)) == numbers
    assert checks == data["counts"]["ok"] == data["checks_completed"]
    report = rules.report("w1", data, watch)
    assert checks - kept == report["observations_left_out"]
    assert ("were not kept" in report["note"]) == (checks > kept)


def test_the_largest_snapshot_fits_the_codec():
    """As many observations as are kept, each as large as a site can make it."""
    wide = "\U0001f980" * 9000
    at = datetime(2030, 1, 1, tzinfo=UTC)
    page = Page(url=wide, at=at, elapsed_ms=1, status=200, content_type=wide, error=wide)
    watch = Watch("https://example.com/", "x", rules.OBSERVATIONS_KEPT)
    data = run(watch, [page] * rules.OBSERVATIONS_KEPT)[-1]
    assert MAX_SNAPSHOT_BYTES / 4 > len(json.dumps(data, ensure_ascii=False).encode())


@given(JSON | st.dictionaries(FIELDS, JSON | st.just("https://example.com/")))
def test_any_payload_is_a_watch_or_refused_for_good(payload: Any):
    """There is no other result, and the reason is one line."""
    outcome: object
    try:
        outcome = Watch.from_payload(payload)
    except PermanentError as error:
        outcome = str(error)
    assert isinstance(outcome, Watch) or (isinstance(outcome, str) and outcome.isprintable())


@given(st.ip_addresses(v=4))
def test_wrapping_an_ipv4_address_does_not_make_it_public(inner: ipaddress.IPv4Address):
    """IPv4-mapped, NAT64, 6to4, IPv4-compatible and ISATAP forms of a refused one are refused."""
    number = int(inner)
    prefix = int(ipaddress.IPv6Address("2a00:1450::"))
    wrapped = [
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
        ipaddress.IPv6Address(prefix | 0x5EFE << 32 | number),
    ]
    if addresses.refuse_non_public(str(inner)) is not None:
        assert all(addresses.refuse_non_public(str(outer)) for outer in wrapped)


@given(st.ip_addresses())
def test_what_is_allowed_is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    """The policy is never wider than the standard library's."""
    if addresses.refuse_non_public(str(address)) is None:
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert mapped.is_global
        assert not mapped.is_multicast
