"""From a request to an answer: what all routes have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, cast

import attrs
from flask import Response, current_app, request
from werkzeug.exceptions import UnsupportedMediaType

from roost_core.codec.strict_json import loads
from roost_core.errors import CodecError, InvalidInput
from roost_core.models import Json
from roost_plugins.console.api.encoding import encoded
from roost_plugins.console.api.idempotency import Keys, Ticket
from roost_plugins.console.api.kinds import read_body, read_query

_KEYS: Final = "roost_api_keys"
_JSON: Final = "application/json"


@attrs.frozen(eq=False)
class Answering:
    """A view of Flask's around a function that returns an answer."""

    view: Callable[..., Any]
    query: type[Any] | None
    body: type[Any] | None
    status: int
    changes: bool
    needs_body: bool

    @property
    def __name__(self) -> str:
        return self.view.__name__

    def __call__(self, **path: str) -> Response:
        """Answer the request."""
        asked = request.args.to_dict(flat=False)
        given: dict[str, Any] = dict(path)
        if self.query is not None:
            given["asked"] = read_query(self.query, asked)
        elif asked:
            raise InvalidInput(f"there is no {next(iter(asked))!r:.80} here")
        if not self.changes:
            return self._answered(self.view(**given))
        body = _body(self.needs_body)
        if self.body is not None:
            given["said"] = read_body(self.body, body)
        elif body:
            raise InvalidInput("nothing is expected in the body")
        key = request.headers.get("Idempotency-Key")
        with keys().ticket(key, [request.method, request.path, asked, body]) as ticket:
            if ticket.answer is None:
                found = self._answered(self.view(**given, ticket=ticket))
                ticket.keep((found.status_code, found.get_data(), dict(found.headers)))
                return found
            return _again(ticket)

    def _answered(self, found: Any) -> Response:
        return found if isinstance(found, Response) else answer(found, self.status)


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Return an answer in JSON."""
    text = json.dumps(encoded(value), allow_nan=False)
    found = Response(f"{text}\n", status, content_type=_JSON)
    for name, text in headers.items():
        found.headers[name] = text
    return found


def keys() -> Keys:
    """Return the answers that this console has given, by key."""
    return cast("Keys", current_app.extensions[_KEYS])


def put_keys(extensions: dict[str, Any]) -> None:
    """Let an application keep its answers."""
    extensions[_KEYS] = Keys()


def _again(ticket: Ticket) -> Response:
    assert ticket.answer is not None
    status, data, headers = ticket.answer
    found = Response(data, status)
    found.headers.update(headers)
    found.headers["Idempotency-Replayed"] = "true"
    return found


def _body(needs_body: bool) -> Json:
    data = request.get_data()
    if not data and not needs_body:
        return {}
    if request.mimetype != _JSON:
        raise UnsupportedMediaType(f"a body has the type {_JSON}")
    try:
        return loads(data, "the body", current_app.config["MAX_CONTENT_LENGTH"])
    except CodecError as error:
        raise InvalidInput(str(error)) from None
