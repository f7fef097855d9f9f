"""The versions of a work item's snapshot, as they are remembered."""

from __future__ import annotations

from datetime import datetime

import attrs

from roost_core.values import Value


@attrs.frozen(eq=False, repr=False)
class Gap(Value):
    """Versions in a row, ``first`` to ``last``, of which nothing is remembered."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.last - self.first + 1


@attrs.frozen(eq=False, repr=False)
class Version(Value):
    """One version of a work item's snapshot, and how it came about.

    ``committed_at``, ``worker_id`` and ``took_seconds`` are when its step was accepted, from which
    worker, and how long it took. The first two are None if the commit is not remembered,
    ``took_seconds`` also if no step made the version: then a person did, and the worker is that
    one's name behind an ``@``.

    ``size_bytes`` is the size of the stored snapshot, ``changed_bytes`` how much of it this version
    has changed, apart from its number and its label; None if that is not known. ``problem`` is why
    it cannot be read, None if it can.
    """

    work_id: str
    version: int
    step: str | None = None
    committed_at: datetime | None = None
    worker_id: str | None = None
    took_seconds: float | None = None
    size_bytes: int | None = None
    changed_bytes: int | None = None
    problem: str | None = None

    @property
    def person(self) -> str | None:
        """Who put an earlier version back, if a person made this one."""
        word = self.worker_id or ""
        return word[1:] if word.startswith("@") else None

    @property
    def is_readable(self) -> bool:
        """Whether its snapshot can be read."""
        return self.problem is None
