"""What errors of the server and of the way to it mean, in Roost's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Final

from roost_core.errors import BackendError, BackendUnavailable, RoostError

#: Refusals that pass: the server loads its data, is a replica for now, or has no memory left.
#: Redis 6.2 puts a script's refusal into a sentence of its own: "… 12: -OOM command not …".
_PASSING: Final = re.compile(
    r"(?:^|: -)(?:LOADING|READONLY|OOM|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MISCONF|NOREPLICAS"
    r"|UNBLOCKED|BUSY)\b"
)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn redis-py's and the system's errors into Roost's, in one line that says where.

    :raises BackendUnavailable: no answer, or a refusal that passes.
    :raises BackendError: a refusal that does not.
    """
    try:
        yield
    except RoostError:
        raise
    except Exception as error:
        ours = _in_our_words(where, error)
        if ours is None:
            raise
        raise ours from error


def _in_our_words(where: str, error: Exception) -> BackendError | None:
    # Here, because who meets no error need not wait for the import.
    import redis.exceptions as theirs

    if isinstance(error, theirs.AuthenticationError):
        return BackendError(f"the server at {where} refused the login: {error}")
    if isinstance(error, theirs.ConnectionError | theirs.TimeoutError | OSError):
        return silent(where, error)
    if isinstance(error, theirs.ReadOnlyError | theirs.OutOfMemoryError | theirs.BusyLoadingError):
        return BackendUnavailable(f"the server at {where} refuses for now: {error}")
    if isinstance(error, theirs.RedisError):
        return refused(where, str(error))
    return None


def silent(where: str, reason: object) -> BackendUnavailable:
    """Return what it means that there is no answer."""
    said = str(reason) or type(reason).__name__
    return BackendUnavailable(f"the server at {where} does not answer: {said}")


def refused(where: str, text: str) -> BackendError:
    """Return what a refusal means: ``BackendUnavailable`` if it passes, else ``BackendError``.

    :param text: the server's own words.
    """
    if _PASSING.search(text):
        return BackendUnavailable(f"the server at {where} refuses for now: {text}")
    return BackendError(f"the server at {where} refused: {text}")
