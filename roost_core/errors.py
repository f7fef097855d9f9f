"""Every error that Roost raises on purpose.

The command line prints an expected error as one line and exits with the class's
``exit_code``: 2 when the person has to change what they typed or configured, 1 when the
request was valid but could not be carried out::

    RoostError                      1
    ├── InvalidInput                2   a value that cannot be accepted
    │   ├── SettingsError           2   a setting is unknown or malformed
    │   ├── UnknownEngine           2   nobody offers this engine
    │   └── CodecError              2   bytes or values that are not valid JSON
    ├── PluginError                 2   plugins that cannot be used together
    │   ├── PluginLoadError         2   one plugin that cannot be loaded
    │   └── PluginConflict          2   two plugins that claim one name
    ├── WorkNotFound                1
    ├── VerbUnfit                   1   a verb does not fit the state of the work
    ├── NoWorkHere                  1   nothing was ever enqueued in this place
    ├── WorkIdTaken                 1
    ├── IdempotencyConflict         1
    ├── BackendError                1   the server answered, but refused
    │   └── BackendUnavailable      1   the server did not answer, or refuses for now
    │       └── DiskFull            1   the server cannot write to its disk
    ├── LeaseLost                   1   another worker owns the work now
    ├── VersionConflict             1   the step started from an older snapshot
    ├── VersionGone                 1   an earlier snapshot that is not kept any more
    ├── CorruptRecord               1   stored bytes that do not decode
    │   └── WrittenByNewer          1   stored bytes of a newer Roost, which can read them
    ├── ArtifactError               1
    │   ├── ArtifactNotFound        1
    │   ├── ArtifactCorrupt         1
    │   └── ArtifactDiskFull        1   also a RetryLater: not a failure
    ├── WorkspaceError              1
    └── EngineError                 1   what an engine raises or does wrong
        ├── PermanentError          1   raised by engines: do not retry
        ├── RetryLater              1   raised by engines: not a failure
        ├── StepTimeout             1
        └── InvalidStepResult       1   the engine returned something unusable
"""

from __future__ import annotations

__all__ = [
    "ArtifactCorrupt",
    "ArtifactDiskFull",
    "ArtifactError",
    "ArtifactNotFound",
    "BackendError",
    "BackendUnavailable",
    "CodecError",
    "CorruptRecord",
    "DiskFull",
    "EngineError",
    "IdempotencyConflict",
    "InvalidInput",
    "InvalidStepResult",
    "LeaseLost",
    "NoWorkHere",
    "PermanentError",
    "PluginConflict",
    "PluginError",
    "PluginLoadError",
    "RetryLater",
    "RoostError",
    "SettingsError",
    "StepTimeout",
    "UnknownEngine",
    "VerbUnfit",
    "VersionConflict",
    "VersionGone",
    "WorkIdTaken",
    "WorkNotFound",
    "WorkspaceError",
    "WrittenByNewer",
]


class RoostError(Exception):
    """The root of all expected errors; its text is one line that says what to do."""

    exit_code = 1


class InvalidInput(RoostError):
    """A value given by a person or a program cannot be accepted."""

    exit_code = 2


class SettingsError(InvalidInput):
    """A setting is unknown, malformed or out of its range."""


class UnknownEngine(InvalidInput):
    """Neither an installed plugin nor a live worker offers the engine."""


class CodecError(InvalidInput):
    """A value is not JSON, too large, too deep, or of the wrong shape."""


class PluginError(RoostError):
    """The set of plugins cannot be used as it is."""

    exit_code = 2


class PluginLoadError(PluginError):
    """A plugin cannot be imported or registered; the text names it and the cause.

    :ivar at: file and line of the function that is to blame, if it is known.
    """

    at: tuple[str, int] | None = None


class PluginConflict(PluginError):
    """Two plugins, or two engines, claim the same name; the text names both."""


class WorkNotFound(RoostError):
    """No work item has this id."""


class VerbUnfit(RoostError):
    """What was asked for does not fit the state that the work item is in; nothing was changed."""


class NoWorkHere(RoostError):
    """Nothing was ever enqueued here, and commands that only read create nothing."""


class WorkIdTaken(RoostError):
    """A work item with this id already exists; it was left as it is."""


class IdempotencyConflict(RoostError):
    """The idempotency key was used before, for another engine or payload."""


class BackendError(RoostError):
    """The backend answered and refused for good, for example a login or a command."""


class BackendUnavailable(BackendError):
    """The backend did not answer, or refuses for now.

    :ivar took_no_effect: True if the server refused, so that nothing was changed. Otherwise it is
        unknown whether the request took effect.
    """

    took_no_effect = False


class DiskFull(BackendUnavailable):
    """The server refuses writes because it cannot write to disk; reads work. Nothing was changed.

    Workers wait for room; commands do not, because a person has to make room.
    """

    took_no_effect = True


class LeaseLost(RoostError):
    """The lease's token is not the current one; nothing was changed."""


class VersionConflict(RoostError):
    """The commit does not follow the stored version; nothing was changed."""


class VersionGone(RoostError):
    """A version of a work item's snapshot that is not kept, or never was there."""


class CorruptRecord(RoostError):
    """Stored bytes do not decode. They are kept as they are."""


class WrittenByNewer(CorruptRecord):
    """A newer Roost wrote the stored bytes. They are sound, and left to a Roost that knows them.

    :ivar layout: the number of the layout needed to read them.
    """

    def __init__(self, message: str, layout: int) -> None:
        super().__init__(message)
        self.layout = layout


class ArtifactError(RoostError):
    """An artifact cannot be written or read."""


class ArtifactNotFound(ArtifactError):
    """No artifact has this id."""


class ArtifactCorrupt(ArtifactError):
    """The stored bytes do not hash to the artifact's id."""


class WorkspaceError(RoostError):
    """A workspace cannot be made."""


class EngineError(RoostError):
    """What an engine raises, or does wrong."""


class PermanentError(EngineError):
    """Raised by an engine: retrying cannot help, dead-letter the work item at once."""


class RetryLater(EngineError):
    """Raised by an engine: run the step again later; this does not count as an attempt.

    :param seconds: the delay before the step runs again: 0.1 s at least, ten years at most.
    :param reason: a short text for people: ``roost status`` shows it until then; events keep it.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"retry in {seconds} s")
        self.seconds = seconds
        self.reason = reason


class ArtifactDiskFull(ArtifactError, RetryLater):
    """The artifact store's disk is full. A step that does not catch it runs again, unblamed."""

    def __init__(self, text: str) -> None:
        super().__init__(30.0, text)


class StepTimeout(EngineError):
    """The step took longer than the work item's step timeout."""


class InvalidStepResult(EngineError):
    """An engine hook returned something that is not a usable snapshot."""
