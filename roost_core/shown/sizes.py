"""Numbers of bytes as people read them: "312 B", "4.1 KiB", "5.0 MiB". Pure."""

from __future__ import annotations


def size(number: int) -> str:
    """Return how large something is: ``312 B``, ``4.1 KiB``. Units are powers of 1,024."""
    amount, units = float(number), ["GiB", "MiB", "KiB", "B"]
    while amount >= 1024 and len(units) > 1:
        amount, _ = amount / 1024, units.pop()
    digits = 0 if number == amount or amount >= 10 else 1
    return f"{amount:.{digits}f} {units[-1]}"
