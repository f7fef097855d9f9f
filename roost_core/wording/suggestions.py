"""What somebody may have meant who typed a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def close_matches(
    name: str, known: Iterable[str], most: int = 3, *, cutoff: float = 0.6
) -> list[str]:
    """Return the known names that are most like ``name``, the closest first.

    :param cutoff: how like they have to be, from 0 to 1.
    """
    import difflib  # lazily: most processes make no such mistake

    return difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` if something known is near, else an empty text."""
    close = close_matches(name, known, most=1)
    return f"; did you mean {close[0]}?" if close else ""
