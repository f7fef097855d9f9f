"""A traceback in parts: the engine's own frames, and the runtime's, which are folded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.shown.tracebacks import runs

#: The most lines of a traceback that are shown.
MOST_LINES: Final = 2000


@attrs.frozen
class Part:
    """Lines of a traceback that stand together.

    :ivar hidden: how many frames of Roost's own they are, which a reader seldom needs; 0 if they
        are the engine's or a library's.
    """

    text: str
    hidden: int = 0


def folded(traceback: str) -> Sequence[Part]:
    """Return a traceback's parts; of a very long one, its last lines."""
    lines = traceback.splitlines()
    left = len(lines) - MOST_LINES
    head = [Part(f"… {left:,} lines before")] if left > 0 else []
    text = "\n".join(lines[max(0, left) :])
    return [*head, *(Part(part, hidden) for part, hidden in runs(text))]
