"""Secrets: fields named like one, and in free texts ``password=...`` and its like. Pure.

A reason, an error's message, a title: people and programs write into them what they should not.
What stands behind the name of a secret is hidden, and so is what shows by its shape that it is one.
A text without either stays as it is, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: What replaces a secret.
HIDDEN: Final = "***"

# Texts, not compiled patterns: `re` keeps what it has compiled, and most commands use none of them.
_NAMES: Final = (
    r"pass(?:w(?:or)?d|phrase|code)|pwd|secret|token|authorization|bearer|jwt|credential|creds"
    r"|cookie|(?:api|private|access|signing|encryption)[-_ ]?key"
)
#: What the name of a secret contains, in a text and of a field; or how a field's name ends.
HIDDEN_NAMES: Final = rf"(?i){_NAMES}|(?:^|[-_. ])auth$"
#: Any text with a name has one of these; to look for them costs next to nothing.
_HINTS: Final = (
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "author", "bearer"),
    *("jwt", "cred", "cookie"),
)
#: How many there are is a usual figure of an agent's step, not a secret.
_COUNTED: Final = ("token", "cookie")
#: A name in a text, as far as its end, and what separates it from the value. A prefix does not
#: matter. ``key: value`` is also how people write sentences, so that it is judged by its value.
#: ``==`` and ``=~`` compare only before a space or what code compares with: values begin with any
#: sign, and a password may be ``~x`` or ``=x``.
_NAMED: Final = (
    rf"(?i)(?P<name>(?:{_NAMES})[\w.-]{{0,40}})"
    r"(?:(?P<quote>\\?[\"'])?\]?(?:"
    r"(?P<equals> ?(?:=>(?![ \t]*[\w.(])|=(?![=~>]=?(?:[\s\"'(]|$))) ?)"
    r"|(?P<colon> ?:(?![:=/])[ \t]*))"
    r"|(?P<listed>[\"'], ?)|(?P<space> ))"
)
_SCHEME: Final = r"(?i)(?:bearer|basic|digest|token|apikey|negotiate|aws4-hmac-sha256)[ \t]+(?=\S)"
_QUOTED: Final = r"""(?s)(\\["'])(?P<escaped>.*?)(?:\1|$)|(["'])(?P<plain>(?:\\.|(?!\3)[^\\\n])*)"""
#: A value without quotes, up to the next one of a list or of a query; and such a value in JSON.
_BARE: Final = r"(?:[^\s&,;]|[&,;](?![ \t]*[\w.-]+ ?=))+"
_BARE_JSON: Final = r"[^\s,}\]]+"
#: Punctuation at the end of a value belongs to the text around it.
_AROUND: Final = ".,:;)]}>\"'`"
_LINE_ENDS: Final = r"[.,:;)\]}>\"'`]*(?:[\r\n]|\Z)"
#: These stand for no value.
_NOTHING: Final = frozenset({"", HIDDEN, "none", "null", "true", "false", "nil", "undefined"})
#: A usual word, or the name of a variable: what sentences have behind a colon.
_WORD: Final = r"[A-Za-z]?[a-z]*(?:['-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*|[0-9]{1,5}"
#: Another option behind one that has no value.
_OPTION: Final = r"--?[A-Za-z]|--[a-z][a-z-]*(?:=.*)?"
_VARIABLE: Final = r"[A-Z]+(?:_[A-Z]+)+"
#: One word behind "password:" and then nothing is a password, but for these.
_SAID_OF_ONE: Final = frozenset(
    [
        "denied",
        "empty",
        "expired",
        "failed",
        "here",
        "incorrect",
        "invalid",
        "mismatch",
        "missing",
        "no",
        "rejected",
        "required",
        "unknown",
        "unset",
        "wrong",
        "yes",
    ]
)
_SPOKEN_OF: Final = ("token", "jwt", "bearer")
#: What is a secret by its shape alone, whatever stands before it.
_SHAPES: Final = (
    r"(?P<before>\b[Bb]earer[ \t]+)(?=[\w.~+/-]{0,200}?[0-9])[\w.~+/-]{6,}=*"
    r"|\b(?:sk|pk|rk)-(?=[\w-]{0,200}?[0-9])[\w-]{16,}|\bgh[opsur]_\w{20,}|\bgithub_pat_\w{20,}"
    r"|\bxox[a-z]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{8,4000}\.[\w-]{8,}(?:\.[\w-]*)?"
    r"|(?P<begin>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?s:.*?)(?P<end>-----END [A-Z ]*-----|\Z)"
)
_SHAPE_HINTS: Final = ("earer", "k-", "gh", "xox", "AKIA", "eyJ", "PRIVATE KEY")


def is_secret(name: object, value: object) -> bool:
    """Whether a field's name says that its value is nothing for people's eyes."""
    if value is None or isinstance(value, bool) or not isinstance(name, str):
        return False
    if re.search(HIDDEN_NAMES, name) is None:
        return False
    if isinstance(value, int | float):
        return not _is_counted(name.lower())
    return not (isinstance(value, str) and _is_folder(name.lower(), value))


def without_secrets(text: str) -> str:
    """Return the text with the secrets in it replaced by ``***``.

    Hidden is what follows a name such as ``password``, ``db_token`` or ``API key``: as
    ``name=value``, in a JSON object or a dict, as a header, as an option of a command; and what
    follows the name and a colon if it does not read like a sentence. Numbers of tokens stay.
    """
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        text = "".join(_pieces(text))
    if any(hint in text for hint in _SHAPE_HINTS):
        text = re.sub(_SHAPES, _without_shape, text)
    return text


def _without_shape(match: re.Match[str]) -> str:
    before, end = match["before"] or match["begin"] or "", match["end"] or ""
    return f"{before}{HIDDEN}{end}"


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces, with values hidden."""
    done = at = 0
    while (found := re.compile(_NAMED).search(text, at)) is not None:
        at = found.end()
        value = _value(found, text)
        if value is not None:
            begin, end = value
            yield text[done:begin]
            yield HIDDEN
            done = at = end
    yield text[done:]


def _value(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Return where the value behind a name begins and ends, or None if there is no secret."""
    name = found["name"].lower()
    if name.startswith("cookie") and found["colon"] and not found["quote"]:
        return _cookie(found, text)
    at = found.end() + (text[found.end() : found.end() + 1] in ("[", "("))
    is_login = False
    if name.startswith("authorization"):
        scheme = re.compile(_SCHEME).match(text, at)
        is_login, at = scheme is not None, at if scheme is None else scheme.end()
    quoted = re.compile(_QUOTED).match(text, at)
    if quoted is not None:
        group = "plain" if quoted["escaped"] is None else "escaped"
        begin, end = quoted.span(group)
        inner = re.compile(_SCHEME).match(text, begin, end)
        begin = inner.end() if inner and name.startswith("authorization") else begin
    else:
        bare = re.compile(_BARE_JSON if found["quote"] else _BARE).match(text, at)
        if bare is None:
            return None
        begin, end = at, at + len(bare[0].rstrip(_AROUND))
    value = text[begin:end]
    is_number = re.fullmatch(r"[0-9][0-9_,.]*", value) is not None
    if value.lower() in _NOTHING or (is_number and _is_counted(name)):
        return None
    if name == "pwd" and _is_folder(_before(found, text) + name, value):
        return None
    if found["space"] or found["listed"]:
        is_it = _is_option(found, text) and re.fullmatch(_OPTION, value) is None
        is_it = is_it and (found["listed"] is not None or not _is_word(value))
    else:
        is_clear = found["equals"] or found["quote"] or is_login
        is_last = re.compile(_LINE_ENDS).match(text, end) is not None
        is_it = bool(is_clear) or _reads_like_one(name, value, quoted is not None, is_last)
    return (begin, end) if is_it else None


def _cookie(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Return where the cookies of a header begin and end."""
    pairs = re.compile(r"[\"']?(?P<pairs>[^\s=;\"']+=[^\n\r\"']*)").match(text, found.end())
    return None if pairs is None or pairs["pairs"] == HIDDEN else pairs.span("pairs")


def _is_counted(name: str) -> bool:
    return any(one in name for one in _COUNTED)


def _is_folder(name: str, value: str) -> bool:
    """Whether it is the folder that a process is in, or was: ``PWD=/home/bob``."""
    return name in ("pwd", "oldpwd") and value.startswith(("/", "~"))


def _is_option(found: re.Match[str], text: str) -> bool:
    """Whether the name is the end of an option's, as in ``--db-password``."""
    begin = found.start()
    return re.search(r"(?:^|[\s\"'])--[\w-]{0,40}$", text[max(0, begin - 44) : begin]) is not None


def _before(found: re.Match[str], text: str) -> str:
    """Return what the name begins with, in lower case: the ``db_`` of ``db_pwd``."""
    begin = found.start()
    before = re.search(r"[\w.-]*$", text[max(0, begin - 44) : begin])
    return "" if before is None else before[0].lower()


def _is_word(value: str) -> bool:
    return re.fullmatch(_WORD, value) is not None


def _reads_like_one(name: str, value: str, is_quoted: bool, is_last: bool) -> bool:
    """Whether what follows a name and a colon is a secret, and no sentence."""
    if any(one in name for one in _SPOKEN_OF):
        # Parsers and tokenizers have much to say of tokens.
        return len(value) >= 12 and any(map(str.isdigit, value)) and " " not in value
    if not _is_word(value):
        return True
    if name.startswith(("secret", "cred", "authorization")):
        return False
    if value.lower() in _SAID_OF_ONE or re.fullmatch(_VARIABLE, value) is not None:
        return False
    return is_last or is_quoted
