"""How those are told whom the gate refuses, and who may see that it is Roost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Flask, render_template

from roost_plugins.console.serving.details import TYPE, details
from roost_plugins.console.serving.gate import SIGN_IN, Refusal, Teller, for_program

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: The template of a kind; any other kind has the last one.
_TEMPLATES: Final = {"again": "again.html", "signed-out": "signed_out.html", "": "refused.html"}


def teller(app: Flask, prefix: str) -> Teller:
    """Return what tells them: with a page, JSON, a line of text or a message of a stream.

    :param prefix: the path before each of the console's own, without a slash at the end.
    """

    def tell(environ: WSGIEnvironment, refusal: Refusal) -> tuple[str, str, bytes]:
        accepted = environ.get("HTTP_ACCEPT", "")
        if "text/event-stream" in accepted and refusal.kind == "signed-out":
            # The script cannot see why a stream was refused, so it is told in one.
            return "200 OK", "text/event-stream", b"event: signed-out\ndata: {}\n\n"
        # A link to the API is followed by a browser, too, which has to come back with its cookie.
        if for_program(environ, prefix) and refusal.kind != "again":
            status, _, title = refusal.status.partition(" ")
            return refusal.status, TYPE, details(int(status), title, refusal.text, refusal.kind)
        if "text/html" not in accepted and refusal.kind != "again":
            return refusal.status, "text/plain; charset=utf-8", f"{refusal.text}\n".encode()
        template = _TEMPLATES.get(refusal.kind, _TEMPLATES[""])
        with app.request_context(environ):
            page = render_template(template, refusal=refusal, sign_in=SIGN_IN)
        return refusal.status, "text/html; charset=utf-8", page.encode()

    return tell
