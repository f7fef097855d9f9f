"""An engine's hooks, as the stepper calls them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from roost_core.models.snapshot import Snapshot
from roost_core.models.work import WorkItem
from roost_core.plugins.calls import HookCall
from roost_core.values import Json

if TYPE_CHECKING:
    from roost_core.context import StepContext

#: The arguments that an engine's hooks may name; the first call has no snapshot yet.
_ARGUMENTS: Final = ("snapshot", "item", "context")


def _own(places: tuple[int, ...]) -> Callable[[tuple[Any, ...]], Sequence[Any]]:
    """Return what picks a hook's own arguments from all, in its order."""
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda values: [values[place] for place in places]


class EngineHook:
    """One hook of an engine, as the stepper calls it: with every argument that it might name.

    :ivar takes_item: whether it names the work item; what it does not name may be None.
    :ivar takes_context: whether it names the context.
    """

    __slots__ = ("_call", "_own", "takes_context", "takes_item")

    def __init__(self, call: HookCall) -> None:
        self._call = call
        self._own = _own(tuple(_ARGUMENTS.index(name) for name in call.names))
        self.takes_item = "item" in call.names
        self.takes_context = "context" in call.names

    def __call__(
        self, snapshot: Snapshot | None, item: WorkItem | None, context: StepContext | None
    ) -> Coroutine[Any, Any, object]:
        """Call it; the stepper judges what it returns."""
        return self._call.run(self._own((snapshot, item, context)))


class StartsFromPayload:
    """Stands in for the ``init_snapshot`` of an engine that has none: the payload is the data."""

    takes_item = True
    takes_context = False

    async def __call__(self, _snapshot: object, item: WorkItem | None, _context: object) -> object:
        """Make the first snapshot."""
        assert item is not None
        payload = item.payload
        is_object = isinstance(payload, Mapping)
        return Snapshot.start(item, data=dict(payload) if is_object else {"payload": payload})


@attrs.frozen(eq=False)
class OfferedEngine:
    """One engine, as the stepper sees it.

    :ivar engine_id: the name that work items know it by.
    :ivar plugin_name: the plugin that it comes from.
    :ivar max_steps: its own bound on steps in a row, for work without one; or None.
    :ivar example: a payload for people to try it with; or None.
    """

    engine_id: str
    plugin_name: str
    step: EngineHook = attrs.field(repr=False)
    init_snapshot: EngineHook | StartsFromPayload = attrs.field(repr=False)
    max_steps: int | None = None
    example: Json = None

    @classmethod
    def of(
        cls,
        engine_id: str,
        step: HookCall,
        init_snapshot: HookCall | None,
        max_steps: int | None = None,
        example: Json = None,
    ) -> OfferedEngine:
        """Make one of its hooks; the first may be missing."""
        init = StartsFromPayload() if init_snapshot is None else EngineHook(init_snapshot)
        return cls(engine_id, step.plugin_name, EngineHook(step), init, max_steps, example)
