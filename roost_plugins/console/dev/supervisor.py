"""Which worker runs, which is being loaded, and what follows from files, deaths and signals.

At most three workers are alive. *Loading*: it loads its plugins. *Waiting*: these are sound, and it
waits until the one before has ended. *Current*: it works, or lets its last steps end. So code that
cannot be loaded never meets any work, and no two workers take work at the same time.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from roost_core.cli.operate.voice import Voice
from roost_core.errors import RoostError
from roost_plugins.console.dev.messages import Broken, Loading, Message, Ready
from roost_plugins.console.dev.pauses import Pauses
from roost_plugins.console.dev.watching import Settling, Watcher

#: How long steps in flight may take when all of it ends. Seconds.
END_SECONDS: Final = 5.0
#: How long their work may take to be given back: after the first Ctrl-C, and after the second.
_GIVE_BACK_SECONDS: Final = (5.0, 1.0)
#: A worker that has not run Python for this time is stuck. Seconds.
STUCK_SECONDS: Final = 60.0
#: How often files are looked at, and for how much of the time at most. Seconds.
_TURN_SECONDS: Final = 0.25
_MOST_OF_TIME: Final = 0.05


class Member(Protocol):
    """A worker, as :class:`~roost_plugins.console.dev.process.WorkerProcess` is one."""

    pid: int
    began: float | None
    beat: float
    ear: int
    is_stopping: bool
    is_mute: bool

    def messages(self) -> list[Message]:
        """Return what it has told."""

    def go(self) -> None:
        """Let it work."""

    def stop(self) -> None:
        """Let its steps end."""

    def cancel(self, seconds: float) -> None:
        """Let it give its work back."""

    def kill(self) -> None:
        """End it."""

    def tick(self, now: float) -> None:
        """End it if its time is over."""

    def ended(self) -> int | None:
        """Return its exit code."""

    def close(self) -> None:
        """Forget it."""


class Supervisor:
    """Decides what happens; :meth:`turn` makes it happen.

    :param spawn: starts a worker, which loads its plugins.
    :param on_work: called when a worker begins to work; and whether files have changed since the
        one before began.
    :param stuck_after: the setting: 0 means that nothing is stuck.
    """

    def __init__(
        self,
        spawn: Callable[[], Member],
        watcher: Watcher,
        voice: Voice,
        *,
        on_work: Callable[[Ready, bool], None] = lambda _ready, _has_changed: None,
        stuck_after: float = STUCK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spawn, self._watcher, self._voice = spawn, watcher, voice
        self._on_work, self._clock = on_work, clock
        self._stuck_after = min(stuck_after, STUCK_SECONDS)
        self._current: Member | None = None
        self._waiting: Member | None = None
        self._loading: Member | None = None
        #: Those that are not needed any more, until they have ended.
        self._leaving: list[Member] = []
        self._ready: dict[int, Ready] = {}
        self._told_large: set[str] = set()
        self._settling = Settling()
        self._pauses = Pauses()
        self._again_at: float | None = None
        self._why: str | None = None
        self._has_changed = False
        self._stops = 0
        self._cancel_at: float | None = None
        self._look_at = 0.0
        #: Whether a worker that was told to stop had to be killed.
        self.has_killed = False

    # -- what the loop asks --------------------------------------------------------------------

    def start(self) -> None:
        """Load the first worker."""
        self._load()

    def members(self) -> Iterator[Member]:
        """Yield all that are alive."""
        for one in (self._current, self._waiting, self._loading, *self._leaving):
            if one is not None:
                yield one

    @property
    def is_over(self) -> bool:
        """Whether everything has ended, as it was told."""
        return self._stops > 0 and not any(True for _ in self.members())

    def stop(self, number: int) -> None:
        """Obey a signal: let steps end for a while, then give their work back, then just end."""
        self._stops = max(self._stops + 1, 2 if number == signal.SIGQUIT else 1)
        self._again_at = None
        for one in (self._loading, self._waiting):
            if one is not None:
                self._drop(one)
        self._loading = self._waiting = None
        if self._stops == 1 and self._current is not None:
            self._cancel_at = self._clock() + END_SECONDS
            self._voice.say("stopping; Ctrl-C again cancels what still runs", "stopping")
            self._current.stop()
        elif self._stops == 2 and self._current is not None:
            self._current.cancel(_GIVE_BACK_SECONDS[1])
        elif self._stops > 2:
            for one in self.members():
                one.kill()

    def turn(self) -> None:
        """Do what is due."""
        now = self._clock()
        for one in list(self.members()):
            for message in one.messages():
                self._heard(one, message)
            one.tick(now)
            code = one.ended()
            if code is not None:
                for message in one.messages():  # its last words
                    self._heard(one, message)
                self._has_ended(one, code)
        self._check_stuck(now)
        if self._cancel_at is not None and now >= self._cancel_at and self._current is not None:
            self._cancel_at = None
            self._current.cancel(_GIVE_BACK_SECONDS[0])
        if self._stops == 0:
            self._look(now)
            if self._again_at is not None and now >= self._again_at:
                self._load()

    def seconds(self) -> float:
        """Return how long there is nothing to do at most."""
        now = self._clock()
        due = [now + _TURN_SECONDS if self._settling.is_waiting else self._look_at]
        due += [at for at in (self._again_at, self._cancel_at) if at is not None]
        return min(max(0.02, min(due) - now), 1.0)

    # -- files ---------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        if now >= self._look_at:
            changed = self._watcher.changes()
            took = self._clock() - now
            self._look_at = now + max(_TURN_SECONDS, took / _MOST_OF_TIME)
            if self._settling.is_waiting or changed:
                self._look_at = now + 0.05
            self._settling.see(changed, now)
        changed = self._settling.settled(now)
        if changed:
            self._voice.say(f"changed: {_named(changed)}", "changed", files=len(changed))
            self._pauses.reset()
            self._has_changed = True
            self._load()

    def _load(self) -> None:
        """Start a worker that loads what there is now."""
        self._again_at = None
        if self._loading is not None:
            self._drop(self._loading)
            self._loading = None
        try:
            self._loading = self._spawn()
        except RoostError as error:
            self._voice.fail(str(error), "broken", self._what_goes_on())

    def _drop(self, one: Member) -> None:
        one.stop()
        self._leaving.append(one)

    # -- what workers tell ---------------------------------------------------------------------

    def _heard(self, one: Member, message: Message) -> None:
        if isinstance(message, Ready) and one is self._loading:
            self._is_sound(one, message)
        elif isinstance(message, Broken) and one is self._loading:
            self._loading = None
            self._leaving.append(one)
            # Besides what the last sound one has read: the mistake may be there.
            self._watcher.watch_also(message.seen.files, message.seen.folders)
            self._tell_limits()
            first, *more = message.lines
            self._voice.fail(first, "broken", *more, self._what_goes_on())
        elif isinstance(message, Broken) and one is self._current:
            self._why = message.lines[0]
        elif isinstance(message, Loading) and one is self._loading:
            self._voice.warn(f"still loading, at {message.where}", "loading", where=message.where)

    def _is_sound(self, one: Member, ready: Ready) -> None:
        self._loading = None
        self._ready[one.pid] = ready
        self._watcher.watch(ready.seen.files, ready.seen.folders)
        self._tell_limits()
        if self._waiting is not None:
            self._drop(self._waiting)
        self._waiting = one
        if self._current is None:
            self._promote()
        else:
            self._current.stop()

    def _tell_limits(self) -> None:
        for folder in set(self._watcher.too_large) - self._told_large:
            self._told_large.add(folder)
            self._voice.warn(
                f"{folder} has too many files: only those that are imported are watched",
                "too_large",
            )

    def _promote(self) -> None:
        """Let the one that waits work."""
        one, self._waiting = self._waiting, None
        if one is None:
            return
        self._current = one
        self._why = None
        one.go()
        has_changed, self._has_changed = self._has_changed, False
        self._on_work(self._ready.pop(one.pid), has_changed)

    # -- ends ----------------------------------------------------------------------------------

    def _has_ended(self, one: Member, code: int) -> None:
        one.close()
        self._ready.pop(one.pid, None)
        if one in self._leaving:
            self._leaving.remove(one)
        elif one is self._loading:
            self._loading = None
            self._voice.fail(
                f"the process ended while it loaded the code: {how(code)}", "died", code=code
            )
            self._try_again(0.0)
        elif one is self._waiting:
            self._waiting = None
            self._try_again(0.0)
        elif one is self._current:
            self._current = None
            self._current_ended(one, code)

    def _current_ended(self, one: Member, code: int) -> None:
        if one.is_stopping:
            if code == -signal.SIGKILL:
                self.has_killed = True
                self._voice.warn("a step did not let go: its worker was killed", "killed")
        else:
            self._voice.fail(f"the worker has died: {self._why or how(code)}", "died", code=code)
        if self._stops:
            return
        if self._waiting is not None:
            self._promote()
        elif self._loading is None:
            began = one.began if one.began is not None else self._clock()
            self._try_again(self._clock() - began)

    def _try_again(self, lived: float) -> None:
        """Start another worker after a pause, unless one works or comes."""
        if self._stops or self._current is not None or self._waiting is not None:
            return
        pause = self._pauses.after(lived)
        self._again_at = self._clock() + pause
        self._voice.say(f"starting it again in {pause:g} s", "restarting", seconds=pause)

    def _check_stuck(self, now: float) -> None:
        one = self._current
        if one is None or self._stuck_after <= 0 or one.is_stopping:
            return
        silent = now - max(one.beat, one.began or 0.0)
        if silent >= self._stuck_after:
            self._why = f"it was stuck for {silent:.0f} s, and was killed"
            one.beat = now
            one.kill()

    def _what_goes_on(self) -> str:
        if self._current is not None and not self._current.is_stopping:
            return "the code before this continues; the next save tries again"
        if self._waiting is not None:
            return "the last sound code continues; the next save tries again"
        return "no worker runs; the next save tries again"


def how(code: int) -> str:
    """Describe how a process ended."""
    if code >= 0:
        hung = ", because its event loop hung" if code == 75 else ""
        return f"exit code {code}{hung}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _named(paths: list[str]) -> str:
    """Name a few files."""
    names = [Path(path).name for path in paths[:3]]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(names)}{more}"
