"""What a person wants to know at the start, and after a change: what is here, and what to type."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from roost_core import SyncRoost
from roost_core.cli.operate.voice import Voice
from roost_core.errors import RoostError
from roost_core.models import Json, State, WorkerInfo
from roost_core.shown.counts import counted


def enqueue_line(engine: str, example: Json, given: Sequence[str] = ()) -> str:
    """Return the command that gives an engine work.

    :param example: a payload, or None if there is none to offer.
    :param given: options that say where the work is, as they were typed.
    """
    payload = "JSON" if example is None else json.dumps(example, ensure_ascii=False)
    words = ["roost", "enqueue", *given, "--engine", engine, "--payload", payload]
    return shlex.join(words)


def waiting(counts: Mapping[State, int]) -> str | None:
    """Say what work is there already; None if there is none."""
    live = sum(number for state, number in counts.items() if not state.is_terminal)
    if not live:
        return None
    word = "work item is" if live == 1 else "work items are"
    return f"{live} {word} here from before, and may run now: see `roost list`"


def others(workers: Sequence[WorkerInfo]) -> str | None:
    """Say who else works here; None if nobody does."""
    if not workers:
        return None
    names = ", ".join(f"process {one.pid} on {one.host}" for one in workers[:3])
    more = f" and {len(workers) - 3} more" if len(workers) > 3 else ""
    return f"others take work here, too, and may run other code: {names}{more}"


def gone(engines: Iterable[str], left: Mapping[str, int]) -> list[str]:
    """Say which engines are gone, and what waits for them.

    :param left: how many work items of an engine are not at their end, if that is known.
    """
    found = []
    for name in engines:
        number = left.get(name)
        if number == 0:
            found.append(f"the engine {name} is gone")
            continue
        word = "its work" if number is None else f"{number} of its work items"
        found.append(f"the engine {name} is gone; {word} would wait: `roost list engine:{name}`")
    return found


class Greeter:
    """Says it.

    :param roost: a connection; None if there is none, and what it would tell is left out.
    :param given: options that say where the work is.
    :param kept: the folder where work is kept; None on a server of somebody else.
    """

    def __init__(
        self, voice: Voice, roost: SyncRoost | None, given: Sequence[str], kept: Path | None
    ) -> None:
        self._voice, self._roost = voice, roost
        self._given, self._kept = given, kept
        self._engines: Sequence[str] = ()
        self._is_first = True

    def begin(self) -> None:
        """Say what was here before."""
        if self._roost is None:
            return
        try:
            text = others(self._roost.workers())
            if text is not None:
                self._voice.warn(text, "shared")
            text = waiting(self._roost.counts())
            if text is not None:
                self._voice.say(text, "waiting")
        except RoostError as error:
            self._voice.warn(str(error), "unavailable")

    def working(
        self,
        engines: Sequence[str],
        own: Mapping[str, Json],
        files: int,
        *,
        has_changed: bool = True,
    ) -> None:
        """Say that a worker begins.

        :param own: engines that were named, with their examples.
        :param files: how many files are watched.
        :param has_changed: whether it is because of a change; else the one before has died.
        """
        before, self._engines = self._engines, tuple(engines)
        watched = f"{counted(files, 'file')} watched"
        names = ", ".join(own) or "what is installed"
        if not self._is_first:
            what, action = (
                ("reloaded", "reloaded") if has_changed else ("running again", "running_again")
            )
            self._voice.say(f"{what}: {names}; {watched}", action, files=files)
            vanished = sorted(set(before) - set(engines))
            for text in gone(vanished, self._left(vanished)):
                self._voice.warn(text, "gone")
            return
        self._is_first = False
        kept = "" if self._kept is None else f"; work is kept in {self._kept}"
        self._voice.say(f"running {names}; {watched}{kept}", "running", files=files)
        for name, example in own.items():
            line = enqueue_line(name, example, self._given)
            self._voice.say("give it work, in this folder:", "hint", line, command=line)
        if not own:
            self._voice.say(
                "no engine of yours: `roost new NAME` writes one, `roost dev FILE` runs one", "hint"
            )

    def _left(self, engines: Iterable[str]) -> dict[str, int]:
        found = {}
        for name in engines:
            try:
                if self._roost is not None:
                    states = [state for state in State if not state.is_terminal]
                    query = f"engine:{name} state:{','.join(states)}"
                    found[name] = self._roost.count(query).total
            except RoostError:
                continue
        return found
