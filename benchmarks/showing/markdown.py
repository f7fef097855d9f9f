"""What a benchmark's JSON says, as Markdown tables.

The JSON holds the surroundings and, under a name of its own, the figures: a list of
flat rows, or figures by name, which may be nested. Whatever a benchmark wants shown
differently from the rest is in this module's constants and ``_SPECIAL``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.showing import cells

#: Rows with different values of this field are in tables of their own; how each is called.
_SPLIT: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "workers": ("mode", lambda mode: f"Steps, {mode}"),
    "profile": ("mode", lambda mode: f"A step, {mode}"),
    "growth": ("steps", lambda steps: f"{steps:,} steps that each add 1 KB"),
    "edited": ("state", lambda state: f"A state of {state}"),
    "texts": ("state", lambda state: f"Kept beside the server: {state}"),
    "small": ("state", lambda state: f"A state of {state}, with history"),
    "ways": ("kind", lambda kind: f"Ways to keep a state: {kind}"),
    "rows": ("size", lambda size: f"State of {size / 1000:g} KB"),
    "encodings": ("size", lambda size: f"Encodings of {size / 1000:g} KB"),
}
#: Fields that no table shows.
_HIDDEN: Final = frozenset({"row", "unit", "rates", "durability", "is_floor", "is_strict"})
#: The packages that a line names; the neighbours' too where their rows are.
_PACKAGES: Final = ("roost-runtime", "redis", "hiredis", "saq")


def render(report: Mapping[str, Any]) -> str:
    """Return the report's tables, and a line that says what was measured with."""
    blocks: list[str] = []
    for name, figures in payloads(report).items():
        blocks += _SPECIAL.get(name, _blocks)(name, figures)
    if missing := [*report.get("skipped", ()), *report.get("failed", ())]:
        blocks.append(f"Not measured: {', '.join(missing)}.")
    blocks.append(_surroundings(report, in_full="rows" in report))
    return "\n\n".join(blocks) + "\n"


def payloads(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was measured, by name: tables, in contrast to surroundings."""
    found = {}
    for name, value in report.items():
        parts = value.values() if isinstance(value, Mapping) else ()
        if _is_rows(value) or any(_is_rows(one) or isinstance(one, Mapping) for one in parts):
            found[name] = value
    return found


def flat(figures: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested figures by their full names."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}, ")
        else:
            found[before + name] = value
    return found


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _blocks(name: str, figures: Any) -> Iterator[str]:
    if _is_rows(figures):
        yield from _row_tables(name, figures)
        return
    columns = {key: flat(one) for key, one in figures.items() if isinstance(one, Mapping)}
    is_alike = len({tuple(one) for one in columns.values()}) == 1
    if is_alike and len(columns) == len(figures):
        yield _side_by_side(name, columns)
        return
    rest = {}
    for key, one in figures.items():
        if _is_rows(one):
            yield from _row_tables(key, one)
        else:
            rest[key] = one
    if rest:
        yield _pairs(rest)


def _row_tables(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if name not in _SPLIT:
        yield _table(rows)
        return
    field, title = _SPLIT[name]
    for value in dict.fromkeys(row[field] for row in rows if row[field] is not None):
        # Rows to which the field does not apply are in each table.
        shown = [row for row in rows if row[field] in (value, None)]
        yield f"**{title(value)}**"
        yield _table(shown, without=(field,))


def _table(rows: Sequence[Mapping[str, Any]], without: Sequence[str] = ()) -> str:
    # Some rows have more fields than the first.
    names = dict.fromkeys(name for row in rows for name in row)
    shown = [name for name in names if name not in _HIDDEN and name not in without]
    is_text = [any(isinstance(row.get(name), str | bool) for row in rows) for name in shown]
    lines = [[cells.cell(name, row.get(name)) for name in shown] for row in rows]
    return _lines([cells.head(name) for name in shown], is_text, lines)


def _side_by_side(name: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table with a line for each figure, and a column for each size or kind."""
    heads = [f"{int(one):,}" if one.isdigit() else cells.head(one) for one in figures]
    names = next(iter(figures.values()))
    lines = [
        [cells.head(one), *(cells.cell(one, column[one]) for column in figures.values())]
        for one in names
    ]
    return _lines([cells.head(name), *heads], [True] + [False] * len(heads), lines)


def _pairs(figures: Mapping[str, Any]) -> str:
    lines = [[cells.head(name), cells.cell(name, one)] for name, one in flat(figures).items()]
    return _lines(["", "measured"], [True, False], lines)


def _lines(heads: Sequence[str], is_text: Sequence[bool], lines: Sequence[Sequence[str]]) -> str:
    bars = ["---" if text else "---:" for text in is_text]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (heads, bars, *lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def _steps(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the usual tables, and what is on record after each step."""
    yield from _row_tables(name, rows)
    durability = {row["title"]: row["durability"] for row in rows}
    lines = (f"- {title}: {what}" for title, what in durability.items())
    yield "On record after each step:\n\n" + "\n".join(lines)


def _budgets(_name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the budgets with their units; what has no budget is only reported."""
    lines = []
    for row in rows:
        verdict = "kept" if row["is_met"] else "**missed**"
        lines.append(
            [
                row["what"],
                f"{cells.cell('', row['measured'])} {row['unit']}".strip(),
                row["asked"],
                cells.margin(row["margin"]),
                verdict if row["asked"] else "",
            ]
        )
    heads = ["budget", "measured", "asked", "margin", ""]
    yield _lines(heads, [True, False, False, False, True], lines)


_SPECIAL: Final[Mapping[str, Callable[[str, Any], Iterator[str]]]] = {
    "rows": _steps,
    "budgets": _budgets,
}


def _surroundings(report: Mapping[str, Any], *, in_full: bool) -> str:
    versions = report["versions"]
    named = versions if in_full else [name for name in _PACKAGES if name in versions]
    parts = [report["server"]]
    if "fsync" in report:
        parts.append(f"append-only file {report['fsync']}")
    parts += [f"Python {report['python']}", *(f"{name} {versions[name]}" for name in named)]
    machine = f"{report['cores']} cores, {report['cpu']}, {report['system']}"
    return f"*{', '.join(parts)}; {machine}; load {report['load'][0]} at the start.*"
