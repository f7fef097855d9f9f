"""All faults of processes, servers and connections at once: only poison is buried in the end."""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_core import Settings
from roost_core.models import DeadLetter, RetryPolicy, State
from tests.chaos.crew import Crew, accepted_versions, ask, counts, enqueue, events, eventually
from tests.chaos.havoc import ALL, ON_DISK, Havoc, all_metas, socket_beside
from tests.chaos.proxy import proxied
from tests.servers import need, redis_binary, server_in

_log = logging.getLogger(__name__)
#: The long form, for a night: 2,000 items, ten times the faults, and a seed of its own each time.
IS_LONG = os.environ.get("ROOST_X_FAULTS") == "long"
ITEMS, POISON_OF_A_KIND, FAULTS = (2000, 5, 180) if IS_LONG else (300, 1, 18)
#: Some good work has steps that meet several faults each, so that blame would add up.
SLOW = 60 if IS_LONG else 12
#: How long a step takes, in seconds: so that the work outlasts the faults.
PAUSE = 0.9 if IS_LONG else 0.3
#: How long the rest of the work may take once the faults have ended, in seconds.
PATIENCE = 1800.0 if IS_LONG else 120.0
SEED = int(os.environ.get("ROOST_X_SEED") or (random.randrange(10**6) if IS_LONG else 8))
STEPS = 5
#: What each kind of poison may be buried for. A worker that hangs may be killed before it says so.
KINDS = {
    "raise": {"exception"},
    "system_exit": {"exception"},
    "exit": {"recoveries"},
    "kill": {"recoveries"},
    "hang": {"hung", "recoveries"},
}
LIMITS = {"max_recoveries": 2, "retry": RetryPolicy(max_attempts=2, base_seconds=0.1)}
#: Some of the good work fails once, and asks for a pause: so that workers call every script.
WISH = {"once": {"2": "raise", "4": "later"}}


def enqueue_poison(settings: Settings) -> dict[str, str]:
    """Enqueue poison; return each item's kind."""
    return {
        work_id: kind
        for kind in KINDS
        for work_id in enqueue(
            settings, POISON_OF_A_KIND, payload={"poison": kind, "after": 0.2}, **LIMITS
        )
    }


def test_mixed(
    server_root: Path, tmp_path: Path, tally: Callable[[int | str, str, int], None]
) -> None:
    """Deaths, stops, outages, crashes and cuts at random, with five kinds of poison."""
    _log.warning("ROOST_X_SEED=%d repeats these faults", SEED)  # shown if the test fails
    dice = random.Random(SEED)
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "mixed", *ON_DISK) as server:
        settings = Settings(
            home=tmp_path,
            extra={"redis_url": server.url},
            namespace="mixed",
            lease_ttl=1.0,
            stuck_after=2.0,
            events_kept=1_000_000,
            events_bytes=1 << 30,
        )
        bad = enqueue_poison(settings)
        failing = enqueue(settings, ITEMS // 10, payload=WISH, max_recoveries=5)
        slow = enqueue(settings, SLOW, payload={"pause": 2.0}, max_recoveries=5)
        quick = enqueue(settings, ITEMS - len(failing) - len(slow), max_recoveries=5)
        good = failing + slow + quick
        with (
            proxied(server.socket, socket_beside(server), settings) as proxy,
            Crew(tmp_path, settings, steps=STEPS, pause=PAUSE) as crew,
        ):
            havoc = Havoc(crew, server, proxy, dice)
            try:
                for _ in range(3):
                    crew.start(proxy.url)
                eventually(lambda: bool(crew.runs()), "a first step")
                for kind in havoc.choose(FAULTS):
                    if counts(settings)[State.DONE] < len(good):
                        havoc.do(kind)
                        assert [] == havoc.unexplained()

                def is_over() -> bool:
                    crew.tend()
                    standing = counts(settings)
                    return standing[State.FAILED] + standing[State.DONE] == len(bad) + len(good)

                eventually(is_over, "all have come to an end", patience=PATIENCE, pause=0.2)
                check_dead_letters(havoc, bad)
                check_good(crew, good, failing)
            finally:
                havoc.server.kill()
        for kind, n in havoc.done.items():
            tally(f"mixed, seed {SEED}", kind, n)
        tally(f"mixed, seed {SEED}", "calls, each by itself", proxy.hits.total())
        tally(f"mixed, seed {SEED}", "poison items", len(bad))
        tally(f"mixed, seed {SEED}", "blame looked into", havoc.looks)
        tally(f"mixed, seed {SEED}", "healthy items", len(good))


def check_dead_letters(havoc: Havoc, bad: dict[str, str]) -> None:
    """Assert that they are the poison, each for what it did, and that counted deaths were real."""
    settings = havoc.crew.settings
    found: Any = ask(settings, lambda roost: roost.dead_letters(ALL))
    letters: list[DeadLetter] = list(found)
    assert set(bad) == {one.item.work_id for one in letters}
    for letter in letters:
        work_id = letter.item.work_id
        assert letter.error.kind in KINDS[bad[work_id]], (bad[work_id], letter.error)
        if letter.error.kind == "recoveries":
            past: Any = ask(settings, lambda roost, one=work_id: roost.work(one).events(limit=1000))
            assert LIMITS["max_recoveries"] <= havoc.losses(past, 1)


def check_good(crew: Crew, good: list[str], failing: list[str]) -> None:
    """Assert that each has every version once, each of its steps was run, and none is blamed."""
    found = events(crew.settings)
    accepted = accepted_versions(found)
    # The first version is init_snapshot's.
    expected = {work_id: list(range(1, STEPS + 2)) for work_id in good}
    assert expected == {work_id: accepted.get(work_id) for work_id in good}
    steps = {(work_id, version) for work_id in good for version in range(1, STEPS + 1)}
    assert set() == steps - set(crew.runs())
    # Only what the engine did itself counts, and only once.
    failed = Counter(one.work_id for one in found if one.kind == "attempt_failed")
    assert Counter() == Counter({one: failed[one] for one in good}) - Counter(failing)
    blamed = {one.work_id: (one.recoveries, one.suspicions) for one in all_metas(crew)}
    assert dict.fromkeys(good, (0, 0)) == {one: blamed[one] for one in good}
