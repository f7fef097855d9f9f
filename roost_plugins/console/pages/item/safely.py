"""Bytes of strangers, sent so that no browser runs them."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote

from flask import Response

from roost_core.models import Json

#: Whatever a browser takes it for: nothing runs, nothing is loaded, and it has no origin.
_SANDBOX: Final = "default-src 'none'; sandbox"
TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
#: Pictures without scripts, by how their bytes begin.
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def as_file(data: bytes, name: str) -> Response:
    """Return bytes as a file that a browser saves."""
    return _safe(data, BYTES, f"attachment; filename*=UTF-8''{quote(name, safe='')}")


def as_picture(data: bytes, kind: str) -> Response:
    """Return a picture for a page of the console; opened by itself, it is saved."""
    return _safe(data, kind, "attachment")


def as_json(value: Json) -> Response:
    """Return JSON to be looked at."""
    text = json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "replace")
    return _safe(text, TEXT, "inline")


def picture_kind(data: bytes) -> str | None:
    """Return what kind of picture bytes are, by themselves; None if they are none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _PICTURES if data.startswith(begin)), None)


def _safe(data: bytes, kind: str, disposition: str) -> Response:
    answer = Response(data, content_type=kind)
    answer.headers["Content-Disposition"] = disposition
    answer.headers["Content-Security-Policy"] = _SANDBOX
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
