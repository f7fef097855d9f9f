"""What keeps the work of an engine from running, and what to type about it. Pure.

Whatever tells people why work waits, and what would change that, has its words from here: ``why``,
``status``, ``watch``, ``list``, ``doctor``, and the hint of ``enqueue``.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from roost_core.backend.orders import Halt
from roost_core.codec.times import from_milliseconds
from roost_core.models.standing import WorkMeta
from roost_core.models.work import State
from roost_core.shown.redaction import clean
from roost_core.shown.spans import span
from roost_core.values import Value

#: What a retry needs besides, by the kind of the error.
_NEW_LIMITS: Final[Mapping[str, str]] = {"deadline": " --deadline 2h", "steps": " --max-steps 0"}
#: The longest text of others, such as an error's message, in a sentence. Characters.
_LONGEST: Final = 200


def brief(text: object) -> str:
    """Return a text of others on one line, secrets hidden, and cut if it is long."""
    found = clean(text)
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"


@attrs.frozen(eq=False, repr=False)
class Bar(Value):
    """What keeps all work of an engine from running.

    :ivar words: what it is, without a capital and a full stop.
    :ivar command: what would change that.
    """

    words: str
    command: str

    @property
    def hint(self) -> str:
        """Both, on one line."""
        return " ".join(self.hint_lines)

    @property
    def hint_lines(self) -> tuple[str, str]:
        """Both, on a line each."""
        return f"{self.words};", f"try `{self.command}`"


def bar(
    engine: str, halt: Halt | None, offering: int, now: datetime, known: Sequence[str] | None = None
) -> Bar | None:
    """Return what keeps all work of an engine from running, or None if nothing does.

    :param halt: who holds it, if somebody does.
    :param offering: how many live workers offer it.
    :param now: the server's clock.
    :param known: as for :func:`worker_command`.
    """
    if halt is not None:
        because = "" if halt.actor.reason is None else f": {brief(halt.actor.reason)}"
        held_for = span(max(0.0, (now - from_milliseconds(halt.since_ms)).total_seconds()))
        who = f"held by {brief(halt.actor.who)} for {held_for}{because}"
        return Bar(f"engine {engine} has been {who}", release_command(engine))
    if not offering:
        return Bar(f"no live worker offers engine {engine}", worker_command(engine, known))
    return None


def worker_command(engine: str, known: Sequence[str] | None = None) -> str:
    """Return what starts a worker for an engine; ``PATH`` is for people to fill in.

    :param known: the words that name its plugin, none if that is installed; None if it is not
        known here.
    """
    words = ("--plugin", "PATH") if known is None else known
    return shlex.join(["roost", "worker", *words, "--engines", engine])


def release_command(engine: str) -> str:
    """Return what releases an engine that is held."""
    return f"roost resume --engine {engine}"


def resume_command(work_id: str) -> str:
    """Return what lets paused work continue."""
    return f"roost resume {work_id}"


def retry_command(work_id: str, error_kind: str | None = None) -> str:
    """Return what puts work back that has ended; with the new limit that such an error needs."""
    return f"roost retry {work_id}{_NEW_LIMITS.get(error_kind or '', '')}"


def is_damaged(meta: WorkMeta) -> bool:
    """Whether work has ended because what is stored of its versions does not decode."""
    error = meta.error if meta.state is State.FAILED else None
    return error is not None and error.kind == "corrupt" and meta.version > 0


def replay_command(work_id: str) -> str:
    """Return what lets work continue from an earlier version; ``N`` is for people to fill in."""
    return f"roost replay {work_id} --from-version N --in-place"


def history_command(work_id: str) -> str:
    """Return what lists the versions of a work item, and which of them can be read."""
    return f"roost history {work_id}"


def next_command(meta: WorkMeta) -> tuple[str, str] | None:
    """Return the verb for work that only continues if people want it to, and the command."""
    if is_damaged(meta):
        return "replay", replay_command(meta.work_id)
    if meta.state in (State.FAILED, State.CANCELLED):
        kind = meta.error.kind if meta.error and meta.state is State.FAILED else None
        return "retry", retry_command(meta.work_id, kind)
    if meta.state is State.PAUSED:
        return "resume", resume_command(meta.work_id)
    return None
