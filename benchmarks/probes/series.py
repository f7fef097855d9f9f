"""States over the steps of a long-running agent: what grows, and what else states do.

Each is the same in every process, except for pictures. Messages have about 1 KB.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from benchmarks.probes.states import ROLES, SEED, Prose, State

#: Characters of a message.
_MESSAGE: Final = 980
#: Messages of a state of 1 MB, of a window, and of a state that is replaced.
_MANY: Final = 1_000
_WINDOW: Final = 100
#: Bytes of a blob before base64, and how many of them a step changes: 100 KB and 1 KB of text.
_BLOB: Final = 75_000
_BLOB_CHANGE: Final = 750
#: How large pictures are. Kilobytes of text.
PICTURES: Final = (16, 64, 256, 1024)


class _Messages:
    """Messages, each made when it is first asked for; a state shares those of the one before."""

    def __init__(self) -> None:
        self._prose = Prose(random.Random(SEED))  # noqa: S311 - no secret
        self._made: list[dict[str, Any]] = []

    def between(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return the messages from number ``first`` to before ``last``."""
        while len(self._made) < last:
            role = ROLES[len(self._made) % len(ROLES)]
            self._made.append({"role": role, "content": self._prose.text(_MESSAGE)})
        return self._made[first:last]


class _Talk:
    """Some messages of an endless talk, and what stands around them."""

    def __init__(self) -> None:
        self._messages = _Messages()

    def at(self, n: int) -> dict[str, Any]:
        """Return the state after step ``n``."""
        return {"goal": "find out", "messages": self._shown(n), "n": n}

    def _shown(self, n: int) -> list[dict[str, Any]]:
        raise NotImplementedError


class Growing(_Talk):
    """Each step adds a message."""

    def _shown(self, n: int) -> list[dict[str, Any]]:
        return self._messages.between(0, n)


class Constant(_Talk):
    """One message, another one at each step."""

    def _shown(self, n: int) -> list[dict[str, Any]]:
        return self._messages.between(n - 1, n)


class Edited(_Talk):
    """1 MB of messages; each step replaces one in the middle."""

    def _shown(self, n: int) -> list[dict[str, Any]]:
        shown = self._messages.between(0, _MANY)
        shown[_MANY // 2 : _MANY // 2 + 1] = self._messages.between(_MANY + n, _MANY + n + 1)
        return shown


class Window(_Talk):
    """The newest 100 messages: each step adds one and drops the oldest."""

    def _shown(self, n: int) -> list[dict[str, Any]]:
        return self._messages.between(n, n + _WINDOW)


class Replaced(_Talk):
    """100 messages, all of them new at each step."""

    def _shown(self, n: int) -> list[dict[str, Any]]:
        return self._messages.between(n * _WINDOW, (n + 1) * _WINDOW)


class Blob:
    """100 KB that say nothing, of which each step changes 1 KB somewhere."""

    def __init__(self) -> None:
        self._source = random.Random(SEED)  # noqa: S311 - no secret
        self._made = [self._source.randbytes(_BLOB)]

    def at(self, n: int) -> dict[str, Any]:
        """Return the state after step ``n``."""
        while len(self._made) <= n:
            blob = bytearray(self._made[-1])
            place = self._source.randrange(_BLOB - _BLOB_CHANGE)
            blob[place : place + _BLOB_CHANGE] = self._source.randbytes(_BLOB_CHANGE)
            self._made.append(bytes(blob))
        return {"blob": base64.b64encode(self._made[n]).decode(), "n": n}


class Pictures:
    """The newest four pictures of a size: each step adds one that is like no other."""

    def __init__(self, kilobytes: int) -> None:
        self._bytes = kilobytes * 768
        self._made: dict[int, str] = {}

    def at(self, n: int) -> dict[str, Any]:
        """Return the state after step ``n``."""
        # New each time: a text that is there already would be stored for less.
        self._made[n] = base64.b64encode(os.urandom(self._bytes)).decode()
        return {"pictures": [self._made[one] for one in range(max(1, n - 3), n + 1)], "n": n}


class Small:
    """400 bytes with a counter: what most agents that grow nothing keep."""

    def at(self, n: int) -> dict[str, Any]:
        """Return the state after step ``n``."""
        return {"n": n, "title": "x" * 240, "tags": ["a", "b"], "limits": {"cost": 1.5}}


#: The kinds by their names.
KINDS: Final[dict[str, Callable[[], State]]] = {
    "growing": Growing,
    "constant": Constant,
    "edited": Edited,
    "window": Window,
    "replaced": Replaced,
    "blob": Blob,
    "small": Small,
    **{f"pictures of {size} KB": partial(Pictures, size) for size in PICTURES},
}
