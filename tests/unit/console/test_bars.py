"""Bars along time, as SVG."""

from __future__ import annotations

import re

from roost_plugins.console.drawing.bars import Bar, bars


def heights(svg, tone):
    """Return how high the bars of a tone are."""
    found = re.findall(rf'<rect class="tone-{tone}" [^>]*height="(\d+)"', svg)
    return [int(one) for one in found]


def test_the_highest_bar_is_as_high_as_the_picture():
    """The others are true to scale, and what is there at all can be seen."""
    svg = bars([Bar(50, ""), Bar(100, ""), Bar(0, ""), Bar(1, "")], "x", tone="busy")
    assert [50, 100, 8] == heights(svg, "busy")


def test_a_part_stands_at_the_foot():
    """Both together are as high as the count."""
    svg = bars([Bar(10, "", 4), Bar(5, "", 5)], "x", tone="warn", part_tone="bad")
    assert [60] == heights(svg, "warn")
    assert [40, 50] == heights(svg, "bad")


def test_nothing_is_a_line():
    """No counts, or none but zeros: the axis is there, and no bar."""
    for those in ([], [Bar(0, "none")] * 60):
        svg = bars(those, "nothing", tone="busy")
        assert [] == heights(svg, "busy")
        assert "bars-axis" in svg


def test_texts_are_escaped_and_there_is_no_style():
    """It obeys the policy, and says in words what it shows."""
    svg = bars([Bar(1, "<script>")], 'a "label" & more', tone="busy")
    assert "<script>" not in svg
    assert 'aria-label="a &#34;label&#34; &amp; more"' in svg
    assert "style" not in svg
