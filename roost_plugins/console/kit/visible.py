"""Texts from strangers, so that a reader sees what is in them. Pure.

Jinja escapes markup; this is about characters that cannot be seen, or that reorder what stands
around them. They are replaced by something visible, and the result is plain text: it is as safe in
an attribute as between tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from markupsafe import Markup, escape

from roost_core.shown.redaction import UNSEEN
from roost_core.wording.redaction import redacted_text

#: The most characters of a text that are shown, unless a template says otherwise.
MOST: Final = 2000
#: What ASCII calls its control characters, in their order.
_NAMES: Final = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI "
    "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
#: In a text of several lines these are what they should be.
_KEPT: Final = "\n\t"
#: A word that begins a message. An id may look like one, too.
_WORD: Final = re.compile(r"[a-z]+(?=[\s,:;]|$)")
#: Since when something is so, as the command line tells it.
_SINCE: Final = re.compile(r"since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\b")


def shown(text: object, most: int = MOST) -> str:
    """Return a text with everything in it visible, cut to ``most`` characters.

    A control character becomes its name (``⟨ESC⟩``), a mark that reorders text or has no width its
    number (``⟨U+202E⟩``). Line ends and tabs stay.
    """
    whole = "" if text is None else str(text)
    # The cut first: of megabytes, only what is shown is looked at.
    found = re.sub(UNSEEN, _visible, whole[:most])
    return found if len(whole) <= most else f"{found}… ({len(whole) - most:,} more characters)"


def masked(text: object) -> str:
    """Return a text from code, such as an error's, with what looks like a secret hidden."""
    return redacted_text("" if text is None else str(text))


def sentence(text: object, *names: str) -> str:
    """Return a message of Roost's as a sentence: it begins with a capital, and has an end.

    :param names: what is written as it is, such as an id, also where the message begins with it.
    """
    found = "" if text is None else str(text).strip()
    first = _WORD.match(found)
    if first is not None and first[0] not in names:
        found = found[0].upper() + found[1:]
    return found if not found or found[-1] in ".!?…" else f"{found}."


def coded(text: str) -> Markup:
    """Return a message of Roost's as HTML: what stands between backticks in it is code.

    For what stands between tags only, never for an attribute.
    """
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def dated(text: str) -> Sequence[str | datetime]:
    """Return a message of Roost's in parts: its words, and the times that it gives in full.

    ``since`` before a time becomes ``for``: pages tell how long ago it was.
    """
    found: list[str | datetime] = []
    end = 0
    for match in _SINCE.finditer(text):
        try:
            at = datetime.fromisoformat(match[1])
        except ValueError:
            continue
        found += [f"{text[end : match.start()]}for ", at]
        end = match.end()
    return [*found, text[end:]]


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _KEPT:
        return match[0]
    return f"⟨{_NAMES.split()[code]}⟩" if code < 0x20 else f"⟨U+{code:04X}⟩"
