"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roost_core.shown.spans import ago, ahead, span, took

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.42, "0.4 s"),
        (2, "2 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (102, "1.7 m"),
        (600, "10 m"),
        (7199, "2 h"),
        (7200, "2 h"),
        (86_400, "24 h"),
        (172_800, "2 d"),
        (8_640_000, "100 d"),
    ],
)
def test_spans(seconds, expected):
    """One unit, two digits that count, and no more."""
    assert expected == span(seconds)


def test_before_and_after():
    """What is due is due now, and a clock that is ahead does not make the future past."""
    assert ["2 m ago", "now", "now"] == [
        ago(NOW - timedelta(seconds=one), NOW) for one in (120, 0.4, -60)
    ]
    assert ["in 3 s", "now", "now"] == [
        ahead(NOW + timedelta(seconds=one), NOW) for one in (3.2, 0.4, -60)
    ]


def test_how_long_a_step_took():
    """Milliseconds until there are a thousand."""
    assert ["12 ms", "0 ms", "1.5 s", "5 m"] == [took(one) for one in (12.3, 0.2, 1500, 300_000)]
