"""A query's text read, with errors that point at the word."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, NoReturn

from roost_core.errors import InvalidInput
from roost_core.models.checks import (
    ENGINE_ID,
    LABEL_KEY,
    LABEL_VALUE,
    MAX_DELAY_SECONDS,
    WORK_ID,
    in_words,
)
from roost_core.models.work import State
from roost_core.query.fingerprints import DIGITS
from roost_core.query.terms import AGES, KEYS, NUMBERS, SINGLE, TEXT, Op, Query, Term, Test
from roost_core.wording.suggestions import did_you_mean

#: The longest query, in characters.
MAX_QUERY: Final = 2_000

_KEY: Final = re.compile(r"([A-Za-z_]+):")
#: A value without quotes ends here; in a word without a key, a comma is part of it.
_END: Final = re.compile(r'[\s,"]')
_TEXT_END: Final = re.compile(r'[\s"]')
_NUMBER: Final = re.compile(r"(>=|<=|>|<|=)?(-?[0-9]{1,9})")
_AGE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhdw]?)")
_FINGERPRINT: Final = re.compile(f"#[0-9a-f]{{{DIGITS}}}")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class _Word(NamedTuple):
    """A value as it was written, and where."""

    text: str
    is_quoted: bool
    at: int


def parse(text: str) -> Query:
    """Read a query, such as ``state:failed engine:crawl label:team=search error:"429"``.

    :raises InvalidInput: it is none; one line that says at which character, and what to write.
    """
    if len(text) > MAX_QUERY:
        raise InvalidInput(f"the query has {len(text)} characters; {MAX_QUERY} are the most")
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def query(self) -> Query:
        terms: list[Term] = []
        while self._skip_blanks():
            begin = self._at
            term = self._term()
            is_single = term.key in SINGLE and not term.is_negated
            if is_single and Query(tuple(terms)).of(term.key):
                both = f"{term.key}:a,b"
                self._fail(begin, f"{term.key}: is there twice: for either, write {both}")
            terms.append(term)
        return Query(tuple(terms))

    def _skip_blanks(self) -> bool:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def _term(self) -> Term:
        begin = self._at
        is_negated = self._takes("-")
        found = _KEY.match(self._text, self._at)
        if found is None:
            word = self._word(_TEXT_END, "-")
            if not self._is_at_end():
                self._fail(self._at, "a quote in a word: put the whole word in quotes")
            if not word.text:
                self._fail(begin, "an empty text is in everything: leave it out")
            return Term(TEXT, (Test(Op.HAS, word.text),), is_negated)
        key = found[1].lower()
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"; there are {', '.join(KEYS)}"
            self._fail(self._at, f"unknown {key}:{hint} (text with a colon goes in quotes)")
        self._at = found.end()
        tests: list[Test] = []
        while True:
            word = self._word(_END, f"{key}:")
            tests.append(_READ[key](self, word, tests))
            if not self._takes(","):
                break
        if not self._is_at_end():
            self._fail(self._at, "after a quoted text comes a blank, or a comma and another")
        return Term(key, tuple(tests), is_negated)

    def _takes(self, sign: str) -> bool:
        is_there = self._text.startswith(sign, self._at)
        self._at += is_there
        return is_there

    def _is_at_end(self) -> bool:
        return self._at >= len(self._text) or self._text[self._at].isspace()

    def _word(self, end: re.Pattern[str], after: str) -> _Word:
        begin = self._at
        if self._takes('"'):
            return _Word(self._quoted(begin), True, begin)
        found = end.search(self._text, begin)
        self._at = found.start() if found else len(self._text)
        text = self._text[begin : self._at]
        if not text:
            self._fail(begin, f"nothing stands behind {after}")
        return _Word(text, False, begin)

    def _quoted(self, begin: int) -> str:
        found = re.compile(r'((?:[^"\\]|\\.|\\$)*)"', re.DOTALL).match(self._text, self._at)
        if found is None:
            self._fail(begin, "this quote has no end")
        self._at = found.end()
        return re.sub(r'\\(["\\])', r"\1", found[1])

    def _fail(self, at: int, why: str) -> NoReturn:
        raise InvalidInput(f"query, at character {at + 1}: {why}")

    # -- the values of each key ------------------------------------------------------------

    def state(self, word: _Word, _before: list[Test]) -> Test:
        try:
            return Test(Op.IS, State(word.text.lower()).value)
        except ValueError:
            hint = did_you_mean(word.text, State) or f"; there are {', '.join(State)}"
            self._fail(word.at, f"unknown state {word.text!r:.50}{hint}")

    def engine(self, word: _Word, _before: list[Test]) -> Test:
        return self._name(word, ENGINE_ID, "engine")

    def id(self, word: _Word, _before: list[Test]) -> Test:
        return self._name(word, WORK_ID, "work id")

    def _name(self, word: _Word, pattern: re.Pattern[str], what: str) -> Test:
        text = word.text.removesuffix("*")
        if pattern.fullmatch(text) is None:
            wanted = in_words(pattern)
            self._fail(word.at, f"no {what}: {wanted}; a * at the end stands for the rest")
        return Test(Op.IS if text == word.text else Op.STARTS, text)

    def label(self, word: _Word, before: list[Test]) -> Test:
        key, equals, value = word.text.partition("=")
        if not equals and before and before[-1].op is not Op.ANY:
            # label:team=a,b is team=a or team=b.
            key, equals, value = str(before[-1].value).partition("=")[0], "=", key
        if LABEL_KEY.fullmatch(key) is None:
            self._fail(word.at, f"no label: write label:KEY=VALUE; a key is {in_words(LABEL_KEY)}")
        if not equals or value == "*":
            return Test(Op.ANY, key)
        begin = value.removesuffix("*")
        if LABEL_VALUE.fullmatch(begin) is None:
            self._fail(word.at, f"no label: a value is {in_words(LABEL_VALUE)}")
        return Test(Op.IS if begin == value else Op.STARTS, f"{key}={begin}")

    def error(self, word: _Word, _before: list[Test]) -> Test:
        if word.is_quoted:
            return self.title(word, _before)
        if word.text == "*":
            return Test(Op.ANY)
        if word.text.startswith("#"):
            if _FINGERPRINT.fullmatch(word.text) is None:
                self._fail(word.at, f"a fingerprint is # and {DIGITS} hexadecimal digits")
            return Test(Op.ALIKE, word.text[1:])
        return Test(Op.HAS, word.text)

    def title(self, word: _Word, _before: list[Test]) -> Test:
        if not word.text:
            self._fail(word.at, "an empty text is in everything: leave it out")
        return Test(Op.HAS, word.text)

    def number(self, word: _Word, _before: list[Test]) -> Test:
        found = _NUMBER.fullmatch(word.text)
        if found is None:
            self._fail(word.at, f"no number {word.text!r:.50}: write 5, >5, >=5, <5 or <=5")
        return Test(Op(found[1] or "="), int(found[2]))

    def age(self, word: _Word, _before: list[Test]) -> Test:
        found = _AGE.fullmatch(word.text)
        seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
        if found is None or seconds > MAX_DELAY_SECONDS:
            self._fail(word.at, f"no time {word.text!r:.50}: write 90s, 10m, 2h, 3d or 1w")
        return Test(Op.AGO, round(seconds * 1000))


_READ: Final[Mapping[str, Callable[[_Parser, _Word, list[Test]], Test]]] = {
    "state": _Parser.state,
    "engine": _Parser.engine,
    "id": _Parser.id,
    "label": _Parser.label,
    "error": _Parser.error,
    "title": _Parser.title,
    **dict.fromkeys(NUMBERS, _Parser.number),
    **dict.fromkeys(AGES, _Parser.age),
}
