"""What people may see of texts and JSON: no secrets, and nothing that a terminal obeys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from roost_core.values import Json
from roost_core.wording.redaction import redacted_text
from roost_core.wording.secrets import HIDDEN, is_secret

# Texts, not compiled patterns: `re` keeps what it has compiled, and most commands use none of them.
#: Terminal commands: CSI sequences, and OSC and similar strings up to their end.
_ESCAPES: Final = r"(?s)\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]"
#: Control characters, marks that reorder text, and lone surrogates: what a reader cannot see.
UNSEEN: Final = (
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: object) -> str:
    """Return a text that is safe to print on a terminal, on one line.

    Terminal commands, control characters and marks that reorder text are removed; line ends and
    tabs become spaces; passwords in URLs are hidden, and other secrets that the text names.
    """
    return redacted_text(harmless(text))


def harmless(text: object) -> str:
    """Return a text that is safe to print on a terminal, on one line, with its secrets."""
    return re.sub(UNSEEN, _spaced, re.sub(_ESCAPES, "", str(text)))


def _spaced(match: re.Match[str]) -> str:
    return " " if match[0] in "\t\n\r\x0b\x0c\u2028\u2029" else ""


def redacted(value: Json) -> Json:
    """Return JSON with the values of fields named like secrets hidden, and secrets in its texts."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if is_secret(key, child) else redacted(child)
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(child) for child in value]
    return value
