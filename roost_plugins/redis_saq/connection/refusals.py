"""What errors of the server and the connection mean, in Roost's terms."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from typing import Final

from roost_core.errors import BackendError, BackendUnavailable, DiskFull, RoostError
from roost_plugins.redis_saq.embedded.folder import is_full

#: The system has no more files or sockets for this process, or at all.
_USED_UP: Final = frozenset({errno.EMFILE, errno.ENFILE})
#: The error of a server without free connections.
_FULL: Final = "max number of clients"

#: Refusals that pass: the server loads its data, is a replica for now, or has no memory left.
#: Redis 6.2 wraps a script's refusal in a sentence: "… 12: -OOM command not …".
_PASSING: Final = (
    r"(?:^|: -)(?:LOADING|READONLY|OOM|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MISCONF|NOREPLICAS"
    r"|UNBLOCKED|BUSY)\b"
)
#: The error of a server whose append-only file cannot be written; in a script, its place follows.
_DISK: Final = r"MISCONF Errors writing to the AOF file: (.+?)(?: script: |\.?$)"
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded")
#: What precedes the home folder in the description of the embedded server.
EMBEDDED: Final = "embedded server in "

#: Refusals of our identity. They are permanent, unless the server has served us before: then a
#: person is changing passwords or permissions, and finished work must not be thrown away.
_LOGIN: Final = r"(?:^|: -)(?:NOAUTH|NOPERM|WRONGPASS)\b"

#: Errors of the system, TLS and redis-py that will recur at the next try.
_LASTING: Final = {"AuthenticationError", "AuthorizationError", "PermissionError", "SSLError"}
#: TLS errors that mean the other side has gone.
_ENDS_OF_TLS: Final = {"SSLEOFError", "SSLZeroReturnError", "SSLSyscallError"}


@contextlib.contextmanager
def translated(where: str, *, was_served: bool = False) -> Iterator[None]:
    """Turn redis-py's and the system's errors into Roost's, in one line that says where.

    :param was_served: whether the server has served this login before.
    :raises BackendUnavailable: no answer, or a refusal that passes.
    :raises BackendError: a refusal that does not.
    """
    try:
        yield
    except RoostError:
        raise
    except Exception as error:
        ours = _in_our_words(where, error, was_served)
        if ours is None:
            raise
        raise ours from error


def _in_our_words(where: str, error: Exception, was_served: bool) -> BackendError | None:
    if _is_used_up(error):
        return BackendUnavailable(
            f"no connection to the server at {where}: too many open files; "
            "close some, or raise the limit (ulimit -n)"
        )
    # Here, so that nothing waits for the import unless there is an error.
    from roost_plugins.redis_saq.connection.redis_py import redis

    theirs = redis.exceptions
    if isinstance(error, theirs.ConnectionError) and isinstance(error.__cause__, theirs.RedisError):
        # This is how the asyncio client reports a login refused on connecting.
        error = error.__cause__
    if isinstance(error, theirs.AuthenticationError | theirs.NoPermissionError):
        what = "the login" if isinstance(error, theirs.AuthenticationError) else "a command"
        if was_served:
            return _for_now(f"the server at {where} refuses {what} for now: {error}")
        return BackendError(_login(f"the server at {where} refused {what}: {error}"))
    if isinstance(error, theirs.ConnectionError | theirs.TimeoutError | OSError):
        return refused(where, str(error)) if _FULL in str(error) else silent(where, error)
    if isinstance(error, theirs.ReadOnlyError | theirs.OutOfMemoryError | theirs.BusyLoadingError):
        return _for_now(f"the server at {where} refuses for now: {error}")
    if isinstance(error, theirs.RedisError):
        return refused(where, str(error))
    return None


def is_lasting(error: BaseException) -> bool:
    """Return whether waiting cannot help: the login is refused, TLS does not match, or the like.

    redis-py may wrap the cause in an error that says only that there is no connection.
    """
    chain: BaseException | None = error
    while chain is not None:
        kinds = {kind.__name__ for kind in type(chain).__mro__}
        # By name, so that they are imported only if one occurs.
        if kinds & _LASTING and not kinds & _ENDS_OF_TLS:
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _is_used_up(error: BaseException | None) -> bool:
    # redis-py raises its own error, with the system's as the context.
    while error is not None:
        if isinstance(error, OSError) and error.errno in _USED_UP:
            return True
        error = error.__cause__ or error.__context__
    return False


def garbled(where: str, error: Exception) -> BackendUnavailable:
    """Return the error for an answer that is not valid in the Redis protocol."""
    return BackendUnavailable(f"the server at {where} does not speak the Redis protocol: {error}")


def silent(where: str, reason: object) -> BackendUnavailable:
    """Return the error for a missing answer."""
    # A sentinel's client describes itself at great length.
    said = str(reason).partition(" : <redis.")[0] or type(reason).__name__
    # Advice follows, behind a semicolon.
    said = said.rstrip(".")
    return BackendUnavailable(f"the server at {where} does not answer: {said}{_full(where)}")


def _full(where: str) -> str:
    """Return the likely cause: a server that syncs each write exits when it cannot."""
    home = where.removeprefix(EMBEDDED)
    return f"; the disk of {home} is full: make room there" if is_full_home(where) else ""


def is_full_home(where: str) -> bool:
    """Return whether this is the embedded server, by its description, and its disk is full."""
    return where.startswith(EMBEDDED) and is_full(where.removeprefix(EMBEDDED))


def refused(where: str, text: str, *, was_served: bool = False) -> BackendError:
    """Return what a refusal means: ``BackendUnavailable`` if it passes, else ``BackendError``.

    :param text: the server's own words.
    :param was_served: whether the server has served this login before.
    """
    if "WRONGTYPE" in text:
        # Nothing can be stored before a person repairs it, and nothing need be lost until then.
        # Part of the request may have taken effect: repeating it completes it.
        return BackendUnavailable(
            f"the server at {where} refuses for now: a key of the queue is damaged, it holds a "
            "value of another type: roost doctor names it, roost doctor --repair fixes it"
        )
    disk = re.search(_DISK, text)
    if disk:
        return _disk(where.removeprefix(EMBEDDED), disk[1])
    if re.search(_PASSING, text) or (was_served and re.search(_LOGIN, text)):
        return _for_now(f"the server at {where} refuses for now: {text}")
    if _FULL in text:
        return _for_now(
            f"the server at {where} accepts no more connections: {text}; "
            "close some, or raise its maxclients"
        )
    told = f"the server at {where} refused: {text}"
    return BackendError(_login(told) if re.search(_LOGIN, text) else told)


def _login(told: str) -> str:
    """Add to a refusal of our identity where the login is set."""
    return (
        f"{told.rstrip('.')}; the login is in ROOST_REDIS_URL: "
        "redis://USER:PASSWORD@HOST, unix://USER:PASSWORD@/PATH"
    )


def _for_now(text: str) -> BackendUnavailable:
    error = BackendUnavailable(text)
    error.took_no_effect = True
    return error


def _disk(place: str, cause: str) -> DiskFull:
    if cause in _NO_ROOM:
        return DiskFull(
            f"the disk of {place} is full: make room there; until then it is read-only ({cause})"
        )
    return DiskFull(f"the disk of {place} can be read but not written: {cause}")
