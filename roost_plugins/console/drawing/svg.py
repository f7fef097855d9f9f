"""A timeline as SVG: attributes and classes only, so that it obeys the policy and the theme. Pure.

Each mark is a nested ``svg``: its place is a percentage, and what is in it is not stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from markupsafe import Markup, escape

from roost_plugins.console.drawing.timeline import Mark, Timeline
from roost_plugins.console.kit.visible import shown

#: Of a lane, and of the times above them. Pixels.
LANE: Final = 28
TOP: Final = 26
#: How far down in its lane, and how high, a mark of a kind is.
_BARS: Final = {"lease": (2, 20), "step": (2, 20), "wait": (10, 4), "gap": (10, 4)}
_SHAPES: Final = {
    "death": '<path d="M-5 3 L5 13 M5 3 L-5 13"/>',
    "end": '<circle cx="10" cy="8" r="6"/>',
    "act": '<path d="M0 1 L7 8 L0 15 L-7 8 Z"/>',
    "said": '<circle cx="0" cy="8" r="4"/>',
}

#: What stands in the end's circle, so that its colour is not needed.
_SIGNS: Final = {
    "done": '<path d="M7 8 L9.5 10.5 L13 5.5"/>',
    "failed": '<path d="M7.5 5.5 L12.5 10.5 M12.5 5.5 L7.5 10.5"/>',
    "cancelled": '<path d="M7 8 L13 8"/>',
}


def svg(picture: Timeline, url_of: Callable[[int], str] | None = None) -> Markup:
    """Return the picture.

    :param url_of: returns where the mark of a version leads to.
    """
    height = TOP + LANE * len(picture.lanes)
    # What is an image to readers of screens has no links for them.
    has_links = any(_is_link(mark, url_of) for mark in picture.marks)
    role = "group" if has_links else "img"
    parts = [
        f'<svg class="timeline-picture" width="100%" height="{height}" role="{role}" '
        f'aria-label="{escape(picture.summary)}">',
        *_ticks(picture, height),
    ]
    for place, lane in enumerate(picture.lanes):
        top = TOP - 2 + LANE * place
        parts.append(f'<svg y="{top}" width="100%" height="{LANE - 2}" overflow="visible">')
        parts += (_mark(mark, url_of) for mark in lane.marks)
        parts.append("</svg>")
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - each text in it is escaped above and below


def _ticks(picture: Timeline, height: int) -> Iterator[str]:
    last = len(picture.ticks) - 1
    for place, (x, text) in enumerate(picture.ticks):
        anchor = "start" if place == 0 else "end" if place == last else "middle"
        yield (
            f'<svg x="{x:.2f}%" overflow="visible" class="tl-tick"><line x1="0" x2="0" y1="18" '
            f'y2="{height}"/><text y="12" text-anchor="{anchor}">{escape(text)}</text></svg>'
        )


def _is_link(mark: Mark, url_of: Callable[[int], str] | None) -> bool:
    return mark.event_id is not None or (mark.version is not None and url_of is not None)


def _mark(mark: Mark, url_of: Callable[[int], str] | None) -> str:
    title = f"<title>{_text(mark.title, 700)}</title>"
    names = f"tl-{mark.kind} tone-{mark.tone}"
    if mark.kind in _BARS:
        top, height = _BARS[mark.kind]
        names += " is-open" if mark.is_open else ""
        names += " is-many" if mark.is_rough or mark.merged > 1 else ""
        label = f'<text x="6" y="14">{_text(mark.label, 60)}</text>' if mark.label else ""
        inner = f'{title}<rect width="100%" height="100%" rx="2"/>{label}'
        if mark.version is not None and url_of is not None:
            # For the keyboard the history has the same, and hundreds of them are in nobody's way.
            inner = f'<a href="{escape(url_of(mark.version))}" tabindex="-1">{inner}</a>'
        return (
            f'<svg x="{mark.x:.2f}%" y="{top}" width="{mark.width:.2f}%" height="{height}" '
            f'class="{names}">{inner}</svg>'
        )
    shape = title + _SHAPES[mark.kind] + _SIGNS.get(mark.label, "")
    if mark.event_id is not None:
        # The shape is small, and what it says is in the title.
        shape = f'<a href="#event-{escape(mark.event_id)}">{shape}</a>'
    return f'<svg x="{mark.x:.2f}%" y="4" overflow="visible" class="{names}">{shape}</svg>'


def _text(text: str, most: int) -> str:
    return str(escape(shown(text, most)))
