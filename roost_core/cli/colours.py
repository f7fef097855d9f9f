"""The colours of what people read: each is seen on a dark ground and on a white one.

The sixteen colours that a terminal names are not: its yellow, green and cyan are made for black,
and vanish on white. These come from the 256 that nearly all terminals have, from the middle
between black and white; rich takes the nearest of the sixteen for terminals that have no more.

Nothing is told by colour alone.
"""

from __future__ import annotations

from typing import Final

#: It went well, and is over.
GOOD: Final = "color(28)"
#: It failed, or is broken.
BAD: Final = "color(196)"
#: It may need somebody.
WARNING: Final = "color(130)"
#: It runs.
BUSY: Final = "color(31)"
#: A person did it.
BY_HAND: Final = "color(134)"
#: What is worth more than a glance.
VERY_BAD: Final = f"bold {BAD}"
ALERT: Final = f"bold {WARNING}"
