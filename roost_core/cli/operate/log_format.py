"""How a worker writes its log: a line of text for each record, or a line of JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

from roost_core.shown.redaction import clean

#: What every record has; anything else is what the one who logged it wants to tell.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """One line a record, safe for a terminal; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        lines = super().format(record).split("\n")
        return "\n".join(clean(one) for one in lines)


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: ``time``, ``level``, ``logger``, ``message``, and its fields.

    A traceback is in ``exception``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            name: value
            for name, value in vars(record).items()
            if name not in _USUAL and isinstance(value, str | int | float | bool | None)
        }
        plain = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
            **{name: clean(one) if isinstance(one, str) else one for name, one in fields.items()},
        }
        if record.exc_info:
            lines = self.formatException(record.exc_info).split("\n")
            plain["exception"] = "\n".join(clean(one) for one in lines)
        return json.dumps(plain)


def said_as_json(text: str) -> str:
    """Return a line that no record is about, such as one of a stop, as JSON."""
    now = datetime.now(UTC).timestamp()
    return json.dumps(
        {"time": _time(now), "level": "info", "logger": "roost", "message": clean(text)}
    )


def _time(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
