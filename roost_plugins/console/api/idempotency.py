"""``Idempotency-Key``: the same request sent again gets the same answer, and counts once.

A console remembers the answers of its last thousand keys. What outlives it is the server's: each
order and each enqueued work item has an id that is made from the key and the request, and the
server knows those of the last eight acts on a work item or an engine, and the keys of all work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.models import WORD, Json
from roost_plugins.console.api.errors import KeyBusy, KeyReused

#: This many answers are remembered, of this many bytes together.
MOST: Final = 1000
MOST_BYTES: Final = 8 << 20

#: Status, body and headers.
Kept = tuple[int, bytes, dict[str, str]]


@attrs.define(eq=False)
class Ticket:
    """One request that changes something.

    :ivar key: what its sender calls it, or None.
    :ivar request_id: an id for the order that it becomes: the same if it is sent again.
    :ivar answer: what it was answered before, or None.
    """

    key: str | None
    request_id: str
    answer: Kept | None = None
    kept: Kept | None = None

    def keep(self, answer: Kept) -> None:
        """Let the same request get this answer from now on."""
        self.kept = answer


@attrs.frozen
class _Known:
    digest: str
    answer: Kept | None  # None while it is under way


class Keys:
    """The answers of a console, by key."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._bytes = 0

    @contextlib.contextmanager
    def ticket(self, key: str | None, what: Json) -> Iterator[Ticket]:
        """Let a request be carried out, unless it was before.

        What raises has not happened, or may have: with the same key it is tried again, and an order
        that was carried out is not carried out twice.

        :param what: all that makes the request another one.
        :raises InvalidInput: that is no key.
        :raises KeyReused: the key was another request's.
        :raises KeyBusy: the same request is still under way.
        """
        if key is None:
            yield Ticket(None, secrets.token_hex(8))
            return
        if WORD.fullmatch(key) is None:
            raise InvalidInput("Idempotency-Key: expected 1 to 200 visible ASCII characters")
        digest = hashlib.sha256(json.dumps([key, what], sort_keys=True).encode()).hexdigest()
        ticket = Ticket(key, f"key-{digest[:32]}", self._begin(key, digest))
        if ticket.answer is not None:
            yield ticket
            return
        try:
            yield ticket
        finally:
            self._end(key, digest, ticket.kept)

    def _begin(self, key: str, digest: str) -> Kept | None:
        with self._lock:
            known = self._known.get(key)
            if known is None:
                self._known[key] = _Known(digest, None)
                return None
            if known.digest != digest:
                raise KeyReused("this Idempotency-Key was used for another request: take a new one")
            if known.answer is None:
                raise KeyBusy("the first request with this Idempotency-Key is still under way")
            self._known.move_to_end(key)
            return known.answer

    def _end(self, key: str, digest: str, answer: Kept | None) -> None:
        with self._lock:
            if answer is None:
                del self._known[key]
                return
            self._known[key] = _Known(digest, answer)
            self._known.move_to_end(key)
            self._bytes += len(answer[1])
            while len(self._known) > self._most or self._bytes > self._most_bytes:
                if not self._forget():
                    return

    def _forget(self) -> bool:
        """Forget the oldest answer; what is under way stays."""
        for key, one in self._known.items():
            if one.answer is not None:
                del self._known[key]
                self._bytes -= len(one.answer[1])
                return True
        return False
