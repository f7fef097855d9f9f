"""What the operator can set."""

from __future__ import annotations

from typing import ClassVar

import attrs

from roost_core.settings import On, setting, yes_no
from roost_core.values import Value


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WatchlistSettings(Value):
    """Which pages may be watched."""

    namespace: ClassVar[str] = "watchlist"

    allow_private_addresses: bool = setting(
        False,
        yes_no,
        "Whether to connect to addresses that are not public, such as this machine.",
        "yes|no",
        on=On.WORKER,
    )
