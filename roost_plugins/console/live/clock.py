"""The server's clock, known without asking each time; and when the server was last heard."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

#: How long a reading is good for. Seconds.
GOOD_SECONDS: Final = 60.0
#: How long it is not read again where that has failed. Seconds.
PAUSE_SECONDS: Final = 5.0


class ServerClock:
    """Follows the server's clock by this machine's, which also counts while a laptop sleeps."""

    def __init__(self) -> None:
        self._ahead_ms = 0.0
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._heard = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the server was last heard."""
        return time.monotonic() - self._heard

    @property
    def is_due(self) -> bool:
        """Whether it is time to read it again."""
        local = time.time()
        if abs(local - self._tried_at) < PAUSE_SECONDS:
            return False
        return self._read_at is None or abs(local - self._read_at) > GOOD_SECONDS

    def trying(self) -> None:
        """Note that somebody reads it now."""
        self._tried_at = time.time()

    def read(self, now_ms: int) -> None:
        """Note what the server's clock says now."""
        self._read_at = time.time()
        self._ahead_ms = now_ms - self._read_at * 1000
        self._heard = time.monotonic()

    def heard(self) -> None:
        """Note that the server has sent something."""
        self._heard = time.monotonic()

    def now(self) -> datetime:
        """Return what the server's clock says now, as far as is known."""
        return datetime.fromtimestamp((time.time() * 1000 + self._ahead_ms) / 1000, UTC)
