"""Someone who uses the client's verbs at random: ``python -m tests.chaos.journal``.

What is asked and what is answered become lines of a journal, each on the disk before what follows.
An answer names its request by number. Times are of the monotonic clock, which all processes of a
machine share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from roost_core import Roost, RoostError, Settings
from roost_core.errors import BackendUnavailable
from roost_core.models import Verb

#: Dropped rarely, because that is the end; brought back often, because that is not.
CHOICES = (
    *(Verb.CANCEL, Verb.CANCEL, Verb.PAUSE, Verb.PAUSE, Verb.PAUSE, Verb.BURY),
    *(Verb.RESUME, Verb.RESUME, Verb.RESUME, Verb.RETRY, Verb.RETRY, Verb.RETRY),
)
DROPS = 0.02
#: What was asked for and is true or will be; other outcomes are the names of errors.
CONFIRMED = ("done", "requested", "already")


@attrs.frozen
class Entry:
    """One use of a verb: by whom, when it was asked for and answered, and with what outcome.

    Without an answer, whether and when it was done is not known: until the end, it may be.
    """

    hand: str
    work_id: str
    verb: Verb
    asked: float
    answered: float = math.inf
    outcome: str = "unknown"

    @property
    def may_have_changed(self) -> bool:
        """Whether the work may have been changed by it."""
        return self.outcome in ("done", "requested", "unknown")


def read(paths: Iterable[Path]) -> list[Entry]:
    """Read the journals of all hands."""
    found: dict[tuple[str, int], Entry] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            number, at, *rest = json.loads(line)
            key = path.name, number
            if key in found:
                found[key] = attrs.evolve(found[key], answered=at, outcome=rest[0])
            else:
                found[key] = Entry(path.name, rest[0], Verb(rest[1]), at)
    return list(found.values())


def last_words(entries: Iterable[Entry]) -> list[Entry]:
    """Return what was confirmed and nobody may have changed since: it has to be true for good."""
    by_work = defaultdict(list)
    for entry in entries:
        by_work[entry.work_id].append(entry)
    return [
        one
        for those in by_work.values()
        for one in those
        if one.outcome in CONFIRMED
        and not any(
            other.may_have_changed and other.answered >= one.asked
            for other in those
            if other is not one
        )
    ]


def choose(dice: random.Random) -> Verb:
    """Return a verb at random."""
    return Verb.DROP if dice.random() < DROPS else dice.choice(CHOICES)


async def use(settings: Settings, seed: int, seconds: float, file: int) -> None:
    """Use verbs for as many seconds."""
    dice = random.Random(seed)
    work_ids = sorted(json.loads(sys.stdin.read()))
    numbers = itertools.count()

    def note(*words: Any) -> None:
        os.write(file, (json.dumps(words) + "\n").encode())
        os.fsync(file)

    async with Roost.connect(settings, actor=f"journal-{seed}") as roost:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            number, verb, work_id = next(numbers), choose(dice), dice.choice(work_ids)
            note(number, time.monotonic(), work_id, verb)
            try:
                result = await getattr(roost.work(work_id), verb.value)(reason="chaos")
            except BackendUnavailable:
                continue
            except RoostError as error:
                outcome = type(error).__name__
            else:
                outcome = result.outcome.value
            note(number, time.monotonic(), outcome)


if __name__ == "__main__":
    _, home, url, namespace, seed, seconds, path = sys.argv
    made = Settings(home=Path(home), namespace=namespace, extra={"redis_url": url})
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    asyncio.run(use(made, int(seed), float(seconds), out))
