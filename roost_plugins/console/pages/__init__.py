"""The pages: one module each, with a blueprint."""

from __future__ import annotations

from typing import Final

from flask import Blueprint

from roost_plugins.console.pages import (
    act,
    artifacts,
    doctor,
    engines,
    events,
    failed,
    item,
    overview,
    plugins,
    resources,
    work,
    workers,
)

#: Every page's blueprint, in the order of the navigation.
BLUEPRINTS: Final[tuple[Blueprint, ...]] = (
    overview.blueprint,
    work.blueprint,
    item.blueprint,
    act.blueprint,
    events.blueprint,
    failed.blueprint,
    artifacts.blueprint,
    workers.blueprint,
    engines.blueprint,
    resources.blueprint,
    plugins.blueprint,
    doctor.blueprint,
)
