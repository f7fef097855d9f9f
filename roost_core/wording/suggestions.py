"""What a person who typed an unknown name may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def close_matches(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that are most like ``name``, the closest first."""
    import difflib  # lazily: most processes never need it

    return difflib.get_close_matches(name, list(known), n=most)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` if a known name is close, else an empty string."""
    close = close_matches(name, known, most=1)
    return f"; did you mean {close[0]}?" if close else ""


def is_slip(name: str, known: Iterable[str]) -> bool:
    """Return whether ``name`` is one typing slip away from a known name.

    That is an extra, missing or wrong letter, or two swapped. It is cheap, and far stricter than
    :func:`close_matches`.
    """
    return any(_is_one_slip(name, one) for one in known)


def _is_one_slip(name: str, other: str) -> bool:
    if abs(len(name) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(name), len(other)) and name[start] == other[start]:
        start += 1
    left, right = name[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )
