"""Numbers of bytes as people read them: "312 B", "4.1 KiB", "5.0 MiB". Pure."""

from __future__ import annotations


def size(number: int) -> str:
    """Return how large something is: ``312 B``, ``4.1 KiB``. Units are powers of 1,024."""
    amount, units = float(number), ["GiB", "MiB", "KiB", "B"]
    while amount >= 1024 and len(units) > 1:
        amount, _ = amount / 1024, units.pop()
    return (
        f"{amount:.0f} {units[-1]}"
        if number == amount or amount >= 10
        else f"{amount:.1f} {units[-1]}"
    )
