"""Sizes, as people read them."""

from __future__ import annotations

import pytest

from roost_core.shown.sizes import size


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (20_000, "20 KiB"),
        (5 << 20, "5.0 MiB"),
        (5 << 40, "5120 GiB"),
    ],
)
def test_sizes(number, expected):
    """As people write them."""
    assert expected == size(number)
