"""What is said of work that is not there."""

from __future__ import annotations

from roost_core.errors import WorkNotFound


def not_found(work_id: str, queue: str) -> WorkNotFound:
    """Return the error for an id that no work item of the queue has."""
    return WorkNotFound(
        f"no work item {work_id!r} in the queue {queue!r}: `roost list` shows what is there, "
        "and --queue names another queue"
    )
