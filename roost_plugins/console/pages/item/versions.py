"""The versions of a work item as a page lists them, from what is kept of them. Pure rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import attrs

from roost_core.backend import StoredHistory
from roost_core.errors import CorruptRecord
from roost_core.models import ForkedFrom, Version
from roost_core.shown import views
from roost_core.shown.counts import counted
from roost_core.shown.versions import Missing, gaps, remarks, versions

#: How many versions are listed at first, and how many when a reader asks for more.
ROWS: Final = (50, 200, 1000)


@attrs.frozen
class Fork:
    """Work that began with a version; it may be gone."""

    work_id: str
    is_there: bool


@attrs.frozen
class Row:
    """One version.

    :ivar before: the version that it is compared with; None if there is none.
    :ivar person: who made it, if no step did.
    :ivar forks: the work that began with it.
    :ivar is_inherited: whether it was made before the work was forked.
    """

    one: Version
    before: int | None
    person: str
    forks: Sequence[Fork]
    is_inherited: bool

    @property
    def is_idle(self) -> bool:
        """Whether its step has changed nothing."""
        return self.one.changed_bytes == 0 and not self.person


@attrs.frozen
class History:
    """What is listed.

    :ivar newest: the newest version; 0 if no step was accepted yet.
    :ivar rows: the newest first.
    :ivar remarks: what is missing, and why.
    :ivar more: how many to list next, if there are more.
    :ivar origin: the version of another work item that it began with, if it is a fork.
    """

    work_id: str
    newest: int
    rows: Sequence[Row]
    remarks: Sequence[str]
    more: int | None = None
    origin: ForkedFrom | None = None
    is_origin_there: bool = True

    @property
    def own(self) -> Sequence[Row]:
        """The versions that are its own."""
        return [one for one in self.rows if not one.is_inherited]

    @property
    def inherited(self) -> Sequence[Row]:
        """The versions that it has from its origin."""
        return [one for one in self.rows if one.is_inherited]


def history_view(
    history: StoredHistory,
    limit: int,
    gone: Collection[str] = (),
    *,
    is_off: bool = False,
    missing: Missing = lambda _: None,
) -> History:
    """Return what is listed.

    :param limit: how many versions at most.
    :param gone: ids of its origin and its forks that are not there any more.
    :param is_off: whether nobody is to keep any.
    :param missing: as for :func:`~roost_core.shown.versions.versions`.
    """
    work = history.work
    found = versions(history, limit, missing)
    numbers = {work.version, *history.versions, *(one.version for one in history.commits)}
    left = len(numbers - {0}) - len(found)
    told = [*remarks(found, is_off=is_off)]
    if left > 0:
        told = [*gaps(found), f"{counted(left, 'earlier one')} not listed"]
    origin = origin_of(history)
    forks = forks_by_version(history, gone)
    return History(
        work_id=work.work_id,
        newest=work.version,
        rows=[_row(one, numbers, forks, origin) for one in found],
        remarks=told,
        more=next((size for size in ROWS if size > limit), None) if left > 0 else None,
        origin=origin,
        is_origin_there=origin is None or origin.work_id not in gone,
    )


def _row(
    one: Version,
    numbers: Collection[int],
    forks: Mapping[int, Sequence[Fork]],
    origin: ForkedFrom | None,
) -> Row:
    return Row(
        one=one,
        before=one.version - 1 if one.version - 1 in numbers else None,
        person=one.person or "",
        forks=forks.get(one.version, ()),
        is_inherited=origin is not None and one.version <= origin.version,
    )


def origin_of(history: StoredHistory) -> ForkedFrom | None:
    """Return what a work item was forked from, if it was and its record can be read."""
    try:
        item = views.item(history.work)
    except CorruptRecord:
        return None
    return item.forked_from


def forks_by_version(history: StoredHistory, gone: Collection[str]) -> Mapping[int, Sequence[Fork]]:
    """Return the forks of each version that has some."""
    found: dict[int, list[Fork]] = {}
    for one in history.work.forks:
        found.setdefault(one.version, []).append(Fork(one.work_id, one.work_id not in gone))
    return found


def label_of(history: StoredHistory, version: int) -> str:
    """Return the label of a version's step; empty if it is not known."""
    commit = history.commit(version)
    if commit is None:
        return (history.work.step or "") if version == history.work.version else ""
    return commit.step


def readable(history: StoredHistory) -> str:
    """Say which versions can be read, as ranges: "versions 12 to 30 and 33"."""
    ranges: list[list[int]] = []
    for one in sorted(history.versions):
        if ranges and one == ranges[-1][1] + 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    if not ranges:
        return "no version can be read"
    words = [str(first) if first == last else f"{first} to {last}" for first, last in ranges]
    *ahead, end = words if len(words) <= 5 else ["…", *words[-4:]]
    text = f"{', '.join(ahead)} and {end}" if ahead else end
    return f"version {text} can be read" if text.isdecimal() else f"versions {text} can be read"
