"""States of agents as they grow, step by step: the same ones in every process."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any, Final, Protocol

from benchmarks.measuring.harness import Clock, Job
from benchmarks.measuring.row import Row
from benchmarks.measuring.working import Engine, serve

#: Where all randomness starts.
SEED: Final = 1
#: The most characters of a message; short histories have shorter ones.
_MESSAGE: Final = 250
#: Words of the vocabulary; the n-th is used n times less often than the first.
_WORDS: Final = 2_000
#: Texts of noise, which take turns.
_TEXTS: Final = 3
ROLES: Final = ("user", "assistant", "tool")


class State(Protocol):
    """What a step stores: JSON of about the wanted size."""

    def at(self, n: int) -> dict[str, Any]:
        """Return the state after step ``n``, counted from 1."""


class Noise:
    """Random base64, new at each step: hardly any of it repeats."""

    def __init__(self, size: int) -> None:
        source = random.Random(SEED)  # noqa: S311 - no secret
        self._texts = [
            base64.b64encode(source.randbytes(size * 3 // 4)).decode() for _ in range(_TEXTS)
        ]

    def at(self, n: int) -> dict[str, Any]:
        """Return the next text."""
        return {"text": self._texts[n % _TEXTS], "n": n}


class Prose:
    """Words that are used as unequally as those of a language."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._vocabulary = ["".join(_syllables(source)) for _ in range(_WORDS)]
        self._weights = [1 / rank for rank in range(1, _WORDS + 1)]

    def text(self, length: int) -> str:
        """Return new text of this many characters."""
        words = self._source.choices(self._vocabulary, self._weights, k=length // 4 + 1)
        return " ".join(words)[:length]


class Chat:
    """A history of messages, to which each step adds one; counters come after it.

    It has the wanted size in the middle of the steps.
    """

    def __init__(self, size: int, steps: int) -> None:
        prose = Prose(random.Random(SEED))  # noqa: S311 - no secret
        length = min(_MESSAGE, size // 10)
        self._messages: list[dict[str, Any]] = []
        left = size
        self._first = -1
        while self._first < 0 or len(self._messages) < self._first + steps:
            words = prose.text(length)
            role = ROLES[len(self._messages) % len(ROLES)]
            self._messages.append({"role": role, "content": words})
            # The message, with its keys and quotes.
            left -= len(words) + len(role) + 26
            if left <= 0 and self._first < 0:
                self._first = max(0, len(self._messages) - steps // 2)

    def at(self, n: int) -> dict[str, Any]:
        """Return the history with ``n`` messages more than it began with."""
        messages = self._messages[: self._first + n]
        return {"goal": "find out", "messages": messages, "tokens": 61 * len(messages), "n": n}


def _syllables(source: random.Random) -> list[str]:
    return [
        source.choice("bdfgklmnprstvz") + source.choice("aeiou")
        for _ in range(source.choice((1, 2, 2, 3, 4)))
    ]


#: The kinds, by the names that jobs and reports use.
KINDS: Final = ("random", "chat")


def state_of(kind: str, size: int, steps: int) -> State:
    """Return states of a kind and a size in bytes, for this many steps."""
    return Chat(size, steps) if kind == "chat" else Noise(size)


async def _store(job: Job, clock: Clock) -> None:
    """Store states of a kind, chained."""
    state = state_of(job.extra["kind"], job.size, job.steps)
    await serve(job, clock, Engine(job, None, state.at), 50)


STATE = Row("state", "large state", lambda job, clock: asyncio.run(_store(job, clock)), "", 1)
