"""Verbs of the client from four processes, while workers and the server die: what they say holds.

``test_hands.py`` looks at the events; this looks at what each was told and what is true in the end.
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_core import Settings
from roost_core.models import RetryPolicy, State, Verb
from roost_core.plugins.registry import Plugins
from tests.chaos.crew import Crew, ask, enqueue, events, eventually
from tests.chaos.havoc import ON_DISK, all_metas
from tests.chaos.journal import Entry, last_words, read
from tests.chaos.test_hands import check_history, disagreements, is_ended, let_rest_end
from tests.servers import Server, need, redis_binary, server_in, start_server

_log = logging.getLogger(__name__)
IS_LONG = os.environ.get("ROOST_X_FAULTS") == "long"
ITEMS, SECONDS, HANDS, WORKERS = (2000, 240.0, 4, 4) if IS_LONG else (500, 20.0, 4, 3)
SEED = int(os.environ.get("ROOST_X_SEED") or (random.randrange(10**6) if IS_LONG else 11))
#: So many that little ends by itself while hands are on it.
STEPS = 40
#: Work that is chained and sleeps now and then, only sleeps, fails once, and always fails.
PAYLOADS: tuple[dict[str, object], ...] = (
    {"artifact": True},
    {"sleep": 0.3},
    {"once": {"2": "raise", "4": "later"}},
    {"poison": "raise", "after": 0.1},
)
ENDED = {State.DONE, State.FAILED}
AT_REST = {State.PAUSED, State.CANCELLED}
#: Where work may stand for which a verb was confirmed last; gone is None. A step under way may be
#: the work's last before a pause that was requested.
TRUE: dict[Verb, set[State | None]] = {
    Verb.CANCEL: {State.CANCELLED},
    Verb.PAUSE: {State.PAUSED},
    Verb.RESUME: set(State) - AT_REST,
    Verb.RETRY: set(State) - AT_REST,
    Verb.BURY: {State.FAILED},
    Verb.DROP: {None},
}


def enqueue_all(settings: Settings) -> list[str]:
    """Enqueue work of each kind, with and without resources; return the ids."""
    retry = RetryPolicy(max_attempts=3, base_seconds=0.2)
    return [
        work_id
        for payload in PAYLOADS
        for resources in ([], [], [], ["a"], ["a", "b"])
        for work_id in enqueue(
            settings,
            ITEMS // len(PAYLOADS) // 5,
            payload=payload,
            resources=resources,
            retry=retry,
            max_recoveries=1000,
        )
    ]


def start_hands(
    settings: Settings, work_ids: list[str], folder: Path
) -> list[subprocess.Popen[bytes]]:
    """Start those who use verbs."""
    url = settings.extra["redis_url"].value
    found = []
    for number in range(HANDS):
        path = folder / f"journal-{number}.txt"
        words = [settings.home, url, settings.namespace, SEED + number, SECONDS, path]
        command = [sys.executable, "-m", "tests.chaos.journal", *map(str, words)]
        one = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert one.stdin is not None
        one.stdin.write(json.dumps(work_ids).encode())
        one.stdin.close()
        found.append(one)
    return found


def harm(crew: Crew, server: Server, hands: list[subprocess.Popen[bytes]]) -> tuple[Server, int]:
    """Kill workers while hands are at work, and the server once; return it as it runs now."""
    dice = random.Random(SEED)
    crash_at = time.monotonic() + SECONDS / 2
    kills, has_crashed = 0, False
    try:
        while any(one.poll() is None for one in hands):
            time.sleep(0.5 + dice.random())
            crew.replace(dice.randrange(WORKERS))
            kills += 1
            if not has_crashed and time.monotonic() > crash_at:
                has_crashed = True
                server.kill()
                server = start_server(server.binary, server.folder, *ON_DISK)
    finally:
        for one in hands:
            one.kill()
            one.wait()
    assert ([0] * HANDS, True) == ([one.returncode for one in hands], has_crashed)
    return server, kills


def test_what_was_confirmed_is_true(
    server_root: Path, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """V1, C1, Q1: each confirmed verb is true, nothing is lost, and resources are free."""
    _log.warning("ROOST_X_SEED=%d repeats these verbs", SEED)  # shown if the test fails
    with server_in(
        need(redis_binary(), "redis-server"), server_root / "journal", *ON_DISK
    ) as server:
        settings = Settings(
            home=tmp_path,
            extra={"redis_url": server.url},
            namespace="journal",
            lease_ttl=1.0,
            events_kept=1_000_000,
            events_bytes=1 << 30,
        )
        work_ids = enqueue_all(settings)
        with Crew(tmp_path, settings, steps=STEPS, pause=0.1) as crew:
            for _ in range(WORKERS):
                crew.start()
            try:
                eventually(lambda: bool(crew.runs()), "a first step")
                hands = start_hands(settings, work_ids, tmp_path)
                server, kills = harm(crew, server, hands)
                entries = read(tmp_path.glob("journal-*.txt"))
                eventually(lambda: wishes(crew) == [], "every request is confirmed", pause=0.2)
                checked = check_words(crew, entries)
                dropped = check_lost(crew, entries, work_ids)
                left = sorted(set(work_ids) - dropped)
                check_end(crew, left)
                check_artifacts(settings, dropped, left)
            finally:
                server.kill()
    tally(1, "a verb that was confirmed by the client", len(confirmed(entries)))
    tally(1, "a last word that has to be true for good", checked)
    tally(1, "a dropped work item under random verbs", len(dropped))
    tally(1, "kill -9 of a worker under verbs of the client", kills)
    tally(5, "kill -9 of the server under random verbs", 1)


def wishes(crew: Crew) -> list[str]:
    """Return the work whose running step has been asked for something that is not done yet."""
    return [one.work_id for one in all_metas(crew) if one.wish is not None]


def confirmed(entries: list[Entry]) -> list[Entry]:
    """Return what was done, or will be."""
    return [one for one in entries if one.outcome in ("done", "requested")]


def check_words(crew: Crew, entries: list[Entry]) -> int:
    """Assert that what was said last about each is true; return how many there are."""
    states = {one.work_id: one.state for one in all_metas(crew)}
    last = last_words(entries)
    wrong = []
    for entry in last:
        allowed = TRUE[entry.verb]
        if entry.verb is Verb.PAUSE and entry.outcome != "done":
            allowed = allowed | ENDED
        if entry.verb is Verb.RETRY and entry.outcome == "already":
            allowed = allowed | {State.PAUSED}  # it ran, and was asked to pause before
        if states.get(entry.work_id) not in allowed:
            wrong.append((entry, states.get(entry.work_id)))
    _log.warning("not true: %s", wrong)  # shown if the test fails
    assert [] == wrong
    assert set(Verb) == {one.verb for one in last}
    _log.warning("last words: %s", Counter((one.verb.value, one.outcome) for one in last))
    return len(last)


def check_lost(crew: Crew, entries: list[Entry], work_ids: list[str]) -> set[str]:
    """Assert that what is gone was dropped, each once; return it."""
    drops = [one for one in entries if one.verb is Verb.DROP]
    known = Counter(one.work_id for one in drops if one.outcome == "done")
    perhaps = {one.work_id for one in drops if one.outcome in ("done", "already", "unknown")}
    gone = set(work_ids) - {one.work_id for one in all_metas(crew)}
    assert set() == set(known) - gone
    assert set() == gone - perhaps
    assert {1} == set(known.values())
    return gone


def check_end(crew: Crew, left: list[str]) -> None:
    """Assert that after all have ended, each is in its place, with its history, and none holds."""
    settings = crew.settings
    let_rest_end(settings, left)
    eventually(lambda: is_ended(settings), "all have come to an end", pause=0.2)
    assert ([], []) == disagreements(settings)
    histories = defaultdict(list)
    for event in events(settings):
        if not event.is_of_engine:
            histories[event.work_id].append(event)
    for history in histories.values():
        check_history(history)
    (probe,) = enqueue(settings, 1, payload={"pause": 0.001}, resources=["a", "b"])

    def is_done() -> bool:
        crew.tend()
        found: Any = ask(settings, lambda roost: roost.work(probe).status())
        return bool(found.meta.state is State.DONE)

    eventually(is_done, "work takes the resources of all", pause=0.2)


def check_artifacts(settings: Settings, dropped: set[str], left: list[str]) -> None:
    """Assert that dropped work has no artifacts any more; other work has."""
    plugins = Plugins.load(strict=False)
    store = plugins.make_artifact_store(settings).of_queue(settings.namespace, settings.queue)

    assert any(store.of_work(one) for one in left)

    def kept() -> list[str]:
        return [one for one in sorted(dropped) if store.of_work(one)]

    # A worker's upkeep finishes what a drop could not while the server was away.
    eventually(lambda: kept() == [], "what was dropped has no artifacts", pause=0.2)
