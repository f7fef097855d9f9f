"""Blocking functions alongside the event loop, in daemon threads.

A step that hangs must never keep a worker from stopping. ``asyncio.to_thread`` (a
``ThreadPoolExecutor``) and anyio both wait for their threads when the process ends, so one hung
call keeps the process alive for ever. Here every thread is a daemon: a waiting caller can be
cancelled at once, the thread continues alone, its result is dropped, and the next call gets another
thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import queue
import threading
import time
import types
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar, TypeVarTuple

import attrs

from roost_core.errors import EngineError
from roost_core.retry import name_of, text_of
from roost_core.values import Value

#: A thread without work ends after this many seconds.
DEFAULT_IDLE_SECONDS: Final = 10.0
#: The exit code of a forked child that returned from a plugin's function (``EX_SOFTWARE``).
FORKED_RETURNED: Final = 70

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")


class DaemonThreads:
    """A crew of daemon threads that grows with the calls in flight and shrinks when idle.

    There is no upper bound: the caller limits the calls in flight, and an abandoned call keeps its
    thread while it runs; those are counted.

    :param name: the first part of the threads' names.
    :param idle_seconds: how long a thread without work is kept.
    """

    def __init__(
        self, name: str = "roost-thread", *, idle_seconds: float = DEFAULT_IDLE_SECONDS
    ) -> None:
        self._crew = _Crew(name, idle_seconds)
        # The threads refer only to the crew, so a forgotten pool is collected and ends them.
        weakref.finalize(self, self._crew.close).atexit = False

    async def run(self, function: Callable[[*_Args], _Result], /, *args: *_Args) -> _Result:
        """Call ``function(*args)`` in a thread, with a copy of the context variables.

        What it raises is raised here. What would end a thread or a loop instead
        of a call (``SystemExit``, ``KeyboardInterrupt``, ``CancelledError`` out of
        the function itself) arrives as an ``EngineError`` with the original as its
        cause; ``StopIteration``, which no coroutine can raise, as ``RuntimeError``.

        Cancelling the wait takes effect at once and does not stop the function.

        :raises RuntimeError: the pool is closed.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_Answer] = loop.create_future()
        job = _Job(function, args, contextvars.copy_context(), loop, outcome)
        self._crew.submit(job)
        try:
            answer = await outcome
        except asyncio.CancelledError:
            self._crew.give_up(job)
            raise
        # Taken out, because the error's frames hold the job, and the job the error: avoid a cycle.
        error, value = answer.pop(), answer.pop()
        if error is not None:
            try:
                raise error
            finally:
                del error  # as above: its traceback holds this frame, too
        result: _Result = value
        return result

    def left_running(self) -> list[Left]:
        """Return the abandoned calls that still run. Safe from any thread."""
        return self._crew.left_running()

    def count_left(self) -> int:
        """Return how many abandoned calls still run. Safe from any thread."""
        return len(self._crew.left)

    @property
    def idle(self) -> int:
        """How many threads wait for work."""
        return len(self._crew.idle)

    def close(self) -> None:
        """Refuse new calls and end each thread as soon as it has nothing to do.

        Does not wait: a hung call runs on until the process ends. May be called twice.
        """
        self._crew.close()


@attrs.frozen(eq=False, repr=False)
class Left(Value):
    """An abandoned call that still runs, in the thread with this id.

    ``since`` is when it was abandoned, by the monotonic clock.
    """

    name: str
    thread: int
    since: float
    context: contextvars.Context = attrs.field(eq=False, repr=False)


#: What a function has returned, and what it has raised, or None.
_Answer = list[Any]


@attrs.define(eq=False)
class _Job:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    context: contextvars.Context
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[_Answer]
    thread: int = 0
    is_over: bool = False

    def run(self) -> tuple[Any, Exception | None]:
        if self.future.cancelled():
            return None, None
        pid = os.getpid()
        self.thread = threading.get_ident()
        try:
            return self.context.run(self.function, *self.args), None
        except Exception as error:  # noqa: BLE001 - it is raised where the call is awaited
            return None, error
        except BaseException as error:  # noqa: BLE001 - as above, and it must not end the thread
            end_if_forked(pid, error)
            return None, engine_error(self.function, error)
        finally:
            end_if_forked(pid)

    def deliver(self, value: Any, error: Exception | None) -> None:
        if self.future.cancelled():
            _discard(value)
            return
        try:
            self.loop.call_soon_threadsafe(_settle, self.future, value, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            _discard(value)


class _Crew:
    """What threads and pool share. An idle thread is identified by the inbox that it waits on."""

    def __init__(self, name: str, idle_seconds: float) -> None:
        self.idle: list[queue.SimpleQueue[_Job | None]] = []
        self._name = name
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._is_closed = False
        self._numbers = itertools.count(1)
        self.left: dict[_Job, float] = {}

    def submit(self, job: _Job) -> None:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("these threads are closed")
            # The last one parked has the warmest caches, and lets the others run out.
            inbox = self.idle.pop() if self.idle else None
        if inbox is None:
            # Through the inbox, because a thread keeps its arguments while it lives.
            inbox = queue.SimpleQueue()
            name = f"{self._name}-{next(self._numbers)}"
            threading.Thread(target=_work, args=(self, inbox), name=name, daemon=True).start()
        inbox.put(job)

    def give_up(self, job: _Job) -> None:
        """Record that nobody waits for a job any more."""
        with self._lock:
            if not job.is_over:
                self.left[job] = time.monotonic()

    def left_running(self) -> list[Left]:
        if not self.left:
            return []
        with self._lock:
            left = list(self.left.items())
        return [Left(_name(job.function), job.thread, at, job.context) for job, at in left]

    def park(self, inbox: queue.SimpleQueue[_Job | None], job: _Job) -> bool:
        """Offer an inbox for the next job after this one; False when the crew is closed."""
        with self._lock:
            job.is_over = True
            self.left.pop(job, None)
            if not self._is_closed:
                self.idle.append(inbox)
            return not self._is_closed

    def next_job(self, inbox: queue.SimpleQueue[_Job | None]) -> _Job | None:
        """Wait on a parked inbox; None means to end."""
        try:
            return inbox.get(timeout=self._idle_seconds)
        except queue.Empty:
            with self._lock:
                if inbox in self.idle:
                    self.idle.remove(inbox)
                    return None
        return inbox.get()  # picked at the last moment: the job is on its way

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self.idle = self.idle, []
        for inbox in idle:
            inbox.put(None)


def _work(crew: _Crew, inbox: queue.SimpleQueue[_Job | None]) -> None:
    job = inbox.get()
    while job is not None:
        value, error = job.run()
        # Parked before the answer is sent, so that an immediate next call finds this thread.
        goes_on = crew.park(inbox, job)
        job.deliver(value, error)
        job = value = error = None  # an idle thread keeps nothing alive
        if goes_on:
            job = crew.next_job(inbox)


def _settle(future: asyncio.Future[_Answer], value: Any, error: Exception | None) -> None:
    if future.done():
        _discard(value)
    else:
        future.set_result([value, error])


def _discard(value: Any) -> None:
    # A dropped coroutine would complain that nobody awaited it.
    # By its type: isinstance() consults the value, whose code is the engine's.
    if issubclass(type(value), types.CoroutineType):
        value.close()


def end_if_forked(pid: int, error: BaseException | None = None) -> None:
    """End this process, if it is a child that a function has forked and returned from.

    It would continue as a second worker, with the leases and the connections of the first.

    :param pid: the process in which the function was called.
    :param error: what it raised; a ``SystemExit`` has the child's exit code.
    """
    if os.getpid() == pid:
        return
    if isinstance(error, SystemExit):
        code = error.code
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
    os._exit(FORKED_RETURNED)


def engine_error(function: Callable[..., Any], error: BaseException) -> EngineError:
    """Wrap what must not leave a plugin's function unchanged, with the original as the cause.

    Raises nothing, whatever the error's and the function's own code does.
    """
    wrapped = EngineError(f"{_name(function)} raised {name_of(error)}({text_of(error)})")
    wrapped.__cause__ = error
    return wrapped


def _name(function: Callable[..., Any]) -> str:
    try:
        return str(getattr(function, "__qualname__", type(function).__qualname__))
    except BaseException:  # noqa: BLE001 - a callable object may be the engine's
        return "a function without a name"


# Each loop has its own pool, which goes away with the loop: nothing crosses between loops.
_pools: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, DaemonThreads]] = (
    weakref.WeakKeyDictionary()
)
_pools_lock: Final = threading.Lock()


async def run_in_thread(function: Callable[[*_Args], _Result], /, *args: *_Args) -> _Result:
    """Call ``function(*args)`` in a daemon thread of the running loop's own pool.

    See :meth:`DaemonThreads.run` for errors and cancellation.
    """
    return await pool_of(asyncio.get_running_loop()).run(function, *args)


def pool_of(loop: asyncio.AbstractEventLoop) -> DaemonThreads:
    """Return a loop's own pool, which starts without threads."""
    with _pools_lock:
        pool = _pools.get(loop)
        if pool is None:
            pool = _pools[loop] = DaemonThreads("roost-step")
        return pool
