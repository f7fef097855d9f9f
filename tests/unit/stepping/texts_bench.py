"""What tests of large texts in a worker know: steps that bring images, and a bench for them."""

from __future__ import annotations

import attrs
import pytest

from roost_core.large_values import Texts
from roost_core.shown import views
from roost_core.stepping import texts
from roost_core.stepping.texts import LargeTexts
from tests.unit.stepping.stepper_bench import Bench, engine

LEAST = 1024


@pytest.fixture
def threadless(monkeypatch):
    """Call at once what blocks: the loop leaps, and waits for no thread."""

    async def at_once(function, *args):
        return function(*args)

    monkeypatch.setattr(texts, "run_in_thread", at_once)


def image(n):
    """Return a text that is like no other."""
    return f"{n} image " * 400


def looking(total, keep=None, **fields):
    """Make a step that adds an image to the last ones, and looks at those that it was given.

    A payload is the number of the first.
    """

    async def step(snapshot, item):
        n, base = snapshot.data.get("n", 0), item.payload or 0
        images = list(snapshot.data.get("images", []))
        first = 0 if keep is None else max(0, n - keep)
        assert [image(base + one) for one in range(first, n)] == images
        images = [*images, image(base + n)][-keep if keep else 0 :]
        data = {"n": n + 1, "images": images, "pad": "p" * 100}
        return snapshot.evolve(data=data, is_finished=n + 1 >= total, **fields)

    return engine(step)


def bench_of(*plugins, dice=lambda: 1.0, clock=lambda: 0.0, **fields):
    """Make a bench that moves texts."""
    bench = Bench(*plugins, **fields)
    large = LargeTexts(Texts(bench.store), LEAST, dice=dice, clock=clock)
    bench.stepper = attrs.evolve(bench.stepper, large=large)
    return bench


async def status_of(bench, work_id):
    """Return all about a work item."""
    return views.status(Texts(bench.store).whole_work(await bench.ledger.read(work_id)))


def kept(bench, work_id):
    """Return the ids of the texts that are kept for a work item."""
    return {one.artifact_id for one in bench.store.values.of_work(work_id)}
