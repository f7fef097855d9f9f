"""The small part of the server's protocol that is needed to look after it.

Not a full client: so finding the server needs no client import, and the supervisor stays small.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence


class Refused(Exception):
    """The server answered with an error; the text is its own."""


class Wire:
    """One connection to the server, speaking as little of its protocol as is needed.

    :param path: the unix socket.
    :param timeout: seconds for connecting, and for each wait for bytes.
    :raises OSError: nothing listens there.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, *words: str) -> str:
        """Send one command and return its answer: a status, a number or a string.

        :raises Refused: the server answered with an error.
        :raises OSError: the connection broke or the answer did not come in time.
        """
        self._send(words)
        answer = self._answer()
        return answer if isinstance(answer, str) else " ".join(answer)

    def ask(self, *words: str) -> list[str]:
        """Send one command whose answer is a list of strings, and return it.

        :raises Refused: the server answered with an error, or with something else.
        :raises OSError: as in :meth:`call`.
        """
        self._send(words)
        answer = self._answer()
        if isinstance(answer, str):
            raise Refused(f"not a list: {answer}")
        return answer

    def _send(self, words: Sequence[str]) -> None:
        parts = [word.encode() for word in words]
        request = b"*%d\r\n" % len(parts)
        request += b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(request)

    def _answer(self) -> str | list[str]:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(rest.decode("utf-8", "replace"))
        if kind == b"*":
            return [str(self._answer()) for _ in range(int(rest))]
        if kind != b"$" or rest == b"-1":
            return rest.decode("utf-8", "replace")
        size = int(rest)
        body = self._reader.read(size + 2)
        if len(body) != size + 2:
            raise ConnectionResetError("the server closed the connection")
        return body[:-2].decode("utf-8", "replace")

    def info(self, *sections: str) -> dict[str, str]:
        """Return fields of ``INFO``."""
        lines = self.call("INFO", *sections).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._socket.close()
