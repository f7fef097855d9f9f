"""By what work items are counted apart."""

from __future__ import annotations

from typing import Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.models.checks import LABEL_KEY, in_words
from roost_core.query.matching import Subject
from roost_core.values import Value
from roost_core.wording.suggestions import did_you_mean

_WHAT: Final = ("state", "engine", "error", "label")


@attrs.frozen(eq=False, repr=False)
class By(Value):
    """What work items that are counted together have in common. ``str()`` writes it.

    ``what`` is ``state``, ``engine``, ``error`` (the fingerprint) or ``label``, which has a
    ``key``.
    """

    what: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.what}:{self.key}" if self.key else self.what

    @classmethod
    def parse(cls, text: str) -> By:
        """Read ``state``, ``engine``, ``error`` or ``label:KEY``.

        :raises InvalidInput: it is none of them.
        """
        what, colon, key = text.partition(":")
        if what not in _WHAT or (colon and what != "label"):
            hint = did_you_mean(text, _WHAT) or "; there are state, engine, error and label:KEY"
            raise InvalidInput(f"cannot count by {text!r:.80}{hint}")
        if what == "label" and LABEL_KEY.fullmatch(key) is None:
            raise InvalidInput(
                f"count by label:KEY, as in label:team; a key is {in_words(LABEL_KEY)}"
            )
        return cls(what, key)

    def of(self, subject: Subject) -> str | None:
        """Return the group of a work item; None if it has no such thing."""
        if self.what == "state":
            return str(subject.state)
        if self.what == "engine":
            return subject.engine
        if self.what == "label":
            return subject.labels.get(self.key)
        error = subject.error()
        return None if error is None else error[1]
