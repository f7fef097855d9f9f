"""Signing in: a token in a URL or a header, and the cookie that a browser gets for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Final

#: Bytes of a token that is made here.
_RANDOM_BYTES: Final = 24
#: How long a token that signs in once can be used. Seconds.
ONCE_SECONDS: Final = 60.0


def new_token() -> str:
    """Return a random token."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


class Tokens:
    """Knows who is signed in.

    :param token: what signs in.
    :param port: the port that the console listens on. Browsers send cookies to every port of a
        host, so its name has it: two consoles on one machine do not sign each other out.
    :param path: where the console's pages begin; ends with a slash.
    :param is_secure: whether browsers use https.
    """

    def __init__(self, token: str, *, port: int, path: str, is_secure: bool) -> None:
        self.cookie_name = f"roost_{port}"
        self._token = token.encode()
        # Whoever gets hold of a cookie has no token for programs.
        digest = hmac.digest(self._token, b"roost console cookie", hashlib.sha256)
        self._cookie = base64.urlsafe_b64encode(digest).rstrip(b"=")
        self._lock = threading.Lock()
        self._once, self._once_until = b"", 0.0
        self._attributes = f"Path={path}; HttpOnly; SameSite=Strict" + "; Secure" * is_secure

    def is_token(self, text: str) -> bool:
        """Return whether this is the token."""
        return hmac.compare_digest(_bytes(text), self._token)

    def once(self) -> str:
        """Return a token that signs in once, by a link, within a minute.

        Other users of a machine see the command lines of programs, such as that of a browser.
        """
        with self._lock:
            self._once = new_token().encode()
            self._once_until = time.monotonic() + ONCE_SECONDS
            return self._once.decode()

    def spend(self, text: str) -> bool:
        """Return whether this is the token that signs in once; from now on it does not."""
        with self._lock:
            is_late = time.monotonic() > self._once_until
            is_it = hmac.compare_digest(_bytes(text), self._once) and not is_late
            if is_it:
                self._once_until = 0.0
            return is_it

    def is_signed_in(self, cookies: str) -> bool | None:
        """Return whether a browser is signed in, by its header ``Cookie``.

        :returns: None if it never was, False if it has a cookie from before a restart.
        """
        found = [hmac.compare_digest(_bytes(text), self._cookie) for text in self._values(cookies)]
        return any(found) if found else None

    def set_cookie(self) -> str:
        """Return the header that signs a browser in until it is closed."""
        return f"{self.cookie_name}={self._cookie.decode()}; {self._attributes}"

    def _values(self, cookies: str) -> Iterator[str]:
        # There may be several: of this path, and of one above it.
        for pair in cookies.split(";"):
            name, _, text = pair.strip().partition("=")
            if name == self.cookie_name:
                yield text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
