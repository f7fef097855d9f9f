"""One connection for script calls: calls go out in groups, answers come back in order.

The lanes of a worker share a connection, so that they share the cost of each system
call on both sides. Calls do not wait for the answers to earlier ones: a group leaves
as soon as it is large enough, or when the event loop has nothing else to do, so that
the server works on one group while this process makes the next.

hiredis packs the calls and reads the answers. redis-py's own way, a coroutine per answer, takes
about as long as the rest of a step's path through the client: ``docs/performance.md`` has the
figures.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import hiredis

from roost_plugins.redis_saq.connection.endpoint import COMMAND_TIMEOUT
from roost_plugins.redis_saq.connection.line import Line
from roost_plugins.redis_saq.connection.refusals import garbled, refused, silent
from roost_plugins.redis_saq.scripts import Script

#: As soon as this many calls wait, they are sent. Few enough that the server has something to do
#: while the ten lanes of a usual worker make the next ones; and more than half of these, so that
#: the claim that follows the calls of one half leaves in the same write.
_GROUP: Final = 6


class Call:
    """A command, ready to be sent, and the future of its answer.

    :ivar words: all of it, or the arguments of ``script`` if it calls one.
    :ivar at_once: whether others wait for it: it is not held back, and its answer comes first.
    """

    __slots__ = ("answer", "at_once", "packed", "script", "words")

    def __init__(
        self,
        words: tuple[Any, ...],
        answer: asyncio.Future[Any],
        script: Script | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """Pack it at once, so that an argument that cannot be sent fails here."""
        self.words = words
        self.answer = answer
        self.script = script
        self.at_once = at_once
        packed: bytes = hiredis.pack_command(words)
        if script is not None:
            # Without the number of arguments, which comes first.
            packed = script.head(len(words)) + packed[packed.index(b"\n") + 1 :]
        self.packed = packed

    @property
    def is_script(self) -> bool:
        """Whether it calls a script, by its name or with its source."""
        return self.script is not None or self.words[0] == "EVAL"

    def by_source(self) -> Call:
        """Return the same call with the script's source, which the server then knows."""
        assert self.script is not None
        # Without its script, so that it is not repeated again.
        return Call((*self.script.by_source, *self.words), self.answer)

    def succeed(self, value: Any) -> None:
        """Pass the answer to its caller, if it still waits."""
        if not self.answer.done():
            self.answer.set_result(value)

    def fail(self, error: Exception) -> None:
        """Pass the error to its caller, if it still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Pipe(Line):
    """A connection in use, made by an event loop or from a redis-py connection.

    :param where: the server, as error messages name it.
    :param on_end: called once, with the reason, when the connection becomes unusable.
    :ivar ended: why it is unusable, or None.
    :ivar was_served: whether the server has carried out a script here, or before.
    """

    def __init__(self, where: str, on_end: Callable[[Pipe, Exception], None]) -> None:
        super().__init__(where)
        self._on_end = on_end
        self._reader = hiredis.Reader()
        self._waiting: list[Call] = []
        self._asked: deque[Call] = deque()
        self._flush_is_due = False
        self._is_full = False
        self.was_served = False
        self._outdated: Exception | None = None
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def send(self, call: Call) -> None:
        """Send a call: at once, with everything that waits, or soon."""
        self._waiting.append(call)
        if call.at_once or len(self._waiting) >= _GROUP:
            self._flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_rest)

    def end(self, reason: Exception) -> None:
        """Close the connection; calls without an answer fail."""
        if self.ended is not None:
            return
        self.ended = reason
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        calls = [*self._asked, *self._waiting]
        self._asked.clear()
        self._waiting.clear()
        for call in calls:
            call.fail(reason)
        self._on_end(self, reason)

    # -- out -------------------------------------------------------------------------------

    def _flush_rest(self) -> None:
        self._flush_is_due = False
        self._flush()

    def _flush(self) -> None:
        if self._is_full and self.ended is None:
            return
        # If the caller has given up, send nothing: a claim would belong to nobody.
        calls = [call for call in self._waiting if not call.answer.done()]
        self._waiting.clear()
        self._write(calls)

    def _write(self, calls: list[Call]) -> None:
        if not calls:
            return
        if self.ended is not None:
            for call in calls:
                call.fail(self.ended)
            return
        if not self._asked:
            self._heard_at = self._loop.time()
            if self._watch is None:
                self._watch = self._loop.call_later(COMMAND_TIMEOUT, self._look)
        self._asked.extend(calls)
        self._transport.write(b"".join([call.packed for call in calls]))

    def _look(self) -> None:
        """End the connection if the server has been silent for too long over a call."""
        self._watch = None
        if not self._asked:
            return
        left = self._heard_at + COMMAND_TIMEOUT - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.end(silent(self._where, f"nothing for {COMMAND_TIMEOUT:g} s"))

    # -- asyncio.Protocol ------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Hold back what is not sent yet: the server is slower than we are."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Send what was held back."""
        self._is_full = False
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that have come."""
        self._heard_at = self._loop.time()
        later: list[tuple[Call, Any]] = []
        try:
            self._reader.feed(data)
            while (value := self._reader.gets()) is not False:
                is_refusal = isinstance(value, hiredis.ReplyError)
                if is_refusal and not self._asked:
                    # An unrequested answer: the server says why it hangs up.
                    self._outdated = refused(self._where, str(value))
                    break
                call = self._asked.popleft()
                if is_refusal:
                    self._refused(call, str(value))
                else:
                    if not self.was_served:
                        self.was_served = call.is_script
                    if call.at_once:
                        call.succeed(value)
                    else:
                        later.append((call, value))
        except (hiredis.HiredisError, IndexError) as error:
            self._outdated = garbled(self._where, error)
        for call, value in later:
            call.succeed(value)
        if self._outdated is not None:
            self.end(self._outdated)

    def _refused(self, call: Call, text: str) -> None:
        if text.startswith("NOSCRIPT") and call.script is not None:
            if not call.answer.done():
                self._write([call.by_source()])
            return
        error = refused(self._where, text, was_served=self.was_served)
        call.fail(error)
        if text.startswith(("READONLY", "NOAUTH")) or "-READONLY" in text:
            # After a failover the same name may lead to the new primary; and a login that the
            # server now requires needs a new connection.
            self._outdated = error
