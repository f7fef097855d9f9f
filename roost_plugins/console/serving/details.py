"""Problems as programs are told: RFC 9457."""

from __future__ import annotations

import json
import re
from typing import Final

from roost_core.wording.redaction import redacted_text

TYPE: Final = "application/problem+json"


def details(status: int, title: str, text: str, code: str, number: str = "") -> bytes:
    """Return a problem as JSON.

    :param code: one word that tells problems apart.
    :param number: what to look for in the log, if it is there.
    """
    found = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": redacted_text(text),
        "code": code,
    }
    return json.dumps({**found, "number": number} if number else found).encode()


def code_of(name: str) -> str:
    """Return the code for the name of an error: ``WorkNotFound`` is ``work-not-found``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return "-".join(words).lower()
