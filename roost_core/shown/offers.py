"""Whether anybody would take the work of an engine. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from roost_core.models.worker import WorkerInfo


def not_offered(engine: str, workers: Iterable[WorkerInfo]) -> str | None:
    """Return what to do if no live worker offers an engine, or None if one does."""
    if any(engine in one.engines for one in workers):
        return None
    return f"no live worker offers {engine}: start one with `roost worker --engines {engine}`"
