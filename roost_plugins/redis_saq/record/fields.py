"""The one table of what is stored for a work item, besides its bytes.

The scripts that parse and build records are made from it
(:mod:`~roost_plugins.redis_saq.record.lua`), and their answers are read by it.

The order is that of the stored text. Neither it nor the kinds may change: an older and a newer
Roost share a queue. A new field goes to the end of the first line if each step changes it,
otherwise to the end of the third, with ``is_added``: a record by a Roost that does not know it has
no word there, and the field then has its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

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
    VERSION,
    WISH,
    WORD,
    WORDS,
    Kind,
)

if TYPE_CHECKING:
    from roost_core.backend import NewWork

#: The most captures in a Lua pattern.
_MOST_CAPTURES: Final = 32


@attrs.frozen(eq=False, repr=False)
class Field(Value):
    """A field of the record.

    :param name: its name in the scripts: a Lua name of lower-case letters and underscores.
    :param kind: what it may hold.
    :param shown: the attributes of :class:`~roost_core.backend.StoredWork` that it fills;
        empty if it is not shown to people.
    :param claimed: its name in each claim: an attribute of
        :class:`~roost_core.backend.Claim`, or something that the reader makes one from. Empty if
            claims do not have it.
    :param enqueued: the attribute of :class:`~roost_core.backend.NewWork` that it comes from;
        without it, a new record has the kind's default.
    :param accepted: its value after an accepted step: a quoted string, or a Lua variable. Empty if
        a step leaves it alone, or ``advance.lua`` and ``commit.lua`` compute it.
    :param is_added: whether it was added after this layout, so that a record may lack it.
    """

    name: str
    kind: Kind
    shown: tuple[str, ...] = ()
    claimed: str = ""
    enqueued: str = ""
    accepted: str = ""
    is_added: bool = False


class Claimed(NamedTuple):
    """What a claim carries, in order: the token, the strings, then the numbers.

    :param fields: those of the record, followed by when the lease ``expires``.
    :param texts: the names of the strings.
    :param numbers: the names of the numbers.
    :param times: those numbers for which 0 means none.
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
    :param lines: the lines after that, one field each.
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
                raise ValueError(f"{name!r} cannot be a field's name, or is used twice")
        for line in (self.head, self.rest):
            added = [field.is_added for field in line]
            if added != sorted(added):
                raise ValueError("added fields must follow all earlier ones")
        # Including what follows the words of a line, and a place.
        if max(len(self.head) + 1, len(self.rest) + len(self.lines)) + 2 > _MOST_CAPTURES:
            raise ValueError("more fields than one pattern can parse")

    def __iter__(self) -> Iterator[Field]:
        yield from (*self.head, self.label, *self.rest, *self.lines)

    @cached_property
    def shown(self) -> tuple[Field, ...]:
        """The fields shown to people, in the order of a row."""
        return tuple(field for field in self if field.shown)

    @cached_property
    def claimed(self) -> Claimed:
        """What a claim carries."""
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
        """The fields of an enqueue, in the order of its arguments."""
        return tuple(field for field in self if field.enqueued)

    def arguments(self, work: NewWork) -> list[str | int]:
        """Return these fields of a work item to enqueue, in the same order."""
        return [field.kind.write(getattr(work, field.enqueued)) for field in self.enqueued]


RECORD: Final = Table(
    layout=2,
    head=(
        Field("state", STATE, shown=("state",)),
        Field("engine", WORD, shown=("engine",), claimed="engine", enqueued="engine"),
        Field("version", COUNT, shown=("version",), claimed="version"),
        #: The current lease, and the id of the newest commit under it.
        Field("token", WORD),
        Field("last", WORD),
        #: When it last changed, and when its newest step was accepted.
        Field("updated", COUNT, shown=("updated_ms",), accepted="now"),
        Field("committed", TIME, shown=("committed_ms",), claimed="committed_ms", accepted="now"),
        #: How many attempts of the current step have failed.
        Field("attempts", COUNT, shown=("attempts",), claimed="attempts", accepted="'0'"),
        Field("blame", BLAME, shown=("recoveries", "suspicions"), claimed="blame"),
        #: How many steps were accepted in a row, without a delay between them, and how many may be.
        Field("row", COUNT, shown=("steps_in_row",)),
        Field("max_steps", ASKED, shown=("max_steps",), enqueued="max_steps"),
        #: Whether the bytes "<id> error" and "<id> beat" exist.
        Field("has_error", FLAG, accepted="'0'"),
        Field("has_beat", FLAG, accepted="'0'"),
        Field(
            "deadline",
            ASKED_TIME,
            shown=("deadline_ms",),
            claimed="deadline_ms",
            enqueued="deadline_ms",
        ),
        #: What people want of the running step (``lua/lib/acts.lua``).
        Field("wish", WISH, shown=("wish",), is_added=True),
        #: The version that the bytes "<id> snapshot" have, if changes follow it, else 0
        #: (``lua/lib/history.lua``).
        Field("anchor", COUNT, is_added=True),
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
        #: From the request that stored it.
        Field("nonce", WORD, enqueued="nonce"),
        #: When the newest lease began, and at which version.
        Field("since", TIME, shown=("leased_ms",)),
        Field("base", COUNT, shown=("leased_version",)),
        #: How many slots of its trail were written, ever (``lua/lib/trail.lua``).
        Field("entries", COUNT),
        #: The first version that may have an entry (``lua/lib/history.lua``).
        Field("oldest", VERSION, is_added=True),
    ),
    lines=(
        Field("resources", WORDS, enqueued="resources"),
        Field("key", LINE, enqueued="idempotency_key"),
    ),
)
