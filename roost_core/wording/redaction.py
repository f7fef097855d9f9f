"""What people may see of URLs and texts: the one place that hides passwords in them. Pure.

A URL is often typed by hand, with an unescaped ``/``, ``#``, ``?`` or ``@`` in its password. A
strict parser takes such a password for a path or a port. So nothing here parses URLs by the rules:
whatever could be part of a password, however the URL was meant, is hidden.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from roost_core.wording.secrets import HIDDEN, HIDDEN_NAMES, without_secrets

# Texts, not compiled patterns: `re` keeps what it has compiled, and most commands use none of them.
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*"
#: A URL in a text, without the punctuation after it.
_URL: Final = _SCHEME + r"://[^\s\"'<>]*[^\s\"'<>.,;:!?)]"
#: Servers before the path: names or addresses, each with an optional port, separated by commas.
_NAME: Final = r"[\w.-]+|\[[0-9A-Fa-f:.]*\]"
_HOST: Final = rf"(?:{_NAME})(?::[0-9]{{1,5}})?"
_HOSTS: Final = rf"{_HOST}(?:,{_HOST})*"
#: A name that can be shown next to a hidden password.
_USER: Final = r"[\w.+-]*"
#: After the server these have a number; anything else may be half of a password.
_NUMBERED: Final = ("redis", "rediss")
#: These have a host before the first colon, unless a login precedes it.
_SERVERS: Final = (*_NUMBERED, "redis+sentinel")
#: Options of a server's URL whose values are harmless.
_HARMLESS: Final = (
    r"db|(?:sentinel_)?username|timeout|protocol|client_name|max_connections|health_check_interval|ssl_cert_reqs"
    r"|ssl_ca_certs|ssl_check_hostname|socket_(?:connect_)?timeout"
)
#: Web pages in a text are read by the rules: ``https://h:80/@somebody`` is common.
_WEB: Final = ("http", "https")


def redact(url: str) -> str:
    """Return a URL for people: what is or may be a password is replaced by ``***``.

    It never fails, and shows less the less the text looks like a URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or re.fullmatch(_SCHEME, scheme) is None:
        return HIDDEN if url else ""
    return f"{scheme}://{_place(rest, scheme.lower())}"


def redacted_text(text: str) -> str:
    """Return the text with the passwords in its URLs hidden, and other secrets in it."""
    if "://" in text:
        text = re.sub(_URL, _in_text, text)
    return without_secrets(text)


def without(url: str, text: str) -> str:
    """Return a foreign text about a URL without the URL's secrets.

    :param text: may contain the whole URL or pieces of it, as parser errors do.
    """
    if not url:
        return text
    text = text.replace(url, redact(url))
    shown = redact(url)
    # As it is and as a parser reads it.
    for piece in re.split(r"\W+", f"{url} {unquote(url)}"):
        # Two characters reveal nothing, and would be found in every other word.
        if len(piece) > 2 and piece not in shown:
            text = text.replace(piece, HIDDEN)
    return redacted_text(text)


def _in_text(match: re.Match[str]) -> str:
    scheme, _, rest = match[0].partition("://")
    hosts, tail = _split(rest)
    if scheme.lower() in _WEB and re.fullmatch(_HOSTS, hosts):
        return f"{scheme}://{hosts}{_tail(tail, is_page=True)}"
    return redact(match[0])


def _place(rest: str, scheme: str) -> str:
    """Return what follows ``scheme://``, its secrets hidden."""
    login, at, place = rest.rpartition("@")
    if at and login.startswith("/") and ":" not in login:
        # The path of a socket with an @ in it: nothing before it could be a login.
        login, at, place = "", "", rest
    if at and any(map(_is_secret_name, re.findall(r"[?&;]([^=&;]*)=", login))):
        return HIDDEN  # the @ may belong to a password in the query
    hosts, tail = _split(place)
    is_sound = re.fullmatch(_HOSTS, hosts) if hosts else tail[:1] in ("", "/")
    if scheme in _NUMBERED:
        is_sound = is_sound and re.match(r"/?[0-9]*/?(?:[?#]|$)", tail)
    if not is_sound:
        return _named(rest) if scheme in _SERVERS else HIDDEN
    return _login(login) + at + hosts + _tail(tail, is_page=scheme in _WEB)


def _named(rest: str) -> str:
    """Return what precedes the first colon if that can be shown, and nothing else.

    It is a host whose port is not a number, or a user whose host was forgotten.
    """
    found = None if "@" in rest else re.match(rf"({_NAME}):", rest)
    return HIDDEN if found is None else f"{found[1]}:{HIDDEN}"


def _login(login: str) -> str:
    user, colon, _ = login.partition(":")
    if re.fullmatch(_USER, user) is None:
        return HIDDEN
    return f"{user}:{HIDDEN}" if colon else user


def _split(place: str) -> tuple[str, str]:
    """Return the hosts, and what follows them."""
    found = re.search(r"[/?#]", place)
    return (place, "") if found is None else (place[: found.start()], place[found.start() :])


def _tail(tail: str, *, is_page: bool) -> str:
    """Return path and query, the secrets in the query hidden. A fragment is left out.

    For a server, anything not known to be harmless counts as a secret.
    """
    path, question, query = tail.partition("#")[0].partition("?")
    parts = re.split(r"([&;])", query)
    return path + question + "".join(_parameter(part, is_page) for part in parts)


def _parameter(part: str, is_page: bool) -> str:
    name, equals, _ = part.partition("=")
    is_harmless = is_page or re.fullmatch(_HARMLESS, name) is not None
    is_shown = (equals and is_harmless and not _is_secret_name(name)) or part in ("", "&", ";")
    return part if is_shown else f"{name}={HIDDEN}" if equals else HIDDEN


def _is_secret_name(text: str) -> bool:
    # Names may be spelled with %70 for p, and servers still read them.
    return re.search(HIDDEN_NAMES, unquote(text)) is not None
