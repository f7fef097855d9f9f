"""How those are told whose request the web server could not read: it never met the gate."""

from __future__ import annotations

from typing import Any, Final

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from roost_plugins.console.serving.details import TYPE, details
from roost_plugins.console.serving.headers import with_usual

#: Code and words for each status; any other is as the last one.
_WORDS: Final = {
    413: ("too-large", "the body is too large: at most {body} MiB"),
    431: ("head-too-large", "the head of the request is too large: at most {head} KiB"),
    501: ("unknown-encoding", "this transfer encoding is not known: chunked, or none"),
    500: ("fault", "This is a fault in Roost or in a plugin. Nothing else is affected."),
    400: ("bad-request", "the request is not valid HTTP"),
}


def channel(prefix: str, max_head: int, max_body: int) -> type[HTTPChannel]:
    """Return the class of connections that answer so.

    :param prefix: the path before each of the console's own, without a slash at the end.
    :param max_head: bytes; so is ``max_body``.
    """

    class Unread(ErrorTask):  # type: ignore[misc]  # waitress ships no types
        def execute(self) -> None:
            error = self.request.error
            code, text = _WORDS.get(error.code, _WORDS[400])
            text = text.format(body=max_body >> 20, head=max_head >> 10)
            if _path(self.request).startswith(f"{prefix}/api/"):
                kind, body = TYPE, details(error.code, error.reason, text, code)
            else:
                kind, body = "text/plain; charset=utf-8", f"{text}\n".encode()
            self.status = f"{error.code} {error.reason}"
            self.response_headers.extend(with_usual([("Content-Type", kind)]))
            self.set_close_on_finish()
            self.content_length = len(body)
            self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)

    class Channel(HTTPChannel):  # type: ignore[misc]  # as above
        error_task_class = Unread

    return Channel


def _path(request: Any) -> str:
    """Return what a request asked for, as far as its first line could be read."""
    # Of a head that is too large the web server keeps what came before, and makes up a line.
    is_cut = request.error.code == 431
    line: bytes = request.header_plus if is_cut else getattr(request, "first_line", b"")
    words = line.lstrip().partition(b"\r\n")[0].split(b" ")
    return words[1].decode("latin-1") if len(words) > 1 else ""
