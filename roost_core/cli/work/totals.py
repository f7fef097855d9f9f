"""What a verb over a query has come to: a few refusals, then the totals."""

from __future__ import annotations

from collections import Counter
from typing import Final

from roost_core.backend.orders import OrderOutcome
from roost_core.cli import output
from roost_core.cli.work import previews
from roost_core.cli.work.carrying_out import outcome_of
from roost_core.client.control import VerbResult
from roost_core.client.preview import Preview
from roost_core.errors import RoostError
from roost_core.models.control import Verb
from roost_core.query.terms import Query
from roost_core.shown.redaction import redacted
from roost_core.shown.verbs import PAST
from roost_core.values import Json

#: At most this many that failed are named.
MOST_NAMED: Final = 10


class Totals:
    """Counts outcomes, and prints them at the end: a line, or a JSON object."""

    def __init__(self, verb: Verb, query: Query, preview: Preview, *, as_json: bool) -> None:
        self._verb, self._query, self._preview = verb, query, preview
        self._as_json = as_json
        self._counts: Counter[OrderOutcome] = Counter()
        self._failures: list[Json] = []
        self._failed = self._left = 0

    @property
    def is_fine(self) -> bool:
        """Whether nothing has failed."""
        return self._failed == 0

    def add(self, work_id: str, result: VerbResult | RoostError) -> str | None:
        """Count what has become of one; return a line about it, if it is worth one."""
        if isinstance(result, RoostError):
            self._failed += 1
            if self._failed > MOST_NAMED:
                return None
            text = str(result)
            failure = {"work_id": work_id, "outcome": outcome_of(result), "error": text}
            self._failures.append(failure)
            return text if work_id in text else f"{work_id}: {text}"
        self._counts[result.outcome] += 1
        if result.left is not None:
            self._left += 1
            if self._left == 1:
                return f"{work_id}: something of it is left for a worker to remove: {result.left}"
        return None

    def so_far(self, begun: int) -> str:
        """Say how far it came when it could not continue.

        :param begun: how many were begun, with those of which nothing is known.
        """
        unsure = begun - self._failed - sum(self._counts.values())
        done = self._counts[OrderOutcome.DONE]
        text = f"{done:,} of {self._preview.total:,} {PAST[self._verb]}"
        if requested := self._counts[OrderOutcome.REQUESTED]:
            text += f", {requested:,} requested"
        if unsure:
            text += f", up to {unsure:,} more may be"
        return f"{text}; the same command again continues with the rest"

    def close(self, stopped: str | None = None) -> None:
        """Print the totals; of what was stopped, only as JSON.

        :param stopped: why it could not continue.
        """
        if self._failed > MOST_NAMED:
            output.note(f"{self._failed - MOST_NAMED:,} more failed")
        if self._left > 1:
            output.note(f"something of {self._left - 1:,} more is left for a worker to remove")
        if self._as_json:
            output.json_line(self.plain(stopped), indent=2)
        elif stopped is None:
            total = self._preview.total
            output.data(previews.totals(self._verb, total, self._counts, self._failed))

    def plain(self, stopped: str | None = None) -> dict[str, Json]:
        """Return the totals as plain JSON.

        :param stopped: why it could not continue.
        """
        outcomes: dict[str, Json] = {
            one.value: self._counts[one]
            for one in (
                OrderOutcome.DONE,
                OrderOutcome.REQUESTED,
                OrderOutcome.ALREADY,
                OrderOutcome.CHANGED,
            )
        }
        return {
            **previews.head(self._verb, self._query, self._preview),
            "outcomes": {**outcomes, "failed": self._failed},
            "failures": redacted(self._failures),
            "stopped": redacted(stopped),
        }
