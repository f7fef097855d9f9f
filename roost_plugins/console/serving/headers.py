"""The headers of every answer."""

from __future__ import annotations

from typing import Final

#: No script, style or picture but the console's own, and no page of others around it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)

#: Unless an answer has its own.
_USUAL: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, browsers send the origin "null" with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def with_usual(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of an answer, and those that it lacks."""
    given = {name.lower() for name, _ in headers}
    return [*headers, *((name, text) for name, text in _USUAL.items() if name.lower() not in given)]
