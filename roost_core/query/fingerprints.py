"""Errors that are alike: what is left of one without its ids and numbers, in twelve digits."""

from __future__ import annotations

import hashlib
import re
from typing import Final

#: How much of the message is looked at, and how much of what is left counts. Bytes.
_LOOKED_AT: Final = 400
_KEPT: Final = 80
#: Hexadecimal digits of a fingerprint.
DIGITS: Final = 12

_KIND: Final = re.compile(rb'"kind":"([^"\\]*)"')
_TYPE: Final = re.compile(rb'"error_type":"([^"\\]*)"')
_MESSAGE: Final = b'"message":"'
_RUN: Final = re.compile(rb"[0-9A-Za-z_]+")


def fingerprint(error: bytes) -> str:
    """Return the fingerprint of an encoded ``ErrorRecord``: equal for errors that are alike.

    It stands for the kind, the type, and the first 80 bytes of the message in which each run of
    letters and digits that holds a digit is one ``#``. It works on the bytes as they are, because
    scripts on a server do the same: ``lua/lib/index.lua`` of the plugin ``redis_saq``.
    """
    text = b" ".join((_first(_KIND, error), _first(_TYPE, error), _brief(error)))
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()[:DIGITS]


def _first(pattern: re.Pattern[bytes], error: bytes) -> bytes:
    found = pattern.search(error)
    return found[1] if found else b""


def _brief(error: bytes) -> bytes:
    start = error.find(_MESSAGE)
    if start < 0:
        return b""
    start += len(_MESSAGE)
    # A quote in the message follows a backslash, so the message ends here.
    stop = error.find(b'","', start)
    if stop < 0:
        stop = error.find(b'"}', start)
    message = error[start:] if stop < 0 else error[start:stop]
    return _RUN.sub(_without_digits, message[:_LOOKED_AT])[:_KEPT]


def _without_digits(run: re.Match[bytes]) -> bytes:
    return b"#" if re.search(rb"[0-9]", run[0]) else run[0]
