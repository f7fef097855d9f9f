"""Values at the bounds, from enqueue to done on a real server: deep nesting, and odd text."""

from __future__ import annotations

import asyncio
import json
from functools import reduce

import pytest

from roost_core import RetryLater, hookimpl
from roost_core.cli import output
from roost_core.models import State
from roost_core.shown.plain import status_json
from roost_core.shown.redaction import clean
from roost_core.testing import MemoryArtifactStore
from roost_core.worker import Worker
from tests.integration.redis_bench import PATIENCE, queue, settings_for

#: Quotes, backslashes, an emoji of two with a ZWJ, marks that turn text around; then U+2028 too.
LABEL = 'a"b\\c\\"d {} 👩\u200d💻 \u202eevil\u202c ü'
ODD = f"{LABEL}\u2028{LABEL}"


def nested(depth):
    """Make a list that nests this deep."""
    return reduce(lambda inner, _: [inner], range(depth - 1), [])


async def burst(settings, roost):
    """Run one worker until nothing is ready."""
    worker = Worker(settings, roost.plugins, roost.server, MemoryArtifactStore(), burst=True)
    async with asyncio.timeout(PATIENCE):
        await worker.run()


class Deep:
    """Starts with its payload as data, and finishes with it."""

    engine_id = "deep"

    @hookimpl
    async def step(self, snapshot, context):
        """Emit what nests as deep as an event may, and pass on what came."""
        if snapshot.version == 1:
            context.emit({"deep": nested(63)})
            return snapshot.evolve(data={"deep": snapshot.data["payload"]})
        return snapshot.finish()


@pytest.mark.fault(10, "deep JSON")
async def test_a_payload_that_nests_64_deep_runs_to_its_end(redis_server):
    """What is accepted when it is enqueued can be run: as payload, as data, in an event."""
    payload = nested(64)
    settings = settings_for(redis_server)
    async with queue(settings, Deep()) as roost:
        item = await roost.enqueue("deep", payload)
        await burst(settings, roost)
        found = await roost.work(item).status()
        assert (State.DONE, None) == (found.meta.state, found.meta.error)
        assert payload == found.item.payload
        assert {"deep": payload} == found.snapshot.data
        emitted = [one.data for one in await roost.work(item).events() if one.kind == "emitted"]
        assert [{"deep": nested(63)}] == emitted


class Odd:
    """Labels its step, emits, and asks to come back, all in odd text."""

    engine_id = "odd"

    @hookimpl
    async def step(self, snapshot, context):
        """Finish one step, then come back in an hour."""
        if snapshot.version == 1:
            context.emit({"kind": ODD, ODD: [ODD]})
            return snapshot.evolve(step=LABEL, data={ODD: ODD})
        raise RetryLater(3600, ODD)


@pytest.mark.fault(10, "odd text")
async def test_odd_text_is_read_back_as_it_was(redis_server, capsys):
    """Quotes, backslashes, emoji, U+2028 and ZWJ break no JSON on the way, wherever they occur."""
    settings = settings_for(redis_server)
    async with queue(settings, Odd()) as roost:
        fields = {"title": LABEL, "idempotency_key": LABEL}
        item = await roost.enqueue("odd", {ODD: ODD}, **fields)
        again = await roost.enqueue("odd", {ODD: ODD}, **fields)
        assert item.work_id == again.work_id
        await burst(settings, roost)

        found = await roost.work(item).status()
        assert (State.SLEEPING, ODD) == (found.meta.state, found.meta.reason)
        assert (LABEL, {ODD: ODD}) == (found.item.title, found.item.payload)
        assert (LABEL, {ODD: ODD}) == (found.meta.step, found.snapshot.data)
        plain = status_json(found)
        output.json_line(plain)
        printed = capsys.readouterr().out
        assert plain == json.loads(printed)
        assert not set("\u202e\u202c\u2028") & set(printed)

        events = {one.kind: one.data for one in await roost.work(item).events()}
        assert {"step": LABEL} == events["committed"]
        assert {"kind": ODD, ODD: [ODD]} == events["emitted"]
        assert {"reason": ODD} == events["interrupted"]
        trail = {one.kind: one.data for one in await roost.ledger.trail(item.work_id)}
        assert {"reason": ODD} == trail["interrupted"]


def test_odd_text_cannot_reorder_a_terminal():
    """Odd text reaches a terminal without marks that reorder it, and makes no line of its own."""
    shown = clean(ODD)

    assert not set("\u202e\u202c\u2028\n") & set(shown)
    one = 'a"b\\c\\"d {} 👩\u200d💻 evil ü'
    assert f"{one} {one}" == shown
