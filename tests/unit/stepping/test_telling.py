"""What the log says of attempts."""

from __future__ import annotations

import pytest

from roost_core.stepping import telling


@pytest.mark.parametrize(
    ("attempt", "most", "said"), [(1, 5, "1 of 5"), (5, 5, "5 of 5"), (6, 5, "6")]
)
def test_an_attempt_beyond_what_the_item_asked_for(attempt, most, said):
    """A retry may have allowed more, and nobody fails for the sixth time of five."""
    assert said == telling._number(attempt, most)
