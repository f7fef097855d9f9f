"""The last versions of a work item's snapshot, as a ledger keeps them. Times as in ``messages``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import attrs

from roost_core.backend.reports import StoredWork
from roost_core.codec import changes
from roost_core.errors import CorruptRecord, VersionGone
from roost_core.models.checks import WORD, matching
from roost_core.models.control import Actor
from roost_core.models.work import State
from roost_core.values import Value

#: What the way back from a version begins with: the whole version before it follows, or the change
#: (:mod:`roost_core.codec.changes`) that led from there to here.
WHOLE: Final = b"="
CHANGE: Final = b"~"
#: What stands for the worker of a version that a person has made begins with it.
BY_PERSON: Final = "@"
#: And this for one of which nothing is known any more but the way back from it.
NOBODY: Final = "?"


def newest(stored: Sequence[bytes | None]) -> bytes:
    """Return the newest version of a snapshot that is stored as a base and the ways back to it.

    :param stored: the base, and the ways back of the versions after it, in order; None for what is
        lost.
    :raises CorruptRecord: something is lost or damaged.
    """
    base, *ways = stored
    if base is None:
        raise CorruptRecord("the whole snapshot is lost that its changes belong to")
    text = bytearray(base)
    for back in ways:
        if back is None or not back.startswith(CHANGE):
            raise CorruptRecord("a change of the snapshot is lost")
        changes.followed(text, back[1:])
    return bytes(text)


@attrs.frozen(eq=False, repr=False)
class StoredVersion(Value):
    """A commit that is remembered.

    ``took_ms`` is how long its step took, in milliseconds; None if that is not known. ``back`` says
    what the version before it was: ``WHOLE`` or ``CHANGE`` and what follows these, or nothing if
    nothing is known of it.
    """

    version: int
    at_ms: int
    took_ms: int | None
    worker_id: str
    step: str
    back: bytes = attrs.field(default=b"", repr=False)

    @property
    def is_by_person(self) -> bool:
        """Whether no step made it: a person has put back an earlier version."""
        return self.worker_id.startswith(BY_PERSON)

    @classmethod
    def forgotten(cls, version: int, back: bytes) -> StoredVersion:
        """Return the way back from a version whose commit is not remembered."""
        return cls(version, 0, None, NOBODY, NOBODY, back)


@attrs.frozen(eq=False, repr=False)
class Past(Value):
    """A version that comes from a person, to be stored as the newest: an earlier one put back.

    ``who`` is one word, and stands where another version has its worker. ``back`` is as in
    :class:`StoredVersion`, and ``from_version`` the number of the version that was put back.
    """

    version: int
    snapshot: bytes = attrs.field(repr=False)
    step: str
    who: str = attrs.field(validator=matching(WORD, "who"))
    from_version: int
    back: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(eq=False, repr=False)
class ForkOf(Value):
    """The past of a work item that begins with a version of another one of the queue.

    ``origin`` is the other's id. ``commits`` are those of its commits that belong to the new one's
    history, newest first: those up to ``past.from_version``. The origin notes its forks.
    """

    past: Past
    origin: str
    actor: Actor
    commits: tuple[StoredVersion, ...] = attrs.field(default=(), repr=False)


@attrs.frozen(eq=False, repr=False)
class Rewind(Value):
    """A version of a work item to be put back as its newest.

    ``request_id``, ``if_state``, ``if_fence`` and ``life`` are as in
    :class:`~roost_core.backend.orders.Order`; work that waits its turn may also do so in another
    state than ``if_state``. Nothing happens unless the newest version is the one before
    ``past.version``. ``deadline_ms`` is a new deadline, None for the one that it has. ``mended``
    are commits to be remembered in place of what is there for their versions.

    :raises InvalidInput: the request id is not one word.
    """

    request_id: str = attrs.field(validator=matching(WORD, "request id"))
    past: Past
    actor: Actor
    if_state: State | None = None
    if_fence: int | None = None
    deadline_ms: int | None = None
    life: int | None = None
    mended: tuple[StoredVersion, ...] = attrs.field(default=(), repr=False)


@attrs.frozen(eq=False, repr=False, slots=False)
class StoredHistory(Value):
    """What is kept of a work item's versions.

    ``work`` is how it stands; its snapshot is the newest version. ``base`` is a version that is
    stored as a whole, and ``base_version`` its number: all later ones follow from it by their
    changes, the earlier ones by going back. ``commits`` are the remembered commits, newest first;
    some may be missing: they were not kept, or are damaged. Of some only the way back is known.
    """

    work: StoredWork
    base: bytes | None = attrs.field(repr=False)
    base_version: int
    commits: tuple[StoredVersion, ...] = ()

    @cached_property
    def _by_version(self) -> dict[int, StoredVersion]:
        return {one.version: one for one in self.commits}

    @cached_property
    def remembered(self) -> tuple[StoredVersion, ...]:
        """The commits of which more is known than the way back, newest first."""
        return tuple(one for one in self.commits if one.worker_id != NOBODY)

    @cached_property
    def versions(self) -> tuple[int, ...]:
        """The numbers of the versions that there should be, newest first."""
        return tuple(self._reachable())

    def _reachable(self) -> Iterator[int]:
        # Without its base a version is lost, but not those before that are stored as a whole.
        is_reached = self.base is not None
        if is_reached:
            yield from range(self.work.version, self.base_version, -1)
        lowest = min([self.base_version + 1, *self._by_version])
        for version in range(self.base_version, max(0, lowest - 2), -1):
            if is_reached:
                yield version
            known = self._by_version.get(version)
            back = b"" if known is None else known.back[:1]
            # A whole version makes good for whatever is missing behind it.
            is_reached = back == WHOLE or (is_reached and back == CHANGE)
            if version == 1:
                return

    def commit(self, version: int) -> StoredVersion | None:
        """Return the commit that made a version, or None if it is not remembered."""
        found = self._by_version.get(version)
        return None if found is None or found.worker_id == NOBODY else found

    def back(self, version: int) -> bytes:
        """Return the way back from a version, as :class:`StoredVersion` has it."""
        found = self._by_version.get(version)
        return b"" if found is None else found.back

    def snapshot(self, version: int) -> bytes:
        """Return a version's bytes, as they were committed.

        :raises VersionGone: it is not kept any more, or there was none.
        :raises CorruptRecord: what leads to it is damaged.
        """
        if version not in self.versions:
            raise VersionGone(self._why_gone(version))
        if self.base is not None and version >= self.base_version:
            text = bytearray(self.base)
            for number in range(self.base_version + 1, version + 1):
                changes.followed(text, self._change(number))
            return bytes(text)
        start, nearest = self.base, self.base_version
        for number in range(version + 1, self.base_version + 1):
            known = self._by_version.get(number)
            if known is not None and known.back.startswith(WHOLE):
                start, nearest = known.back[1:], number - 1
                break
        if start is None:
            raise CorruptRecord("the whole snapshot is lost that its changes belong to")
        text = bytearray(start)
        for number in range(nearest, version, -1):
            changes.undone(text, self._change(number))
        return bytes(text)

    def texts(self) -> Iterator[tuple[int, bytes | bytearray | None]]:
        """Yield each version that is kept with its bytes, in no certain order.

        It is None if what leads to it is damaged. The bytes of one are turned into those of the
        next, so look at each at once.
        """
        forward = range(self.base_version + 1, self.work.version + 1)
        back = range(self.base_version - 1, 0, -1)
        yield self.base_version, self.base
        for way, change in ((forward, self._follow), (back, self._undo)):
            text = None if self.base is None else bytearray(self.base)
            for version in way:
                text = change(text, version)
                if text is not None or version in self.versions:
                    yield version, text

    def _follow(self, text: bytearray | None, version: int) -> bytearray | None:
        """Turn the bytes of the version before into those of a version."""
        if text is not None:
            with contextlib.suppress(CorruptRecord):
                changes.followed(text, self._change(version))
                return text
        return None

    def _undo(self, text: bytearray | None, version: int) -> bytearray | None:
        """Turn the bytes of the version after into those of a version."""
        known = self._by_version.get(version + 1)
        if known is not None and known.back.startswith(WHOLE):
            return bytearray(known.back[1:])
        if text is not None:
            with contextlib.suppress(CorruptRecord):
                changes.undone(text, self._change(version + 1))
                return text
        return None

    def _change(self, version: int) -> bytes:
        known = self._by_version.get(version)
        if known is None or not known.back.startswith(CHANGE):
            raise CorruptRecord(f"the change that led to version {version} is lost")
        return known.back[1:]

    def _why_gone(self, version: int) -> str:
        work_id, newest = self.work.work_id, self.work.version
        if not newest:
            return f"{work_id} has no version yet: no step was accepted"
        if version > newest or version < 1:
            return f"{work_id} has no version {version}: the newest is {newest}"
        kept = self.versions
        if not kept:
            return f"no version of {work_id} can be read"
        return f"version {version} of {work_id} is not kept any more; the oldest is {kept[-1]}"
