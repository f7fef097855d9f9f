"""What a browser is shown instead of a page."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Sequence
from typing import Final

import attrs
from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from roost_core.errors import (
    ArtifactNotFound,
    BackendUnavailable,
    CorruptRecord,
    IdempotencyConflict,
    InvalidInput,
    RoostError,
    VerbUnfit,
    VersionGone,
    WorkIdTaken,
    WorkNotFound,
)
from roost_core.shown.redaction import clean
from roost_core.wording.redaction import redacted_text
from roost_plugins.console.api.errors import KeyBusy, KeyReused, NoPart
from roost_plugins.console.here import here
from roost_plugins.console.serving.details import TYPE, code_of, details

_log = logging.getLogger("roost.console")

#: The first that fits counts.
_STATUS: Final = (
    (WorkNotFound, 404, "Not found"),
    (ArtifactNotFound, 404, "Not found"),
    (VersionGone, 404, "Not found"),
    (InvalidInput, 400, "That cannot be read"),
    (NoPart, 404, "Not found"),
    (VerbUnfit, 409, "Not now"),
    (WorkIdTaken, 409, "That is taken"),
    (IdempotencyConflict, 409, "That is taken"),
    (CorruptRecord, 409, "It does not decode"),
    (KeyBusy, 409, "Not now"),
    (KeyReused, 422, "That is another request"),
    (BackendUnavailable, 503, "The server does not answer"),
    (RoostError, 500, "That did not work"),
)


#: What the web framework finds. Its own words are another program's.
_WORDS: Final = {
    400: ("That cannot be read", "The request is not one that this console understands."),
    404: ("Not found", "This console has no page with this address."),
    405: ("Not this way", "There is something with this address, but it is not asked like this."),
    413: ("That is too large", "The request is larger than the console takes."),
    414: ("That is too large", "The address is longer than the console takes."),
    415: ("That cannot be read", "The request is of a kind that the console does not read here."),
}


@attrs.frozen
class Problem:
    """What went wrong.

    :ivar status: the HTTP status.
    :ivar code: one word for programs.
    :ivar number: what to look for in the log, if it is there.
    """

    status: int
    title: str
    text: str
    code: str
    number: str = ""


def install(app: Flask) -> None:
    """Answer errors with a page, or with JSON under ``/api/``."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RoostError, _expected)
    app.register_error_handler(Exception, _unexpected)


def answer(problem: Problem) -> Response:
    """Return the answer that tells of a problem."""
    if request.path.startswith("/api/"):
        body = details(problem.status, problem.title, problem.text, problem.code, problem.number)
        found = Response(body, content_type=TYPE)
    else:
        found = make_response(
            render_template("problem.html", page="", problem=problem, names=_names())
        )
    found.status_code = problem.status
    if problem.status == 503 or problem.code == "key-busy":
        found.headers["Retry-After"] = "2"
    return found


def _names() -> Sequence[str]:
    """Return the names in the address: a message may begin with one."""
    return [one for one in (request.view_args or {}).values() if isinstance(one, str)]


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    title, text = _WORDS.get(status, ("That did not work", "The console cannot answer this."))
    found = answer(Problem(status, title, text, code_of(error.name)))
    for name, text in error.get_headers():
        if name == "Allow":
            found.headers[name] = text
    return found


def _expected(error: RoostError) -> Response:
    status, title = next((code, title) for kind, code, title in _STATUS if isinstance(error, kind))
    return answer(Problem(status, title, str(error), code_of(type(error).__name__)))


def _unexpected(error: Exception) -> Response:
    number = secrets.token_hex(4)
    found = "".join(traceback.format_exception(error))
    # A terminal may show it: whole lines, without secrets and without what a terminal obeys.
    lines = map(clean, redacted_text(here().settings.without_secrets(found)).splitlines())
    head = f"{number}: {request.method} {clean(request.path)}"
    _log.error("%s\n%s", head, "\n".join(lines))
    text = "This is a fault in Roost or in a plugin. Nothing else is affected."
    return answer(Problem(500, "Something went wrong", text, "fault", number))
