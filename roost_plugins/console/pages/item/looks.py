"""Forms that run work again and were looked at: each has an address, so that a browser can go back.

What was typed stays here: an address is kept by browsers, and what is typed may be a secret.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import attrs

from roost_plugins.console.notes import Told
from roost_plugins.console.pages.item.replaying import Form

#: What is kept at a time: this many forms, of together this many characters.
_MOST: Final = 100
_MOST_TYPED: Final = 8 << 20


@attrs.frozen
class Looked:
    """A form, as it was looked at.

    :ivar work_id: the work that it runs again.
    :ivar said: what the reader is told besides.
    :ivar begun: what has come of it, once it has begun.
    """

    work_id: str
    form: Form
    said: Told | None = None
    begun: str = ""

    @property
    def size(self) -> int:
        """How many characters of it were typed."""
        return sum(map(len, attrs.astuple(self.form)))


class Looks:
    """Those that were looked at last, by the requests of their forms."""

    def __init__(self, most: int = _MOST, most_typed: int = _MOST_TYPED) -> None:
        self._most = most
        self._most_typed = most_typed
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Looked] = OrderedDict()

    def put(self, look: Looked) -> str:
        """Keep one; return its key."""
        key = look.form.request
        with self._lock:
            self._known[key] = look
            self._known.move_to_end(key)
            while len(self._known) > 1 and self._is_full():
                self._known.popitem(last=False)
        return key

    def get(self, key: str, work_id: str) -> Looked | None:
        """Return one that belongs to a work item, if it is still known."""
        with self._lock:
            found = self._known.get(key)
        return found if found is not None and found.work_id == work_id else None

    def begun(self, key: str, work_id: str, text: str) -> None:
        """Note what has come of one, if it is still known."""
        found = self.get(key, work_id)
        if found is not None:
            self.put(attrs.evolve(found, said=None, begun=text))

    def _is_full(self) -> bool:
        known = self._known.values()
        return len(known) > self._most or sum(one.size for one in known) > self._most_typed
