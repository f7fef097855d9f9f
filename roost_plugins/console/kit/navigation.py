"""The pages that the navigation names, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from flask import Flask


@attrs.frozen
class Place:
    """One page.

    :ivar page: the name that its template is rendered with, ``page=``.
    :ivar key: what to press after ``g`` to go there.
    """

    page: str
    label: str
    icon: str
    key: str

    @property
    def endpoint(self) -> str:
        """The view that shows it."""
        return f"{self.page}.show"


PLACES: Final = (
    Place("overview", "Overview", "gauge", "o"),
    Place("work", "Work", "layers", "w"),
    Place("events", "Events", "activity", "e"),
    Place("failed", "Dead letters", "inbox", "d"),
    Place("artifacts", "Artifacts", "package", "a"),
    Place("workers", "Workers", "server", "k"),
    Place("resources", "Resources", "lock", "r"),
    Place("plugins", "Plugins", "plug", "p"),
    Place("doctor", "Doctor", "stethoscope", "h"),
)


def places(app: Flask) -> Sequence[Place]:
    """Return the places that the application has."""
    return [place for place in PLACES if place.endpoint in app.view_functions]
