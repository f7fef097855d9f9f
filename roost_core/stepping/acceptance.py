"""Which results of an engine are accepted as the next snapshot: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from roost_core.errors import InvalidInput, InvalidStepResult
from roost_core.models.checks import check_label, check_seconds
from roost_core.models.snapshot import Artifact, Snapshot, unchecked_snapshot
from roost_core.models.work import WorkItem

#: Names with a meaning in a stored snapshot, so ``extra`` may not use them.
_RESERVED: Final = frozenset({"schema", *(field.name for field in attrs.fields(Snapshot))})
#: What may hold a snapshot's artifacts. A union of types would be made in each call.
_SEQUENCES: Final = (list, tuple)


def is_empty(result: object, given: Snapshot | None) -> bool:
    """Whether an engine returns nothing new: no snapshot, or the very one it was given."""
    return result is None or (given is not None and result is given)


def accept(result: object, item: WorkItem, version: int, given: Snapshot | None = None) -> Snapshot:
    """Return an engine's result as the snapshot to commit.

    :param given: the snapshot that the engine was given, of ``version``. It is not accepted itself,
        nor is a descendant of an earlier one: such a step got nowhere, or went backwards, and would
        run for ever.

    The version becomes ``version + 1``, whatever the engine wrote there, and the times are left to
    the server. A finished snapshot has no delay.

    :raises InvalidStepResult: in one line, what the engine returned instead.
    :raises InvalidInput: ``step`` is not a valid label.
    """
    snapshot = _of_the_item(result, item)
    if given is not None:
        _check_descent(snapshot, given, item.engine)
    delay = _check_fields(snapshot, item.engine)
    if given is None or snapshot.step is not given.step:
        check_label(snapshot.step, "step")
    # Everything else was checked above, or is filled in by the server.
    return unchecked_snapshot(
        snapshot.work_id,
        snapshot.engine,
        version + 1,
        snapshot.step,
        snapshot.data,
        tuple(snapshot.artifacts),
        snapshot.is_finished,
        None if snapshot.is_finished or not delay else delay,
        None,
        None,
        None,
        snapshot.extra,
    )


def _of_the_item(result: object, item: WorkItem) -> Snapshot:
    if not isinstance(result, Snapshot):
        hint = "; did a branch forget its return?" if result is None else ""
        raise InvalidStepResult(
            f"engine {item.engine} returned {_shown(result)}, not a Snapshot{hint}"
        )
    work_id, engine = result.work_id, result.engine
    if not (
        isinstance(work_id, str)
        and work_id == item.work_id
        and isinstance(engine, str)
        and engine == item.engine
    ):
        raise InvalidStepResult(
            f"engine {item.engine} returned a snapshot of "
            f"{_shown_id(work_id)} ({_shown_id(engine)}), "
            f"not of {item.work_id}: make it with snapshot.evolve(...)"
        )
    return result


def _check_fields(result: Snapshot, engine: str) -> float:
    """Check what an engine writes; return the delay that it requests, in seconds."""
    if not _is_mapping(result.data):
        raise InvalidStepResult(f"engine {engine}: data must be an object")
    # A generator would be empty after the check.
    artifacts = result.artifacts
    if not isinstance(artifacts, _SEQUENCES) or (
        artifacts and not all(isinstance(one, Artifact) for one in artifacts)
    ):
        raise InvalidStepResult(
            f"engine {engine}: artifacts must hold what context.artifacts.put_… returned"
        )
    if not isinstance(result.is_finished, bool) or not isinstance(result.step, str):
        raise InvalidStepResult(f"engine {engine}: is_finished or step has the wrong type")
    if not _is_mapping(result.extra) or not _RESERVED.isdisjoint(result.extra):
        raise InvalidStepResult(f"engine {engine}: an engine must not write to extra")
    if result.next_step_delay_seconds is None:
        return 0.0
    try:
        return check_seconds(result.next_step_delay_seconds, "next_step_delay_seconds")
    except InvalidInput as error:
        raise InvalidStepResult(f"engine {engine}: {error}") from error


def _check_descent(result: Snapshot, given: Snapshot, engine: str) -> None:
    if result is given:
        raise InvalidStepResult(
            f"engine {engine} returned the snapshot that it was given: "
            "make the next one with snapshot.evolve(...) or snapshot.finish(...)"
        )
    # 0 is one made from scratch. Anything else that is not an older version is the engine's
    # invention.
    if type(result.version) is int and 0 < result.version < given.version:
        raise InvalidStepResult(
            f"engine {engine} returned a snapshot made from version {result.version}, "
            f"but it was given version {given.version}: evolve that one"
        )


def _is_mapping(value: object) -> bool:
    # Checking against an abstract class is slow, and it is nearly always a dict.
    return isinstance(value, dict) or isinstance(value, Mapping)  # noqa: SIM101


def _shown(result: object) -> str:
    if result is None:
        return "None"
    return f"a {type(result).__name__}"


def _shown_id(value: object) -> str:
    return f"{value:.80}" if isinstance(value, str) else _shown(value)
