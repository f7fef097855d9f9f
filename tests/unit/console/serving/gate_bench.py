"""A gate in front of an application that counts what reaches it, called as WSGI says."""

from __future__ import annotations

import io
from typing import Any

import attrs

from roost_plugins.console.serving.gate import Gate, Refusal
from roost_plugins.console.serving.place import place
from roost_plugins.console.serving.tokens import Tokens
from roost_plugins.console.settings import Bind, url_of

TOKEN = "a-token-that-nobody-guesses"
HOST = "127.0.0.1:8766"
ORIGIN = f"http://{HOST}"


@attrs.frozen
class Answer:
    """What a request got."""

    status: int
    headers: dict[str, str]
    text: str


@attrs.define(eq=False)
class Door:
    """A gate, and the requests that have come through it."""

    external: str | None = None
    read_only: bool = False
    bind: Bind = attrs.field(factory=lambda: Bind("127.0.0.1", 8766))
    through: list[dict[str, Any]] = attrs.field(factory=list)
    told: list[Refusal] = attrs.field(factory=list)
    tokens: Tokens = attrs.field(init=False)
    gate: Gate = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        where = place(self.bind, url_of(self.external))
        is_secure = where.scheme == "https"
        self.tokens = Tokens(TOKEN, port=where.port, path=f"{where.prefix}/", is_secure=is_secure)
        self.gate = Gate(self._app, where, self.tokens, self.read_only, self._tell)

    @property
    def cookie(self) -> str:
        """What a signed-in browser sends."""
        return self.tokens.set_cookie().partition(";")[0]

    def ask(self, method: str, url: str = "/", *, body: bytes = b"", **headers: str) -> Answer:
        """Send a request; a header's name has ``_`` for ``-``, and an empty one is left out."""
        path, _, query = url.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
        }
        for name, text in {"Host": HOST, **headers}.items():
            if text:
                environ[f"HTTP_{name.upper()}"] = text
        answers: list[tuple[str, list[tuple[str, str]]]] = []
        parts = self.gate(environ, lambda status, headers, *_: answers.append((status, headers)))
        ((status, given),) = answers
        return Answer(int(status[:3]), dict(given), b"".join(parts).decode())

    def signed_in(self, method: str, url: str = "/", **fields: Any) -> Answer:
        """Send a request as a page of the console makes a browser do."""
        return self.ask(method, url, **{"Cookie": self.cookie, "Origin": ORIGIN, **fields})

    def _app(self, environ: Any, start: Any) -> list[bytes]:
        self.through.append(environ)
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"through"]

    def _tell(self, environ: Any, refusal: Refusal) -> tuple[str, str, bytes]:
        self.told.append(refusal)
        return refusal.status, "text/html", refusal.kind.encode()
