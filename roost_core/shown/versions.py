"""What is kept of a work item's versions, as people and programs see it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice, pairwise
from typing import Final

import attrs

from roost_core.backend.history import CHANGE, WHOLE, StoredHistory, StoredVersion
from roost_core.codec import changes, moved
from roost_core.codec.snapshots import DATA_KEY, decode_outline, decode_snapshot, plain_snapshot
from roost_core.codec.times import from_milliseconds
from roost_core.differences import compare
from roost_core.errors import CorruptRecord, WrittenByNewer
from roost_core.models.history import Gap, Version
from roost_core.models.snapshot import Snapshot
from roost_core.values import Json

#: What is different in each version, or in a fork's: it does not count as changed.
_OWN: Final = ("schema", "work_id", "version", "step")
_MISSING: Final = "its stored bytes are missing"
_LOST: Final = "what leads back to it is not kept"
#: No more ranges of versions are named.
_MOST_GAPS: Final = 5

#: Of texts that are kept elsewhere.
Missing = Callable[[str], str | None]
Whole = Callable[[bytes, str], bytes]


def versions(
    history: StoredHistory, limit: int | None = None, missing: Missing = lambda _: None
) -> tuple[Version, ...]:
    """Return the versions that are remembered, newest first.

    :param limit: how many at most; of those behind them only the first is read, to compare with.
    :param missing: returns why a text that is kept elsewhere is not there, or None, by its id. It
        may block.
    """
    return tuple(islice(_Walk(history, missing).versions(), limit))


def snapshot(history: StoredHistory, version: int, whole: Whole = lambda raw, _: raw) -> Snapshot:
    """Return one version's snapshot, as if it were the newest.

    :param whole: returns a snapshot's bytes with the texts that are kept elsewhere, given these
        and the work's id. It may block.
    :raises VersionGone: it is not kept any more, or there was none.
    :raises CorruptRecord: it does not decode, or what leads to it is damaged.
    :raises WrittenByNewer: a newer Roost wrote it.
    """
    work, commit = history.work, history.commit(version)
    is_newest = version == work.version
    at_ms = work.committed_ms if is_newest else None if commit is None else commit.at_ms
    here = f"version {version} of {work.work_id}"
    try:
        text = whole(history.snapshot(version), work.work_id)
        found = decode_snapshot(text, created_ms=work.created_ms, updated_ms=at_ms)
    except WrittenByNewer as error:
        raise WrittenByNewer(f"{here}: {error}", error.layout) from error
    except CorruptRecord as error:
        raise CorruptRecord(f"{here}: {error}") from error
    if is_newest:
        ended = None if work.finished_ms is None else from_milliseconds(work.finished_ms)
        return attrs.evolve(found, finished_at=ended)
    return attrs.evolve(found, finished_at=found.updated_at) if found.is_finished else found


def remarks(found: Sequence[Version], *, is_off: bool = False) -> Iterator[str]:
    """Yield which versions are missing, and why.

    :param found: those that are remembered, newest first.
    :param is_off: whether nobody is to keep any.
    """
    yield from gaps(found)
    if not found or found[-1].version == 1:
        return
    oldest = found[-1].version
    if is_off:
        yield "earlier versions are not kept while ROOST_HISTORY_VERSIONS is 0"
    elif len(found) == 1:
        yield (
            "no earlier version is kept: ROOST_HISTORY_VERSIONS and ROOST_HISTORY_BYTES say how "
            "many are, an older Roost keeps none, or their record is damaged"
        )
    else:
        yield (
            f"versions before {oldest} are not kept any more: ROOST_HISTORY_VERSIONS and "
            "ROOST_HISTORY_BYTES say how many are, and an older Roost keeps none"
        )


def gaps(found: Sequence[Version]) -> Iterator[str]:
    """Yield which versions are missing between these, and why.

    :param found: some in a row of those that are remembered, newest first.
    """
    for later, earlier in pairwise(found):
        gap = Gap(earlier.version + 1, later.version - 1)
        if gap.count > 0:
            one = gap.count == 1
            which = f"version {gap.first} is" if one else f"versions {_span(gap)} are"
            then, its = ("this step", "its") if one else ("these steps", "their")
            yield (
                f"{which} missing: ROOST_HISTORY_VERSIONS was 0 when {then} ran, an older Roost "
                f"ran {'it' if one else 'them'}, or {its} record is damaged"
            )


def not_remembered(history: StoredHistory, version: int) -> tuple[Gap, ...]:
    """Return the versions after one whose commits are not remembered, in order."""
    newest = history.work.version
    known = sorted({one.version for one in history.remembered if version < one.version <= newest})
    return tuple(
        Gap(before + 1, after - 1)
        for before, after in pairwise([version, *known, newest + 1])
        if before + 1 < after
    )


def forgotten(gaps: Sequence[Gap]) -> str:
    """Say that steps which nothing is remembered of may have done something outside, too.

    Empty if there is no gap.
    """
    if not gaps:
        return ""
    if gaps[0].first == gaps[-1].last:
        which, whose = f"version {gaps[0].first} is", "its step"
    else:
        which, whose = f"versions {_in_words(gaps)} are", "their steps"
    return f"{which} not remembered: what {whose} did outside may happen again, too"


def _in_words(gaps: Sequence[Gap]) -> str:
    """Return ``4 to 6 and 9``; of many gaps the first, and how many versions the others have."""
    words = [*map(_span, gaps[:_MOST_GAPS])]
    left = sum(one.count for one in gaps[_MOST_GAPS:])
    if left:
        words.append(f"{left:,} more")
    *ahead, last = words
    return f"{', '.join(ahead)} and {last}" if ahead else last


def _span(gap: Gap) -> str:
    return str(gap.first) if gap.count == 1 else f"{gap.first} to {gap.last}"


class _Walk:
    """A walk from the newest version to the oldest.

    It has the bytes of one version at a time, and turns them into those of the one before.
    """

    def __init__(self, history: StoredHistory, missing: Missing) -> None:
        self._history = history
        self._missing = cache(missing)
        self._text: bytearray | None = None
        # What these bytes decode to, if that is known.
        self._decoded: Snapshot | None = None
        self._problem = ""

    def versions(self) -> Iterator[Version]:
        """Yield what is known of each version."""
        history = self._history
        newest, base_version = history.work.version, history.base_version
        highest, problem = self._start()
        for version in range(newest, highest, -1):
            found = self._described(version, history.commit(version))
            yield attrs.evolve(found, size_bytes=None, problem=problem)
        oldest = min([newest, base_version, *(one.version for one in history.commits)])
        for version in range(highest, max(0, oldest - 2), -1):
            if self._text is None and version == base_version < newest:
                self._take(history.base)
            commit = history.commit(version)
            back = history.back(version)
            if commit is not None or back or self._text is not None:
                found = self._described(version, commit)
                yield attrs.evolve(found, changed_bytes=self._go_back(back))
            else:
                self._problem = _LOST

    def _start(self) -> tuple[int, str]:
        """Begin at the newest version that can be made.

        :returns: its number, and why those after it cannot be made.
        """
        history = self._history
        version, newest = history.base_version, history.work.version
        if history.base is None:
            self._problem = _MISSING
            return newest, ""
        text, problem = bytearray(history.base), ""
        while version < newest and not problem:
            back = history.back(version + 1)
            if not back.startswith(CHANGE):
                problem = f"the change that led to version {version + 1} is lost"
                break
            try:
                changes.followed(text, back[1:])
                version += 1
            except CorruptRecord as error:
                # It may have been followed in part.
                text, problem = bytearray(history.snapshot(version)), str(error)
        self._take(text)
        return version, problem

    def _take(self, text: bytes | bytearray | None) -> None:
        """Continue with other bytes, if they decode."""
        self._text = self._decoded = None
        if text is None:
            self._problem = _MISSING
            return
        try:
            self._decoded = decode_outline(text)
            self._text, self._problem = bytearray(text), ""
        except CorruptRecord as error:
            self._problem = str(error)

    def _described(self, version: int, commit: StoredVersion | None) -> Version:
        work = self._history.work
        found = Version(
            work.work_id,
            version,
            size_bytes=None if self._text is None else moved.whole_bytes(self._text),
            problem=self._problem if self._text is None else self._lacking(self._text),
        )
        if commit is not None:
            took_ms = None if commit.is_by_person else commit.took_ms
            return attrs.evolve(
                found,
                step=commit.step,
                committed_at=from_milliseconds(commit.at_ms),
                worker_id=commit.worker_id,
                took_seconds=None if took_ms is None else took_ms / 1000,
            )
        if version == work.version:
            at = None if work.committed_ms is None else from_milliseconds(work.committed_ms)
            return attrs.evolve(found, step=work.step, committed_at=at)
        known = self._snapshot()
        return found if known is None else attrs.evolve(found, step=known.step)

    def _lacking(self, text: bytearray) -> str | None:
        """Return which large text is not there and why, if one is not."""
        for value_id, size in moved.sizes(text).items():
            why = self._missing(value_id)
            if why is not None:
                return f"a text of {size:,} bytes cannot be read: {why}"
        return None

    def _snapshot(self) -> Snapshot | None:
        if self._decoded is None and self._text is not None:
            try:
                self._decoded = decode_outline(self._text)
            except CorruptRecord:
                return None
        return self._decoded

    def _go_back(self, back: bytes) -> int | None:
        """Turn the bytes into those of the version before, and return how much has changed."""
        values = moved.sizes(self._text or b"")
        changed = self._step_back(back)
        if changed is None or self._text is None:
            return None
        # Of what is kept elsewhere, the larger of what came and what went.
        before = moved.sizes(self._text)
        came, went = (
            sum(size for one, size in some.items() if one not in others)
            for some, others in ((values, before), (before, values))
        )
        return changed + max(came, went)

    def _step_back(self, back: bytes) -> int | None:
        """Do what :meth:`_go_back` does; of texts that are kept elsewhere only names count."""
        if back.startswith(WHOLE):
            later = self._snapshot()
            self._take(back[1:])
            earlier = self._snapshot()
            return None if later is None or earlier is None else _changed(earlier, later)
        text = self._text
        self._decoded = None
        if text is None:
            # Why it could not be read is why those before it cannot be, either.
            self._problem = self._problem if back.startswith(CHANGE) else _LOST
            return None
        try:
            if not back.startswith(CHANGE):
                raise CorruptRecord(_LOST)
            changes.undone(text, back[1:])
            start = text.find(DATA_KEY)
            return sum(
                max(len(one.old), len(one.new))
                for one in changes.splices(back[1:])
                if one.at > start
            )
        except CorruptRecord as error:
            self._text, self._problem = None, str(error)
            return None


def _changed(old: Snapshot, new: Snapshot) -> int:
    """Return how many bytes of JSON are different: of each place the larger value."""
    return sum(max(_size(one.old), _size(one.new)) for one in compare(_counted(old), _counted(new)))


def _counted(one: Snapshot) -> dict[str, Json]:
    return {name: value for name, value in plain_snapshot(one).items() if name not in _OWN}


def _size(value: Json) -> int:
    if value is None:
        return 0
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
