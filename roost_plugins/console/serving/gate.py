"""What every request has to pass before the application sees it: all of it in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote_plus

import attrs

from roost_plugins.console.serving.headers import with_usual
from roost_plugins.console.serving.place import Place
from roost_plugins.console.serving.tokens import Tokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READING: Final = ("GET", "HEAD")
_METHODS: Final = (*_READING, "POST")
#: Anybody may see them: they tell nothing about the work.
_FILES: Final = "/static/"
#: Where the form of the page for those who are not signed in goes.
SIGN_IN: Final = "/sign-in"
#: The largest body of that form. Bytes.
_FORM: Final = 4096
#: The parameter of a URL that has a token.
_TOKEN: Final = "token"  # noqa: S105 - its name
#: The parameter of a URL that a page of ours has led to, because it was reached from elsewhere.
_AGAIN: Final = "again"

Header = tuple[str, str]


@attrs.frozen
class Refusal:
    """Why a request is refused.

    :ivar kind: one word for programs.
    :ivar is_shown: whether it may be shown as a page: the request was meant for this console.
    :ivar leads_to: the URL that the page loads by itself.
    """

    status: str
    kind: str
    text: str
    headers: tuple[Header, ...] = ()
    is_shown: bool = True
    leads_to: str = ""


#: Makes the status, the type and the body of what a refused browser or program is told.
Teller = Callable[["WSGIEnvironment", Refusal], tuple[str, str, bytes]]


@attrs.define(eq=False)
class Gate:
    """A WSGI application around another one, which gets only requests that are allowed.

    :param tell: how refusals are told.
    """

    app: WSGIApplication
    place: Place
    tokens: Tokens
    read_only: bool
    tell: Teller

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""

        def with_headers(status: str, headers: list[Header], *more: Any) -> Any:
            return start(status, with_usual(headers), *more)

        refusal = self._not_for_us(environ) or self._foreign(environ) or self._stranger(environ)
        if refusal is None and self.read_only and environ["REQUEST_METHOD"] not in _READING:
            refusal = _READ_ONLY
        if refusal is None:
            return self.app(environ, with_headers)
        status, kind, body = self._told(environ, refusal)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *refusal.headers]
        with_headers(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _told(self, environ: WSGIEnvironment, refusal: Refusal) -> tuple[str, str, bytes]:
        # A program is always told in its own way, unless it is sent elsewhere.
        is_for_program = for_program(environ, self.place.prefix)
        if refusal.is_shown or (is_for_program and refusal.kind != "moved"):
            return self.tell(environ, refusal)
        return refusal.status, "text/plain; charset=utf-8", f"{refusal.text}\n".encode()

    def _not_for_us(self, environ: WSGIEnvironment) -> Refusal | None:
        """Refuse what was sent to another name, or in a way that no client of ours uses."""
        host = environ.get("HTTP_HOST", "")
        if not host:
            return _plain("400 Bad Request", "no-host", "the request has no header Host")
        if not self.place.has_host(host):
            # A page of somebody else, who gave this address a name, need not learn where this is.
            where = self.place.url if _is_bare(host) else "the URL that `roost ui` has printed"
            text = f"this console is at {where}, and answers to no other name"
            return _plain("403 Forbidden", "foreign-host", text)
        path = environ.get("PATH_INFO", "")
        if not _is_plain(path):
            return _plain("400 Bad Request", "bad-path", "there is no such path")
        prefix = self.place.prefix
        if prefix:
            if path == prefix:
                query = environ.get("QUERY_STRING", "")
                url = f"{self.place.url}?{query}" if query else self.place.url
                return _plain("308 Permanent Redirect", "moved", url, (("Location", url),))
            if not path.startswith(f"{prefix}/"):
                text = f"this console is at {self.place.url}; a proxy must not change the path"
                return _plain("404 Not Found", "foreign-path", text)
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path[len(prefix) :]
        environ["wsgi.url_scheme"] = self.place.scheme
        if environ["REQUEST_METHOD"] not in _METHODS:
            allow = (("Allow", ", ".join(_METHODS)),)
            return _plain("405 Method Not Allowed", "method", "GET, HEAD or POST only", allow)
        return None

    def _foreign(self, environ: WSGIEnvironment) -> Refusal | None:
        """Refuse what pages of others make a browser send."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin != self.place.origin(environ["HTTP_HOST"]):
            return _plain("403 Forbidden", "foreign-origin", "a page of another site sent this")
        site = environ.get("HTTP_SEC_FETCH_SITE", "none")
        if site in ("same-origin", "none"):
            return None
        # Following a link from elsewhere is fine; another program on this machine is "same-site".
        is_link = (
            environ["REQUEST_METHOD"] in _READING
            and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
            and environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
        )
        if is_link:
            return None
        return _plain("403 Forbidden", "foreign-origin", "a page of another site sent this")

    def _stranger(self, environ: WSGIEnvironment) -> Refusal | None:
        """Refuse those who are not signed in; sign in those who have the token."""
        is_reading = environ["REQUEST_METHOD"] in _READING
        path = environ["PATH_INFO"]
        if is_reading and path.startswith(_FILES):
            return None
        scheme, _, bearer = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer":
            return None if self.tokens.is_token(_text(bearer.strip())) else _WRONG_TOKEN
        asked = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        if is_reading and _TOKEN in asked:
            return self._by_link(environ, asked[_TOKEN])
        has_origin = "HTTP_ORIGIN" in environ  # and it is ours
        if not is_reading and path == SIGN_IN:
            return self._by_form(environ) if has_origin else _NO_ORIGIN
        is_signed_in = self.tokens.is_signed_in(_text(environ.get("HTTP_COOKIE", "")))
        if is_signed_in:
            if is_reading and _AGAIN in asked:
                return self._moved(_url(environ, without=_AGAIN), environ)
            return None if is_reading or has_origin else _NO_ORIGIN
        is_from_elsewhere = environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
        if is_reading and is_from_elsewhere and _AGAIN not in asked:
            # The browser keeps the cookie back for a link from elsewhere, but not for a page of
            # ours that leads to the same place: once.
            url = self._full(_url(environ), environ)
            more = "&" if "?" in url else "?"
            return Refusal("200 OK", _AGAIN, "One moment.", leads_to=f"{url}{more}{_AGAIN}=1")
        return _NOT_SIGNED_IN if is_signed_in is None else _SIGNED_OUT

    def _by_link(self, environ: WSGIEnvironment, token: str) -> Refusal:
        """Take the token out of the URL, and give a cookie for it."""
        is_signed_in = self.tokens.is_signed_in(_text(environ.get("HTTP_COOKIE", "")))
        # Browsers may look first; only opening it counts.
        is_opened = environ["REQUEST_METHOD"] == "GET"
        if not (
            is_signed_in or self.tokens.is_token(token) or (is_opened and self.tokens.spend(token))
        ):
            return _OLD_LINK
        return self._moved(_url(environ, without=_TOKEN), environ, self.tokens.set_cookie())

    def _by_form(self, environ: WSGIEnvironment) -> Refusal:
        """Take the token out of a form, and give a cookie for it."""
        length = environ.get("CONTENT_LENGTH") or "0"
        size = int(length) if length.isdecimal() else 0
        body = environ["wsgi.input"].read(size) if size <= _FORM else b""
        fields = dict(parse_qsl(body.decode("latin-1")))
        if not self.tokens.is_token(fields.get(_TOKEN, "").strip()):
            return _OLD_LINK
        return self._moved("/", environ, self.tokens.set_cookie())

    def _full(self, path: str, environ: WSGIEnvironment) -> str:
        """Return the whole URL: without the host, one that begins with two slashes leads away."""
        return f"{self.place.origin(environ['HTTP_HOST'])}{self.place.prefix}{path}"

    def _moved(self, path: str, environ: WSGIEnvironment, cookie: str = "") -> Refusal:
        headers = [("Location", self._full(path, environ))]
        if cookie:
            headers.append(("Set-Cookie", cookie))
        return _plain("303 See Other", "moved", "this way", tuple(headers))


def for_program(environ: WSGIEnvironment, prefix: str) -> bool:
    """Return whether a request is for the API, also before the prefix was taken off its path."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path.startswith(f"{prefix}/api/")


def _url(environ: WSGIEnvironment, without: str = "") -> str:
    """Return the path and the query of a request, as they were sent, without a parameter."""
    path = quote(environ["PATH_INFO"].encode("latin-1"))
    parts = environ.get("QUERY_STRING", "").split("&")
    kept = [part for part in parts if part and unquote_plus(part.partition("=")[0]) != without]
    query = quote("&".join(kept).encode("latin-1"), safe="!$&'()*+,-./:;=?@_~%")
    return f"{path}?{query}" if query else path


def _is_bare(host: str) -> bool:
    """Return whether a host is an address, or this machine's own name, which nobody can give."""
    return re.fullmatch(r"(localhost|[0-9.]+|\[[0-9a-f:.]+\])(:[0-9]+)?", host) is not None


def _text(value: str) -> str:
    """Return a header's value as the text that was sent, if it was UTF-8."""
    return value.encode("latin-1").decode("utf-8", "surrogateescape")


def _is_plain(path: str) -> bool:
    """Return whether a path has nothing in it that some code may take for something else."""
    is_odd = any(one < " " or one in "\\\x7f" for one in path)
    leads_away = any(part in (".", "..") for part in path.split("/"))
    return path.startswith("/") and not is_odd and not leads_away


def _plain(status: str, kind: str, text: str, headers: tuple[Header, ...] = ()) -> Refusal:
    return Refusal(status, kind, text, headers, is_shown=False)


_ASK: Final = (("WWW-Authenticate", "Bearer"),)
_HOW: Final = "open the URL that `roost ui` has printed in its terminal, or start it again"
_NOT_SIGNED_IN: Final = Refusal("401 Unauthorized", "signed-out", f"Not signed in: {_HOW}.", _ASK)
_SIGNED_OUT: Final = Refusal(
    "401 Unauthorized",
    "signed-out",
    f"Your sign-in has ended, because the console was started again: {_HOW}.",
    _ASK,
)
_OLD_LINK: Final = Refusal(
    "401 Unauthorized",
    "signed-out",
    f"This token is not, or no longer, the console's: {_HOW}.",
    _ASK,
)
_WRONG_TOKEN: Final = Refusal(
    "401 Unauthorized", "wrong-token", "The token in the header Authorization is wrong.", _ASK
)
_NO_ORIGIN: Final = Refusal(
    "403 Forbidden",
    "no-origin",
    "A change needs the header Origin, which browsers send, or a Bearer token.",
)
_READ_ONLY: Final = Refusal(
    "403 Forbidden",
    "read-only",
    "This console is read-only: it was started with --read-only or ROOST_CONSOLE_READ_ONLY.",
)
