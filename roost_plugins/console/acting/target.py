"""What a verb is to be used on, as a URL says it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

import attrs

from roost_core.errors import InvalidInput
from roost_core.models import WORK_ID, Verb
from roost_core.models.checks import in_words
from roost_core.query import Query, parse

#: How many work items can be selected one by one.
MOST_IDS: Final = 500


@attrs.frozen
class Target:
    """A verb, and what it is for: a query, or ids.

    :ivar text: the query as it was typed; empty if there are ids.
    """

    verb: Verb
    text: str
    ids: tuple[str, ...]
    query: Query | None = None

    @classmethod
    def of(cls, verb: Verb, text: str, ids: Sequence[str]) -> Target:
        """Read it.

        :raises InvalidInput: there is neither, or both, or one that cannot be read.
        """
        if ids and text:
            raise InvalidInput("a query or ids, not both")
        if not ids and not text.strip():
            raise InvalidInput(
                "nothing is selected: select rows, or give a query; older:0s means all work"
            )
        if not ids:
            query = parse(text)
            return cls(verb, text.strip(), (), query)
        if len(ids) > MOST_IDS:
            raise InvalidInput(f"{len(ids):,} are selected, {MOST_IDS} are the most: use a query")
        for one in ids:
            if WORK_ID.fullmatch(one) is None:
                raise InvalidInput(f"{one!r:.60} is no work id: {in_words(WORK_ID)}")
        return cls(verb, "", tuple(dict.fromkeys(ids)))

    @property
    def command(self) -> str:
        """What to type for the same."""
        if self.query is None:
            return f"roost {self.verb} {shlex.join(self.ids)}"
        return f"roost {self.verb} {typed(self.query, is_verb=True)}"


def typed(query: Query, *, is_verb: bool = False) -> str:
    """Return a query as it is typed in a shell: each of its terms as an argument of its own.

    :param is_verb: for a verb, which takes words without a colon for ids.
    """
    terms = [str(term) for term in query.terms]
    if is_verb and not any(":" in term for term in terms):
        return shlex.join(["--query", " ".join(terms)])
    return shlex.join(terms)
