"""The placeholders ``F.…`` of the scripts for the table of fields, filled in when they are loaded.

===================== ============================================================================
``F.head``            the names of the first two lines' values, as a list of variables
``F.head_pattern``    the pattern that parses these lines, and captures where the next begins
``F.head_fields``     the values of these variables as fields of a table
``F.head_text_of_r``  these two lines, made from a table ``r``
``F.head_absent``     statements: the defaults of what an earlier Roost did not write
``F.rest``            and so on: the three lines after that
``F.is_sound``        whether all variables hold what the kinds of their fields allow
``F.new``             the fields of a record that is enqueued
``F.accepted_of_r``   statements: what an accepted step sets in ``r``
``F.accepted_text``   the first two lines after such a step, made from variables
``F.shown_of_r``      what is shown of ``r`` to people, as a list
``F.claimed_of_r``    what a claim carries of ``r``, and when it ``expires``, as a string
``F.past_at``         where the arguments of an enqueue begin that ``lib/past.lua`` takes
``F.before.entries``  a pattern that finds a field of the third line, here ``entries``, in a string
                      that begins there: what precedes it, the field, and what follows it
===================== ============================================================================

Words of a line that this Roost does not know are in ``more`` and ``more_standing``, and stay as
they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from roost_plugins.redis_saq.record.fields import Field, Table

#: The variables with the unknown words of the first and the third line.
_MORE: Final = ("more", "more_standing")
#: The longest line, where a list can be wrapped. Characters.
_WIDTH: Final = 110
#: The first arguments of the script ``enqueue``, which are not fields: id, digest, delay, item,
#: labels.
ENQUEUE_ARGUMENTS: Final = 5

#: A comment, which stays as it is, or a name with what precedes it on its line.
_NAME: Final = re.compile(r"--[^\n]*|\bF\.(\w+)(?:\.(\w+))?")
#: A name that has its line to itself stands for statements.
_STATEMENTS: Final = re.compile(r"^( *)F\.(\w+)\n", re.MULTILINE)


def expanded(text: str, table: Table) -> str:
    """Return a script's text with its placeholders filled in.

    :raises KeyError: a placeholder is unknown.
    """
    if "F." not in text:
        return text
    lists, statements = _lists(table), _statements(table)

    def lines(found: re.Match[str]) -> str:
        if found[2] not in statements:
            return found[0]
        return "".join(f"{found[1]}{line}\n" for line in statements[found[2]])

    text = _STATEMENTS.sub(lines, text)

    def words(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        if found[2] is not None:
            return {"before": _before}[found[1]](table, found[2])
        begin = text.rfind("\n", 0, found.start()) + 1
        line = text[begin : found.start()]
        spaces = len(line) - len(line.lstrip())
        return lists[found[1]](len(line), spaces if spaces == len(line) else spaces + 2)

    return _NAME.sub(words, text)


#: Makes a list that begins at a column, and continues with this indentation.
_List = Callable[[int, int], str]


@cache
def _lists(table: Table) -> Mapping[str, _List]:
    head, rest = (*table.head, table.label), (*table.rest, *table.lines)
    head_names = [*_names(table.head), _MORE[0], table.label.name]
    rest_names = [*_names(table.rest), _MORE[1], *_names(table.lines)]
    return {
        "head": _joined(head_names),
        "head_pattern": _as_it_is(_head_pattern(table)),
        "head_fields": _joined(f"{name} = {name}" for name in head_names),
        "head_text_of_r": _joined(_head_text(table, "r.", lambda field: f"r.{field.name}"), " .. "),
        "accepted_text": _joined(
            _head_text(table, "", lambda field: field.accepted or field.name), " .. "
        ),
        "rest": _joined(rest_names),
        "rest_pattern": _as_it_is(_rest_pattern(table)),
        "rest_fields": _joined(f"{name} = {name}" for name in rest_names),
        "rest_text_of_r": _joined(_rest_text(table), " .. "),
        "is_sound": _joined(_sound((*head, *rest)), " and "),
        "new": _joined(_new(table)),
        "shown_of_r": _joined(f"r.{name}" for name in _names(table.shown)),
        "claimed_of_r": _joined(_claimed(table), " .. "),
        "past_at": _number(ENQUEUE_ARGUMENTS + len(table.enqueued) + 1),
    }


@cache
def _statements(table: Table) -> Mapping[str, Sequence[str]]:
    return {
        "head_absent": _absent(table.head),
        "rest_absent": _absent(table.rest),
        "accepted_of_r": [f"r.{one.name} = {one.accepted}" for one in table if one.accepted],
    }


def _joined(items: Iterable[str], separator: str = ", ") -> _List:
    """Join a list's items, with line breaks: after a comma, and before an operator."""
    before, behind = (separator.rstrip(), "") if separator == ", " else ("", separator.lstrip())

    all_items = tuple(items)

    def make(column: int, indent: int) -> str:
        made = ""
        for number, item in enumerate(all_items):
            if not number:
                text = item
            elif column + len(separator) + len(item) > _WIDTH:
                made += f"{before}\n{' ' * indent}"
                column, text = indent, f"{behind}{item}"
            else:
                text = f"{separator}{item}"
            made += text
            column += len(text)
        return made

    return make


def _as_it_is(text: str) -> _List:
    """Return a pattern as one Lua string: Lua would join pieces each time."""
    return lambda _column, _indent: f"'{text}'"


def _number(number: int) -> _List:
    return lambda _column, _indent: str(number)


def _names(fields: Iterable[Field]) -> list[str]:
    return [field.name for field in fields]


def _captured(fields: Sequence[Field]) -> str:
    """Return the pattern of a line of words, and of unknown words that may follow."""
    known = " ".join(f"({one.kind.pattern})" for one in fields if not one.is_added)
    added = "".join(f" ?({one.kind.pattern_if_there})" for one in fields if one.is_added)
    return f"{known}{added}([^\\n]*)\\n"


def _head_pattern(table: Table) -> str:
    return f"^{table.layout} {_captured(table.head)}({table.label.kind.pattern})\\n()"


def _rest_pattern(table: Table) -> str:
    lines = "".join(f"({one.kind.pattern})\\n" for one in table.lines)
    return f"^{_captured(table.rest)}{lines}()"


def _spaced(values: Iterable[str]) -> list[str]:
    """Put a space between joined values."""
    return [part for value in values for part in ("' '", value)][1:]


def _folded(parts: Iterable[str]) -> list[str]:
    """Join adjacent strings: Lua would do so in every call."""
    folded: list[str] = []
    for part in parts:
        if folded and folded[-1].endswith("'") and part.startswith("'"):
            folded[-1] = folded[-1][:-1] + part[1:]
        else:
            folded.append(part)
    return folded


def _head_text(table: Table, prefix: str, value: Callable[[Field], str]) -> list[str]:
    words = _spaced(map(value, table.head))
    end = (f"{prefix}{_MORE[0]}", "'\\n'", value(table.label), "'\\n'")
    return _folded((f"'{table.layout} '", *words, *end))


def _rest_text(table: Table) -> list[str]:
    words = _spaced(f"r.{name}" for name in _names(table.rest))
    lines = [part for name in _names(table.lines) for part in (f"r.{name}", "'\\n'")]
    return [*words, f"r.{_MORE[1]}", "'\\n'", *lines]


def _absent(fields: Iterable[Field]) -> list[str]:
    return [
        f"if {one.name} == '' then {one.name} = '{one.kind.default}' end"
        for one in fields
        if one.is_added
    ]


def _sound(fields: Iterable[Field]) -> list[str]:
    return [one.kind.sound.format(one.name) for one in fields if one.kind.sound is not None]


def _new(table: Table) -> list[str]:
    arguments = {
        field.name: f"ARGV[{number}]"
        for number, field in enumerate(table.enqueued, ENQUEUE_ARGUMENTS + 1)
    }
    return [
        *(f"{one.name} = {arguments.get(one.name, repr(one.kind.default))}" for one in table),
        *(f"{name} = ''" for name in _MORE),
    ]


def _claimed(table: Table) -> list[str]:
    return _spaced([*(f"r.{one.name}" for one in table.claimed.fields), "expires"])


def _before(table: Table, name: str) -> str:
    place = _names(table.rest).index(name)
    return f"'^({'%S+ ' * place})({table.rest[place].kind.pattern})(.*)$'"
