"""A commit as the arguments of the scripts ``advance`` and ``commit``.

First come the step's own, then what only one of the scripts needs, then any number of *parts*: each
is a name, how many values follow, and the values. A part that a commit lacks is not sent, so it
costs nothing on the wire or in the script; ``lua/lib/parts.lua`` takes them apart, and says how to
add one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from roost_core.backend import Commit, Finish, ForkOf, GoOn, Next, Sleep, StoredVersion, Yield
from roost_core.errors import BackendError
from roost_core.models import Lease
from roost_plugins.redis_saq.record.acts import actor_json

_Argument: TypeAlias = str | int | bytes

#: What follows without a delay.
_WORDS: Final[Mapping[type, tuple[_Argument, ...]]] = {
    Finish: ("finish", 0),
    Yield: ("yield", 0),
    GoOn: ("yield", 0),
}


def step(lease: Lease, commit: Commit) -> tuple[_Argument, ...]:
    """Return the arguments that both scripts begin with."""
    return (
        lease.work_id,
        lease.token,
        commit.commit_id,
        commit.expected_version,
        commit.snapshot,
        commit.step,
        f"{commit.took_ms} {lease.worker_id}",
    )


def parts(commit: Commit) -> tuple[_Argument, ...]:
    """Return the parts that the commit has."""
    back, events = commit.back, commit.events
    change = ("change", 1, back) if back else ()
    return (*change, "events", len(events), *events) if events else change


def past(fork: ForkOf) -> tuple[_Argument, ...]:
    """Return what an enqueue says of the version that it begins with (``lua/lib/past.lua``)."""
    first = fork.past
    head = (first.version, first.snapshot, first.step, first.who, first.back)
    known = entries(fork.commits)
    return (*head, fork.origin, first.from_version, actor_json(fork.actor), *known)


def entries(commits: Iterable[StoredVersion]) -> tuple[_Argument, ...]:
    """Return remembered commits, each behind its version."""
    return tuple(word for one in commits for word in (one.version, _entry(one)))


def _entry(one: StoredVersion) -> bytes:
    """Return a remembered commit as it is stored (``lua/lib/history.lua``)."""
    head = f"{one.at_ms} {one.took_ms or 0} {one.worker_id} {one.step}\n"
    return head.encode() + one.back


def what_follows(next_: Next) -> tuple[_Argument, ...]:
    """Return what a step that ends its lease asks for, with its delay in milliseconds.

    A step that cannot continue, because the deadline has passed, yields: the next claim notices.

    :raises BackendError: this backend does not offer it.
    """
    word = _WORDS.get(type(next_))
    if word is not None:
        return word
    if isinstance(next_, Sleep):
        return ("sleep", next_.delay_ms)
    raise BackendError(f"this backend does not offer {type(next_).__name__} after a step")
