"""What a field of a record may hold, for the scripts and for code that reads and enqueues.

All values are strings there. ``-`` means no text, ``0`` no number or no, ``1`` yes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from roost_core.models import State
from roost_core.values import Value
from roost_plugins.redis_saq.record.blame import Blame

if TYPE_CHECKING:
    from roost_core.models import Verb

#: No time or count is beyond this: the year 9999, in milliseconds.
FAR: Final = 253_402_300_799_999
#: The server's own numbers have at most this many digits.
_DIGITS: Final = 15
#: Numbers chosen by a person: earlier releases accepted absurd ones.
_ASKED_DIGITS: Final = 19

#: Stands for an engine or an id that cannot be read.
UNKNOWN: Final = "?"

STATES: Final[Mapping[bytes, State]] = {state.value.encode(): state for state in State}


def _state(word: bytes) -> State:
    """Read a state.

    :raises ValueError: there is no such state.
    """
    state = STATES.get(word)
    if state is None:
        raise ValueError(f"not a state: {word!r:.50}")
    return state


def _number(raw: bytes) -> int:
    if len(raw) > _DIGITS or (number := int(raw)) > FAR:
        raise ValueError("a number that is too large")
    return number


def _asked(raw: bytes) -> int:
    """Read a number chosen by a person: capped, where the server's own would be broken."""
    if len(raw) > _ASKED_DIGITS:
        raise ValueError("a number that is too large")
    return min(int(raw), FAR)


def _text(raw: bytes) -> str | None:
    return None if raw in (b"", b"-") else raw.decode(errors="replace")


def _wish(raw: bytes) -> Verb | None:
    """Read what a running step is asked for; a word that is not for people is none."""
    if raw not in (b"cancel", b"pause", b"bury"):
        return None
    from roost_core.models import Verb

    return Verb(raw.decode())


@attrs.frozen(eq=False, repr=False)
class Kind(Value):
    """What a field may hold.

    ``pattern`` is its Lua pattern, and ``sound`` what else must be true of it, with ``{}`` as its
    name. A new record has ``default``. ``read`` converts the stored bytes to what people and
    programs are shown, or raises ValueError; ``write`` converts an enqueued value to an argument of
    the script. For a number that ``may_be_none``, 0 means none.
    """

    pattern: str
    default: str
    sound: str | None = None
    read: Callable[[bytes], Any] = _text
    write: Callable[[Any], str | int] = str
    is_number: bool = False
    may_be_none: bool = False

    @property
    def pattern_if_there(self) -> str:
        """The pattern of a field that may be missing, and is then empty."""
        many = self.pattern.removesuffix("+")
        return f"{many}?" if many == self.pattern else f"{many}*"


def _digits(most: int, pattern: str = "%d+") -> Kind:
    return Kind(pattern, "0", f"#{{}} <= {most}", _number, int, is_number=True)


#: The work's state. The two most frequent ones need no check of the others.
STATE: Final = Kind(
    "%l[%l_]*", "queued", "({0} == 'running' or {0} == 'queued' or is_state({0}))", _state
)
#: Visible ASCII characters without spaces, or "-": an id, a name.
WORD: Final = Kind("[!-~]+", "-", write=lambda value: "-" if value is None else str(value))
#: What people want of a running step: words that are not for them to see are None.
WISH: Final = attrs.evolve(WORD, read=_wish)
#: The server's own number, or a time that is always known: milliseconds of its clock.
COUNT: Final = _digits(_DIGITS)
#: A time that may not exist yet: "0" is None.
TIME: Final = attrs.evolve(COUNT, read=lambda raw: _number(raw) or None, may_be_none=True)
#: A number chosen by a person.
ASKED: Final = attrs.evolve(COUNT, read=_asked)
#: A time chosen by a person, or "0" for None.
ASKED_TIME: Final = attrs.evolve(
    COUNT,
    read=lambda raw: _asked(raw) or None,
    write=lambda value: 0 if value is None else max(1, value),
    may_be_none=True,
)
#: From -999 to 999.
PRIORITY: Final = _digits(5, "%-?%d+")
#: A place in the order of arrival: it is shown with fourteen digits in ``ready``.
ARRIVAL: Final = _digits(14)
#: Yes or no.
FLAG: Final = Kind("[01]", "0", write=int, is_number=True)
#: Its blame, as ``lua/lib/blame.lua`` describes it: several values in one word.
BLAME: Final = Kind("[!-~]+", "-", "({0} == '-' or is_blame({0}))", Blame.of)
#: "v" and a version, or "-" for none. It is no number alone, so that it is noticed if a word in
#: front of it is lost: those behind would stand for others.
VERSION: Final = Kind("[!-~]+", "-", "({0} == '-' or (#{0} <= 16 and string.find({0}, '^v%d+$')))")
#: A line of text.
LINE: Final = Kind("[^\\n]*", "", write=lambda value: value or "")
#: A line of words in their order.
WORDS: Final = Kind("[ -~]*", "", write=lambda value: " ".join(sorted(value)))
