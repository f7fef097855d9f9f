"""The form that runs work again from a version: what is typed in it, and what that comes to. Pure.

It is sent for a look first, and again to begin. The second time it carries a digest of all that the
look was about, so that nothing begins that was not seen.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.backend import StoredHistory
from roost_core.cli.arguments import iso_time, relative_seconds
from roost_core.client.replaying import Edit, Replay, Seen, id_for
from roost_core.codec.strict_json import loads_typed
from roost_core.codec.times import from_milliseconds
from roost_core.differences import assigned, parse_patch, patched
from roost_core.errors import CodecError, InvalidInput
from roost_core.models import MAX_COUNT, WORD, WORK_ID, Json, State
from roost_core.shown.versions import forgotten, not_remembered
from roost_plugins.console.pages.item.used import Used, used_since

#: The largest edit that a page takes, in characters, assignments and operations; the command line
#: takes more.
MOST_TYPED: Final = 256 << 10
MOST_LINES: Final = 200
MOST_OPERATIONS: Final = 500
#: A reason's longest text is the field's own; other fields are no longer than this.
_FIELD: Final = 400
#: This many of the steps that ran since are named.
_STEPS: Final = 12
FORK: Final = "fork"
IN_PLACE: Final = "in-place"


class Mistyped(InvalidInput):
    """A field that cannot be read.

    :ivar field: its name.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@attrs.frozen
class Form:
    """What is typed.

    :ivar request: made with each look, so that what was looked at once begins once.
    :ivar stamp: the digest of what was seen, empty before that; ``seen`` is how the work stood.
    """

    version: str = ""
    how: str = FORK
    lines: str = ""
    patch: str = ""
    new_id: str = ""
    deadline: str = ""
    reason: str = ""
    request: str = attrs.field(factory=lambda: secrets.token_hex(12))
    stamp: str = ""
    seen_version: str = ""
    seen_fence: str = ""
    seen_life: str = ""
    seen_state: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Form:
        """Read what a browser has sent, whatever it is."""
        known = {
            name: given[name].replace("\r\n", "\n")
            for name in (one.name for one in attrs.fields(cls))
            if name in given
        }
        if WORD.fullmatch(known.get("request", "")) is None:
            known.pop("request", None)
        return cls(**known)

    def anew(self) -> Form:
        """Return the same for another request: what is looked at again may begin again."""
        return attrs.evolve(self, request=secrets.token_hex(12))

    @property
    def is_in_place(self) -> bool:
        """Whether the work itself is put back."""
        return self.how == IN_PLACE

    @property
    def assignments(self) -> Sequence[str]:
        """The lines ``path=value``."""
        return [one.strip() for one in self.lines.split("\n") if one.strip()]

    @property
    def has_edit(self) -> bool:
        """Whether something is to be changed."""
        return bool(self.assignments or self.patch.strip())

    @property
    def number(self) -> int:
        """The version to begin with.

        :raises Mistyped: it is none.
        """
        text = self.version.strip().removeprefix("v")
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:19]) <= MAX_COUNT:
            raise Mistyped("version", f"{self.version!r:.40} is no version: give its number")
        return int(text)

    @property
    def seen(self) -> Seen | None:
        """How the work stood when it was looked at; None if it was not, or that cannot be read."""
        texts = (self.seen_version, self.seen_fence, self.seen_life)
        if not all(one.isascii() and one.isdecimal() and len(one) <= 18 for one in texts):
            return None
        version, fence, life = map(int, texts)
        state = next((one for one in State if one.value == self.seen_state), None)
        return Seen(version, fence, life, state)

    def edit(self) -> Edit | None:
        """Return what changes the data, or None if nothing is to be changed.

        :raises Mistyped: it cannot be read; so does what is returned if it cannot be carried out.
        """
        if not self.has_edit:
            return None
        for field, text in (("lines", self.lines), ("patch", self.patch)):
            if len(text) > MOST_TYPED:
                raise Mistyped(
                    field,
                    f"that is {len(text):,} characters, and a page takes {MOST_TYPED:,}: "
                    "`roost replay --edit @FILE` takes more",
                )
        operations = self._operations() if self.patch.strip() else ()
        lines = self.assignments
        if len(lines) > MOST_LINES:
            raise Mistyped(
                "lines", f"these are {len(lines):,} lines, and {MOST_LINES} are the most"
            )

        def edit(data: Json) -> Json:
            return self._assigned(self._patched(data, operations), lines)

        return edit

    def _operations(self) -> Sequence[Any]:
        try:
            value = loads_typed(self.patch, "the patch", 4 * MOST_TYPED)
            found = parse_patch(value)
        except (CodecError, InvalidInput) as error:
            raise Mistyped("patch", str(error)) from None
        if len(found) > MOST_OPERATIONS:
            raise Mistyped(
                "patch", f"these are {len(found):,} operations, and {MOST_OPERATIONS} are the most"
            )
        return found

    def _patched(self, data: Json, operations: Sequence[Any]) -> Json:
        try:
            found = patched(data, operations) if operations else data
        except InvalidInput as error:
            raise Mistyped("patch", str(error)) from None
        if not isinstance(found, dict):
            raise Mistyped("patch", "the data has to stay an object")
        return found

    def _assigned(self, data: Json, lines: Sequence[str]) -> Json:
        try:
            found = assigned(data, *lines) if lines else data
        except InvalidInput as error:
            raise Mistyped("lines", str(error)) from None
        if not isinstance(found, dict):
            raise Mistyped("lines", "the data has to stay an object")
        return found

    def id_of_fork(self) -> str | None:
        """Return the id that the new work is to have; None if one is to be made.

        :raises Mistyped: it cannot be one.
        """
        text = self.new_id.strip()
        if not text or self.is_in_place:
            return None
        if WORK_ID.fullmatch(text) is None:
            raise Mistyped(
                "new_id", f"{text!r:.60} is no id: letters, digits, '_', '.' and '-', at most 128"
            )
        return text

    def deadline_given(self) -> dict[str, Any]:
        """Return the new deadline as ``replay`` takes it; empty if there is none.

        :raises Mistyped: it cannot be read.
        """
        text = self.deadline.strip()
        if not text or not self.is_in_place:
            return {}
        seconds = relative_seconds(text[:_FIELD])
        try:
            if seconds is not None:
                return {"deadline_seconds": seconds}
            return {"deadline_at": iso_time(text[:_FIELD])}
        except ValueError as error:
            raise Mistyped("deadline", f"the deadline {error}") from None

    @property
    def digest(self) -> str:
        """A digest of all that a look is about, but for how the work stands."""
        typed = [
            self.version.strip(),
            self.how,
            self.assignments,
            self.patch.strip(),
            self.new_id.strip() if not self.is_in_place else "",
            self.deadline.strip() if self.is_in_place else "",
        ]
        return hashlib.sha256(json.dumps(typed).encode()).hexdigest()

    def command(self, work_id: str) -> str:
        """Return what does the same on the command line."""
        words = ["roost", "replay", work_id, "--from-version", self.version.strip() or "N"]
        if self.patch.strip():
            words += ["--edit", self.patch.strip()]
        for one in self.assignments:
            words += ["-e", one]
        if self.is_in_place:
            words.append("--in-place")
            if self.deadline.strip():
                words += ["--deadline", self.deadline.strip()]
        elif self.new_id.strip():
            words += ["--work-id", self.new_id.strip()]
        if self.reason.strip():
            words += ["--reason", self.reason.strip()]
        return shlex.join(words)


# -- what it comes to ----------------------------------------------------------------------------


@attrs.frozen
class Cost:
    """What the steps after the version took: running it again may take as much.

    :ivar steps: how many are remembered; ``named`` are the first, as "v32 plan".
    :ivar missing: how many more there may have been: their versions are not remembered, and
        ``forgotten`` names these.
    :ivar seconds: how long they took together; None if that is not known.
    :ivar by_people: how many of the versions were made by people.
    """

    steps: int
    named: Sequence[str]
    missing: int
    forgotten: str
    seconds: float | None
    used: Used
    by_people: int = 0


def cost_of(history: StoredHistory, version: int) -> Cost:
    """Return what the steps after a version took."""
    since = [one for one in reversed(history.remembered) if one.version > version]
    steps = [one for one in since if not one.is_by_person]
    gaps = not_remembered(history, version)
    took = [one.took_ms for one in steps if one.took_ms is not None]
    return Cost(
        steps=len(steps),
        named=[f"v{one.version} {one.step}" for one in steps[:_STEPS]],
        missing=sum(one.count for one in gaps),
        forgotten=forgotten(gaps),
        seconds=sum(took) / 1000 if took else None,
        used=used_since(history, version),
        by_people=len(since) - len(steps),
    )


def barred(history: StoredHistory) -> str:
    """Say why the work cannot be put back in its own place; empty if it can."""
    if history.work.state is State.RUNNING:
        return (
            "it is running, and only work that is not can be put back: "
            f"`roost pause {history.work.work_id}` first"
        )
    return ""


def is_late(history: StoredHistory, now: datetime) -> bool:
    """Whether its deadline has passed: it needs a new one to be put back."""
    at_ms = history.work.deadline_ms
    return bool(at_ms) and from_milliseconds(at_ms or 0) <= now


def has_changed(form: Form, plan: Replay) -> bool:
    """Whether what was looked at is not what would be run again.

    A version stays as it is. While work runs its newest version moves on, and new work begins with
    the same one nevertheless.
    """
    seen, now = form.seen, plan.seen
    if seen is None or seen.life != now.life:
        return True
    if plan.state is State.RUNNING and not form.is_in_place:
        return False
    return (seen.version, seen.fence) != (now.version, now.fence)


def fork_id(form: Form) -> str:
    """Return the id of the work that a form begins."""
    return form.id_of_fork() or id_for(form.request)
