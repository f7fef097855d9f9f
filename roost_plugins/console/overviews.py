"""The overview, read once for all tabs and programs that ask for it within about a second.

It is the most that a page asks of the server. A person sees at once what that person did: here by
any request that may change something and by verbs on many; elsewhere, as far as the events tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from roost_core import Roost
from roost_core.models.overview import Overview
from roost_plugins.console.acting.runs import Runs
from roost_plugins.console.live.hub import Hub
from roost_plugins.console.live.positions import is_by_person
from roost_plugins.console.sharing import Shared

#: What gives the overview to those who ask with a connection.
Overviews = Callable[[Roost], Awaitable[Overview]]
#: While nobody listens to the events, the newest of them are looked through for what people did.
_LOOK: Final = 50


@attrs.define(eq=False)
class Acts:
    """Counts the requests that may have changed something; for any thread."""

    count: int = 0

    def note(self) -> None:
        """Note that one has ended."""
        self.count += 1  # two at once may count as one: that it changes is what matters


def shared_overview(acts: Acts, runs: Runs, live: Hub) -> Shared[Overview]:
    """Return the overview of one console."""

    async def nobody_acted(roost: Roost, found: Overview) -> bool:
        if live.acts is not None:
            return True  # the stamp tells
        events = await roost.events(limit=_LOOK)
        return not any(event.at >= found.now and is_by_person(event) for event in events)

    return Shared(
        lambda roost: roost.overview(),
        lambda: (acts.count, runs.progress, live.acts),
        nobody_acted,
    )
