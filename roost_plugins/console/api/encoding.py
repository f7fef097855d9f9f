"""Answers as JSON: each model as the command line prints it with ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from roost_core.backend import Finding
from roost_core.cli.operate.plugins import plugin_json
from roost_core.cli.work.count import count_json
from roost_core.cli.work.event_lines import event_json
from roost_core.client.finding import Count
from roost_core.models import Event, HeldEngine, Json, WorkMeta, WorkRow, WorkStatus
from roost_core.models.overview import Overview
from roost_core.plugins.reports import PluginReport
from roost_core.shown.plain import meta_json, overview_json, row_json, status_json, to_plain
from roost_core.shown.redaction import redacted
from roost_core.shown.why import Why

#: What the command line has a form of its own for.
_FORMS: Final[Mapping[type, Callable[[Any], Json]]] = {
    WorkStatus: status_json,
    WorkMeta: meta_json,
    WorkRow: row_json,
    Event: event_json,
    Overview: overview_json,
    Count: count_json,
    PluginReport: plugin_json,
    Why: lambda value: redacted(to_plain(value)),
    Finding: lambda value: redacted(attrs.asdict(value)),
    HeldEngine: lambda value: redacted(to_plain(value)),
}


def encoded(value: Any) -> Json:
    """Return a model, or an answer that has some, as plain JSON."""
    form = _FORMS.get(type(value))
    if form is not None:
        return form(value)
    if attrs.has(type(value)) and type(value).__module__.startswith(__package__ or ""):
        return {
            field.name: encoded(getattr(value, field.name)) for field in attrs.fields(type(value))
        }
    if isinstance(value, tuple | list):
        return [encoded(one) for one in value]
    return to_plain(value)
