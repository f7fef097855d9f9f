"""What a row of the table is, and a probe: one way to do the work, run in a child process."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import attrs

from benchmarks.measuring.harness import Clock, Job


@attrs.frozen
class Row:
    """One way to do the work.

    :ivar key: its name in commands and JSON.
    :ivar title: its name for people.
    :ivar run: the child's part: set up, ``clock.start()``, work, ``clock.stop(steps)``.
    :ivar needs: the module without which it is skipped.
    :ivar durability: what is on record after each step; ``{fsync}`` is the server's setting.
    :ivar is_sized: whether the size of the state matters; empty jobs carry none.
    :ivar unit: what one step is.
    :ivar rate: a guess of steps a second, so that all samples last about as long.
    """

    key: str
    title: str
    run: Callable[[Job, Clock], None]
    durability: str
    rate: int
    needs: str | None = None
    is_sized: bool = True
    unit: str = "step"

    @property
    def is_installed(self) -> bool:
        """Whether what it needs can be imported."""
        return self.needs is None or find_spec(self.needs) is not None
