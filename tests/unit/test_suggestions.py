"""What somebody may have meant."""

from __future__ import annotations

import pytest

from roost_core.wording.suggestions import is_slip


@pytest.mark.parametrize(
    "name", ["queu", "quue", "qeuue", "queuee", "wueue", "queux", "ueue", "qqueue", "queeu"]
)
def test_one_slip(name: str) -> None:
    """A letter too many, missing or wrong, or two in the wrong order."""
    assert is_slip(name, ["home", "queue"])


@pytest.mark.parametrize("name", ["que", "eueuq", "s3_queue", "", "queuexx", "uqeeu"])
def test_more_than_a_slip(name: str) -> None:
    """Anything else may well be meant as it is."""
    assert not is_slip(name, ["home", "queue"])
