"""Static files: kept by browsers for a year under a URL that changes with their content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

from flask import Flask, Response, request, url_for

_YEAR: Final = "public, max-age=31536000, immutable"


class Assets:
    """The static files of the console."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    @staticmethod
    def folder() -> Path:
        """Return the folder of the files."""
        return Path(__file__).parent.parent / "static"

    def url(self, name: str) -> str:
        """Return the URL of a file, for templates."""
        return url_for("static", filename=name, v=_version(name))

    def cache(self, answer: Response) -> Response:
        """Let browsers keep a file whose URL names its content; others they ask for again."""
        if request.endpoint == "static" and answer.status_code in (200, 304):
            name = (request.view_args or {}).get("filename", "")
            is_named = request.args.get("v") == _version(name)
            answer.headers["Cache-Control"] = _YEAR if is_named else "no-cache"
        return answer


# Strangers can ask for a file in any number of spellings.
@functools.lru_cache(maxsize=256)
def _version(name: str) -> str:
    return hashlib.sha256((Assets.folder() / name).read_bytes()).hexdigest()[:12]
