"""Someone who uses verbs at random, in a process of their own: ``python -m tests.chaos.hands``.

Each answer becomes a line of the file that is named: what was done to which work item, and when it
was known.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import TextIO

from roost_core import Settings
from roost_core.backend import Order
from roost_core.models import Actor, Verb
from roost_core.testing.contract.kit import unique
from roost_plugins.redis_saq.server import RedisServer

#: Dropped rarely, because that is the end; brought back often, because that is not.
CHOICES = (
    *(Verb.CANCEL, Verb.CANCEL, Verb.PAUSE, Verb.PAUSE, Verb.PAUSE, Verb.BURY),
    *(Verb.RESUME, Verb.RESUME, Verb.RESUME, Verb.RETRY, Verb.RETRY, Verb.RETRY),
)
DROPS = 0.01
HOLDS = 0.002


async def use(url: str, namespace: str, seed: int, seconds: float, file: TextIO) -> None:
    """Use verbs for as many seconds; hold the engine now and then."""
    dice = random.Random(seed)
    actor = Actor(f"hand-{seed}", "chaos")
    server = RedisServer(Settings(namespace=namespace, extra={"redis_url": url}))
    await server.open()
    try:
        ledger = server.ledger("default")
        work_ids = sorted(json.loads(sys.stdin.read()))
        until = time.monotonic() + seconds
        with file:
            while time.monotonic() < until:
                if dice.random() < HOLDS:
                    await ledger.halt("ledger", actor)
                    await asyncio.sleep(dice.random())
                    await ledger.unhalt("ledger", actor)
                work_id = dice.choice(work_ids)
                verb = Verb.DROP if dice.random() < DROPS else dice.choice(CHOICES)
                order = Order(unique(f"r{seed}"), verb, actor)
                answer = await ledger.order(work_id, order)
                known = [work_id, verb, answer.outcome, answer.version, answer.wish]
                file.write(json.dumps(known) + "\n")
                await asyncio.sleep(dice.random() * 0.02)
    finally:
        await server.close()


if __name__ == "__main__":
    _, url, namespace, seed, seconds, path = sys.argv
    out = open(path, "a", encoding="utf-8")  # noqa: SIM115 - it is closed in there
    asyncio.run(use(url, namespace, int(seed), float(seconds), out))
