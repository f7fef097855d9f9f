"""The one table of what is stored of a work item, beside its bytes.

From it the scripts are made that take records apart and put them together
(:mod:`~roost_plugins.redis_saq.record.lua`), and by it their answers are read.

The order is that of the stored text. It stays, and so do the kinds: an older and a newer Roost
share a queue. A new field goes to the end of the first line if each step changes it, and else to
the end of the third, with ``is_added``: a record by a Roost that does not know it has no word
there, and it has its default then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

import attrs

from roost_core.backend import NewWork
from roost_core.values import Value
from roost_plugins.redis_saq.record.kinds import (
    ARRIVAL,
    ASKED,
    ASKED_TIME,
    BLAME,
    COUNT,
    FLAG,
    LINE,
    PRIORITY,
    STATE,
    TIME,
    WORD,
    WORDS,
    Kind,
)

#: A pattern of Lua's captures so much at most.
_MOST_CAPTURES: Final = 32


@attrs.frozen(eq=False, repr=False)
class Field(Value):
    """A field of the record.

    :param name: in the scripts: a name of Lua's, of lower-case letters and underscores.
    :param kind: what may stand in it.
    :param shown: the attributes of :class:`~roost_core.backend.StoredWork` that it fills;
        empty if people are not shown it.
    :param claimed: the name by which each claim brings it: an attribute of
        :class:`~roost_core.backend.Claim`, or something that the reader makes one of. Empty if
        claims do not bring it.
    :param enqueued: the attribute of :class:`~roost_core.backend.NewWork` that it comes from;
        without one a new record has the kind's default.
    :param accepted: what it is after an accepted step: a text in quotes, or a variable of Lua's.
        Empty if a step leaves it alone, or ``advance.lua`` and ``commit.lua`` compute it.
    :param is_added: whether it came later than this layout, so that a record may lack it.
    """

    name: str
    kind: Kind
    shown: tuple[str, ...] = ()
    claimed: str = ""
    enqueued: str = ""
    accepted: str = ""
    is_added: bool = False


class Claimed(NamedTuple):
    """What a claim brings, in its order: behind the token the texts, then the numbers.

    :param fields: those of the record, and behind them comes when the lease ``expires``.
    :param texts: the names of the texts.
    :param numbers: the names of the numbers.
    :param times: those numbers of which 0 is none.
    """

    fields: tuple[Field, ...]
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    times: tuple[str, ...]


class Table:
    """The fields of a layout, in the order in which they are stored.

    :param layout: its number.
    :param head: the words of the first line.
    :param label: the second line.
    :param rest: the words of the third line.
    :param lines: the lines behind that, each one field.
    :raises ValueError: the scripts could not be made from it.
    """

    def __init__(
        self,
        layout: int,
        *,
        head: tuple[Field, ...],
        label: Field,
        rest: tuple[Field, ...],
        lines: tuple[Field, ...],
    ) -> None:
        self.layout = layout
        self.head = head
        self.label = label
        self.rest = rest
        self.lines = lines
        self._check()

    def _check(self) -> None:
        names = [field.name for field in self]
        for name in names:
            if not re.fullmatch("[a-z][a-z_]*", name) or names.count(name) > 1:
                raise ValueError(f"{name!r} cannot be a field's name, or is one twice")
        for line in (self.head, self.rest):
            added = [field.is_added for field in line]
            if added != sorted(added):
                raise ValueError("what is added stands behind all that was there before")
        # With what follows the words of a line, and a place.
        if max(len(self.head) + 1, len(self.rest) + len(self.lines)) + 2 > _MOST_CAPTURES:
            raise ValueError("more fields than one pattern can take apart")

    def __iter__(self) -> Iterator[Field]:
        yield from (*self.head, self.label, *self.rest, *self.lines)

    @cached_property
    def shown(self) -> tuple[Field, ...]:
        """Those that people are shown, in the order of a row."""
        return tuple(field for field in self if field.shown)

    @cached_property
    def claimed(self) -> Claimed:
        """What a claim brings."""
        brought = [field for field in self if field.claimed]
        texts = tuple(field for field in brought if not field.kind.is_number)
        numbers = tuple(field for field in brought if field.kind.is_number)
        return Claimed(
            (*texts, *numbers),
            tuple(field.claimed for field in texts),
            (*(field.claimed for field in numbers), "expires"),
            tuple(field.claimed for field in numbers if field.kind.may_be_none),
        )

    @cached_property
    def enqueued(self) -> tuple[Field, ...]:
        """Those that come with an enqueue, in the order of its arguments."""
        return tuple(field for field in self if field.enqueued)

    def arguments(self, work: NewWork) -> list[str | int]:
        """Return these fields of a work item that is enqueued, in the same order."""
        return [field.kind.write(getattr(work, field.enqueued)) for field in self.enqueued]


RECORD: Final = Table(
    layout=2,
    head=(
        Field("state", STATE, shown=("state",)),
        Field("engine", WORD, shown=("engine",), claimed="engine", enqueued="engine"),
        Field("version", COUNT, shown=("version",), claimed="version"),
        #: Of the lease that is current, and the id of the newest commit under it.
        Field("token", WORD),
        Field("last", WORD),
        #: When anything has changed it, and when its newest step was accepted.
        Field("updated", COUNT, shown=("updated_ms",), accepted="now"),
        Field("committed", TIME, shown=("committed_ms",), claimed="committed_ms", accepted="now"),
        #: How many attempts of the current step have failed.
        Field("attempts", COUNT, shown=("attempts",), claimed="attempts", accepted="'0'"),
        Field("blame", BLAME, shown=("recoveries", "suspicions"), claimed="blame"),
        #: How many steps were accepted in a row, without a delay between them, and how many may be.
        Field("row", COUNT, shown=("steps_in_row",)),
        Field("max_steps", ASKED, shown=("max_steps",), enqueued="max_steps"),
        #: Whether the bytes "<id> error" and "<id> beat" are there.
        Field("has_error", FLAG, accepted="'0'"),
        Field("has_beat", FLAG, accepted="'0'"),
        Field(
            "deadline",
            ASKED_TIME,
            shown=("deadline_ms",),
            claimed="deadline_ms",
            enqueued="deadline_ms",
        ),
    ),
    #: The label of the newest step.
    label=Field("step", LINE, shown=("step",)),
    rest=(
        Field("fence", COUNT, shown=("fence",), claimed="fence"),
        Field("worker", WORD, shown=("worker_id",)),
        Field("priority", PRIORITY, shown=("priority",), enqueued="priority"),
        #: Its place in the order of arrival.
        Field("seq", ARRIVAL),
        Field("created", COUNT, shown=("created_ms",), claimed="created_ms"),
        Field("started", TIME, shown=("started_ms",)),
        #: The resource that it waits for.
        Field("blocked_on", WORD, shown=("blocked_on",)),
        Field("max_attempts", ASKED, shown=("max_attempts",), enqueued="max_attempts"),
        Field("max_recoveries", ASKED, shown=("max_recoveries",), enqueued="max_recoveries"),
        #: Of the request that has stored it.
        Field("nonce", WORD, enqueued="nonce"),
        #: When the newest lease was given, and at which version.
        Field("since", TIME, shown=("leased_ms",)),
        Field("base", COUNT, shown=("leased_version",)),
        #: How many slots of its trail were written, ever (``lua/lib/trail.lua``).
        Field("entries", COUNT),
    ),
    lines=(
        Field("resources", WORDS, enqueued="resources"),
        Field("key", LINE, enqueued="idempotency_key"),
    ),
)
