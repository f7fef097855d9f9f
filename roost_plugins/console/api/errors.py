"""What only requests of the API can do wrong."""

from __future__ import annotations

from roost_core.errors import RoostError


class KeyReused(RoostError):
    """The key was used before, for another request."""


class KeyBusy(RoostError):
    """The first request with this key is still under way."""


class NoPart(RoostError):
    """A work item has no such part."""
