"""Counts along time as small bars: attributes and classes only, so that they obey the policy. Pure.

The picture is stretched to the room that it gets, so it holds nothing but rectangles: what there is
to read stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from markupsafe import Markup, escape

#: The picture's own units: across for each bar, and its height. The axis takes the last one.
_WIDTH: Final = 10
_GAP: Final = 2
_HEIGHT: Final = 100
_AXIS: Final = 3
#: What is there at all is at least so high.
_LEAST: Final = 8


@attrs.frozen
class Bar:
    """One bar.

    :ivar count: how high it is.
    :ivar title: what is said of it when it is pointed at.
    :ivar part: this many of the count are drawn in another colour, at the foot.
    """

    count: int
    title: str
    part: int = 0


def bars(those: Sequence[Bar], label: str, *, tone: str, part_tone: str = "bad") -> Markup:
    """Draw bars beside each other, the highest as high as the picture.

    :param label: what the picture says, for those who do not see it.
    :param tone: its colour; ``part_tone`` is that of the parts.
    """
    most = max((one.count for one in those), default=0)
    width = _WIDTH * max(1, len(those))
    drawn = "".join(
        piece
        for place, one in enumerate(those)
        for piece in _bar(one, _WIDTH * place, most, tone, part_tone)
    )
    return Markup(  # noqa: S704 - each text in it is escaped
        f'<svg class="bars" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width} {_HEIGHT}" preserveAspectRatio="none">'
        f'<rect class="bars-axis" y="{_HEIGHT - _AXIS}" width="{width}" height="{_AXIS}"/>'
        f"{drawn}</svg>"
    )


def _bar(one: Bar, x: int, most: int, tone: str, part_tone: str) -> Iterator[str]:
    # The whole height can be pointed at, however low the bar is.
    yield (
        f'<g><title>{escape(one.title)}</title><rect class="bars-room" x="{x}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"/>'
    )
    high = _high(one.count, most)
    low = min(high, _high(min(one.part, one.count), most))
    for name, height, foot in ((tone, high - low, low), (part_tone, low, 0)):
        if height > 0:
            yield (
                f'<rect class="tone-{escape(name)}" x="{x}" y="{_HEIGHT - foot - height}" '
                f'width="{_WIDTH - _GAP}" height="{height}"/>'
            )
    yield "</g>"


def _high(count: int, most: int) -> int:
    return max(_LEAST, round(_HEIGHT * count / most)) if count else 0
