"""Verbs at random from several processes, while workers are killed: what was acknowledged holds."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from roost_core import Settings
from roost_core.backend import Finding, Order, Repaired
from roost_core.models import Event, State, Verb
from roost_core.testing.contract.kit import ACTOR, unique
from roost_plugins.redis_saq.server import RedisServer
from tests.chaos.crew import Crew, counts, enqueue, events, eventually
from tests.servers import Server

_log = logging.getLogger(__name__)
IS_LONG = os.environ.get("ROOST_X_FAULTS") == "long"
ITEMS, SECONDS, HANDS, WORKERS = (500, 120.0, 4, 4) if IS_LONG else (200, 12.0, 4, 3)
SEED = int(os.environ.get("ROOST_X_SEED") or (random.randrange(10**6) if IS_LONG else 10))
#: So many that no item ends while hands are on it.
STEPS = 1000 if IS_LONG else 60
#: What each verb that is done at once leaves in the events, and what ends a request.
DONE = {
    Verb.CANCEL: "cancelled",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.RETRY: "retried",
    Verb.BURY: "dead_lettered",
    Verb.DROP: "dropped",
}
#: After these a step may begin, and be accepted, again.
AWAKENED = {"resumed", "retried"}
#: After these none does.
ASLEEP = {"cancelled", "paused", "dead_lettered", "dropped"}


def hands(settings: Settings, work_ids: list[str], folder: Path) -> list[subprocess.Popen[bytes]]:
    """Start those who use verbs."""
    url = settings.extra["redis_url"].value
    found = []
    for number in range(HANDS):
        words = [url, settings.namespace, SEED + number, SECONDS, folder / f"hand-{number}.txt"]
        command = [sys.executable, "-m", "tests.chaos.hands", *map(str, words)]
        one = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert one.stdin is not None
        one.stdin.write(json.dumps(work_ids).encode())
        one.stdin.close()
        found.append(one)
    return found


def acknowledged(folder: Path) -> list[list[Any]]:
    """Return what was answered to all of them."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("hand-*.txt"))
        for line in path.read_text().splitlines()
    ]


def let_rest_end(settings: Settings, work_ids: Iterable[str]) -> None:
    """Cancel all that may still run."""

    async def cancel() -> None:
        server = RedisServer(settings)
        await server.open()
        try:
            for work_id in work_ids:
                order = Order(unique("end"), Verb.CANCEL, ACTOR)
                await server.ledger(settings.queue).order(work_id, order)
        finally:
            await server.close()

    asyncio.run(cancel())


def disagreements(settings: Settings) -> tuple[list[Finding], list[Repaired]]:
    """Return what the diagnosis says of damage, and what a repair finds."""

    async def look() -> tuple[list[Finding], list[Repaired]]:
        server = RedisServer(settings)
        await server.open()
        try:
            ledger = server.ledger(settings.queue)
            found = [one for one in await ledger.diagnose() if one.subject == "damage"]
            return found, [*await ledger.repair(dry_run=True)]
        finally:
            await server.close()

    return asyncio.run(look())


def is_ended(settings: Settings) -> bool:
    """Return whether nothing is left but what has ended."""
    return 0 == sum(number for state, number in counts(settings).items() if not state.is_terminal)


def test_hands_on_the_work(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """V1, C1, Q1: no version twice, nothing outside its one place, and every verb is true."""
    _log.warning("ROOST_X_SEED=%d repeats these verbs", SEED)  # shown if the test fails
    settings = Settings(
        home=tmp_path,
        extra={"redis_url": redis_server.url},
        namespace="hands",
        lease_ttl=1.0,
        events_kept=1_000_000,
        events_bytes=1 << 30,
    )
    work_ids = [
        work_id
        for resources in ([], ["a"], ["b"], ["a", "b"])
        for work_id in enqueue(settings, ITEMS // 4, resources=resources, max_recoveries=1000)
    ]
    dice = random.Random(SEED)
    kills = 0
    with Crew(tmp_path, settings, steps=STEPS, pause=0.05) as crew:
        for _ in range(WORKERS):
            crew.start()
        eventually(lambda: bool(crew.runs()), "a first step")
        those = hands(settings, work_ids, tmp_path)
        try:
            while any(one.poll() is None for one in those):
                time.sleep(0.5 + dice.random())
                crew.replace(dice.randrange(WORKERS))
                kills += 1
        finally:
            for one in those:
                one.kill()
                one.wait()
        assert [0] * HANDS == [one.returncode for one in those]
        answers = acknowledged(tmp_path)
        let_rest_end(settings, work_ids)
        eventually(lambda: is_ended(settings), "all have come to an end", pause=0.2)
        assert ([], []) == disagreements(settings)
    found = events(settings)
    check_verbs(answers, found)
    histories = defaultdict(list)
    for event in found:
        if not event.is_of_engine:
            histories[event.work_id].append(event)
    for history in histories.values():
        check_history(history)
    tally(1, "a verb that was acknowledged meanwhile", len(answers))
    tally(1, "kill -9 of a worker under random verbs", kills)
    tally(1, "work items under random verbs", ITEMS)


def check_verbs(answers: list[list[Any]], found: list[Event]) -> None:
    """See that each answer has its event, and no event is without one."""
    said = Counter((verb, outcome) for _, verb, outcome, *_ in answers)
    by_hand = [one for one in found if str(one.data.get("who", "")).startswith("hand-")]
    told = Counter(one.kind for one in by_hand)
    for verb, kind in DONE.items():
        requested = told[f"{verb.value}_requested"]
        assert said[verb.value, "requested"] == requested, verb
        at_once = said[verb.value, "done"]
        assert at_once <= told[kind] <= at_once + requested, (verb, at_once, told[kind])


def check_history(history: list[Event]) -> None:
    """See that versions follow each other, and nothing happens to what is at rest, or is to end."""
    version, is_at_rest, is_to_end = 0, False, False
    for event in history:
        if event.kind == "committed":
            assert not is_at_rest, history
            assert not is_to_end, history
            version += 1
        assert version == event.version, history
        if event.kind == "claimed":
            assert not is_at_rest, history
        if event.kind in ("cancel_requested", "bury_requested"):
            assert not is_to_end, history
            is_to_end = True
        if event.kind in AWAKENED | ASLEEP:
            is_at_rest, is_to_end = event.kind in ASLEEP, False
    assert history[-1].state.is_terminal
    assert is_at_rest or history[-1].state is State.DONE
