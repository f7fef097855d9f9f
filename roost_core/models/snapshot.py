"""An engine's state after a step, and the artifacts that it names."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from roost_core.models.checks import ARTIFACT_ID, EXTENSION, at_least, label, matching
from roost_core.models.work import WorkItem
from roost_core.values import Json, Value, unchecked


@attrs.frozen(eq=False, repr=False)
class Artifact(Value):
    """Bytes that an engine produced, named by their SHA-256 in lower-case hex."""

    artifact_id: str = attrs.field(validator=matching(ARTIFACT_ID, "artifact id"))
    size_bytes: int = attrs.field(validator=at_least(0))
    ext: str = attrs.field(default="bin", validator=matching(EXTENSION, "artifact extension"))
    name: str | None = attrs.field(default=None, validator=label)
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False, repr=False)
class Snapshot(Value):
    """An engine's state after a step.

    Engines make the first with :meth:`start` and each next one with :meth:`evolve` or
    :meth:`finish`. Only the runtime numbers versions, checks the result and fills in the three
    times; whatever an engine writes there is replaced.
    """

    work_id: str
    engine: str
    version: int = 0
    step: str = attrs.field(default="init", validator=label)
    data: Mapping[str, Json] = attrs.field(factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    is_finished: bool = False
    next_step_delay_seconds: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    extra: Mapping[str, Json] = attrs.field(factory=dict, repr=False)

    @classmethod
    def start(cls, item: WorkItem, **fields: Any) -> Snapshot:
        """Make the first snapshot of a work item; ``fields`` are this class's own."""
        return cls(work_id=item.work_id, engine=item.engine, **fields)

    def evolve(self, **changes: Any) -> Snapshot:
        """Make the next snapshot: this one with ``changes``.

        A delay is not inherited: without ``next_step_delay_seconds`` the next
        step follows at once. The label ``step`` is, except that ``init`` becomes
        ``step``, and ``done`` if the work is finished.
        """
        is_labelled = "step" in changes
        changes.setdefault("next_step_delay_seconds", None)
        if changes.get("is_finished"):
            changes.setdefault("step", "done")
        elif self.step == "init":
            changes.setdefault("step", "step")
        if is_labelled:
            return attrs.evolve(self, **changes)
        # There is nothing new to check, and each step passes through here.
        values = list(_snapshot_values(self))
        try:
            for name, value in changes.items():
                values[_PLACES[name]] = value
        except KeyError:
            # It says which name is none.
            return attrs.evolve(self, **changes)
        return unchecked_snapshot(*values)

    def finish(self, **changes: Any) -> Snapshot:
        """Make the last snapshot: finished, and labelled ``done`` unless given."""
        return self.evolve(is_finished=True, **changes)


_SNAPSHOT_FIELDS: Final = tuple(one.name for one in attrs.fields(Snapshot))
_snapshot_values: Final = operator.attrgetter(*_SNAPSHOT_FIELDS)
_PLACES: Final = {name: place for place, name in enumerate(_SNAPSHOT_FIELDS)}
#: Makes a snapshot from checked values for all fields.
unchecked_snapshot: Final = unchecked(Snapshot)
