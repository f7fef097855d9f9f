"""One answer for all who ask within a moment: when it is given again, and when not."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from roost_core.errors import BackendUnavailable
from roost_plugins.console.sharing import SHARED_SECONDS, Shared


@attrs.define(eq=False)
class Source:
    """What is read: its answers are numbers, and come when the test lets them."""

    begun: int = 0
    cancelled: int = 0
    now: float = 100.0
    acts: int = 0
    acts_elsewhere: int = 0
    open: asyncio.Event = attrs.field(factory=asyncio.Event)
    fault: Exception | None = None
    shared: Shared[tuple[int, int]] = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.open.set()
        self.shared = Shared(self.load, lambda: self.acts, self.is_current, lambda: self.now)

    async def load(self, _roost):
        """Return its number, and what had been done elsewhere when it began."""
        self.begun += 1
        found = self.begun, self.acts_elsewhere
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None:
            raise self.fault
        return found

    async def is_current(self, _roost, found):
        """Compare with what has been done elsewhere."""
        return found[1] == self.acts_elsewhere

    async def ask(self):
        """Ask, and return the number of the answer."""
        return (await self.shared.get(None))[0]

    async def asking(self, number):
        """Begin to ask this many times."""
        tasks = [asyncio.create_task(self.ask()) for _ in range(number)]
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks


async def test_it_is_read_once_for_all_who_ask_within_a_second():
    """One after the other and at once; then again, and never while nobody asks."""
    source = Source()
    assert [1, 1] == [await source.ask(), await source.ask()]
    source.now += SHARED_SECONDS * 0.99
    assert [1] * 9 == await asyncio.gather(*await source.asking(9))
    source.now += SHARED_SECONDS * 0.02
    assert 1 == source.begun
    assert [2] * 9 == await asyncio.gather(*await source.asking(9))
    assert 2 == source.begun


async def test_its_age_is_counted_from_its_beginning():
    """What took long to read is true as of then; who asks meanwhile waits for it."""
    source = Source()
    source.open.clear()
    early = await source.asking(2)
    source.now += 5
    late = await source.asking(2)
    source.open.set()
    assert [1, 1, 1, 1] == await asyncio.gather(*early, *late)
    assert 2 == await source.ask()


async def test_who_has_acted_sees_it():
    """Neither what was read before nor what is being read is good enough after an act."""
    source = Source()
    assert 1 == await source.ask()
    source.acts += 1
    assert 2 == await source.ask()
    source.now += SHARED_SECONDS
    source.open.clear()
    before = await source.asking(2)
    source.acts += 1
    after = await source.asking(2)
    source.open.set()
    assert [3, 3, 4, 4] == await asyncio.gather(*before, *after)
    assert 4 == await source.ask()


async def test_what_was_done_elsewhere_is_seen():
    """As far as it is known; all who notice it at the same time have it read once."""
    source = Source()
    assert 1 == await source.ask()
    source.acts_elsewhere += 1
    assert [2] * 4 == await asyncio.gather(*await source.asking(4))
    source.now += SHARED_SECONDS
    source.open.clear()
    before = await source.asking(1)
    source.acts_elsewhere += 1
    after = await source.asking(2)
    source.open.set()
    assert [3, 4, 4] == await asyncio.gather(*before, *after)


async def test_a_failure_is_not_kept():
    """All who wait get it; the next one who asks does not."""
    source = Source(fault=BackendUnavailable("away"))
    found = await asyncio.gather(*await source.asking(2), return_exceptions=True)
    assert ["away", "away"] == [str(one) for one in found]
    assert 1 == source.begun
    source.fault = None
    assert 2 == await source.ask()


async def test_who_gives_up_does_not_end_it_for_others():
    """The last one does: nobody is there to read it for."""
    source = Source()
    source.open.clear()
    one, other = await source.asking(2)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    assert 0 == source.cancelled
    source.open.set()
    assert 1 == await other
    source.now += SHARED_SECONDS
    source.open.clear()
    (last,) = await source.asking(1)
    last.cancel()
    with pytest.raises(asyncio.CancelledError):
        await last
    source.open.set()
    assert 3 == await source.ask()
    assert (3, 1) == (source.begun, source.cancelled)
