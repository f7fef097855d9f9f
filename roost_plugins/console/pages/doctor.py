"""The doctor's findings, from when somebody last asked for them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import attrs
from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response

from roost_core.backend import Finding
from roost_core.client.examining import examine, of_plugins, of_settings
from roost_core.errors import BackendUnavailable
from roost_plugins.console.here import Here, here

blueprint: Final = Blueprint("doctor", __name__, url_prefix="/doctor")
_KEY: Final = "roost_doctor"
#: How long an examination may take. Seconds.
_LIMIT: Final = 60.0
#: In a finding, what mends it.
_COMMAND: Final = re.compile(r"`((?:roost|kill|export) [^`\n]+)`")

_AT_THE_END: Final = re.compile(r": `[^`\n]+`$")


@attrs.frozen
class Examined:
    """An examination.

    :ivar at: when it was made, by the server's clock; ``seconds`` is how long it took.
    """

    at: datetime
    seconds: float
    findings: Sequence[Finding]

    def of(self, *levels: str) -> list[Finding]:
        """Return what was found of these levels, in their order."""
        return [one for level in levels for one in self.findings if one.level == level]

    @property
    def bad(self) -> int:
        """How many problems and warnings there are."""
        return len(self.of("problem", "warning"))


@attrs.define(eq=False)
class Doctor:
    """Keeps the last examination of a console, and makes one at a time."""

    last: Examined | None = None
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def run(self, of: Here) -> None:
        """Make an examination, unless one is under way: then wait for that."""
        is_alone = self._lock.acquire(blocking=False)
        if not is_alone:
            with self._lock:
                return
        try:
            began = time.monotonic()
            found = findings(of)
            self.last = Examined(of.now(), time.monotonic() - began, found)
        finally:
            self._lock.release()


def commands(text: str) -> list[str]:
    """Return the commands that a finding names."""
    return _COMMAND.findall(text)


def sentence(text: str) -> str:
    """Return a finding without the command that it ends in: that stands below it."""
    return _AT_THE_END.sub("", text)


def findings(of: Here) -> list[Finding]:
    """Examine all that ``roost doctor`` does; a server that is away is a finding."""
    try:
        return of.ask(examine, timeout=_LIMIT)
    except BackendUnavailable as error:
        # All else can be examined without a server.
        found = [*of_settings(of.settings, of.plugins), *of_plugins(of.plugins)]
        return [*found, Finding("problem", "server", str(error))]


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions[_KEY] = Doctor()


def _doctor() -> Doctor:
    return cast("Doctor", current_app.extensions[_KEY])


@blueprint.get("")
def show() -> str:
    """Show what was found last; nothing is examined."""
    last = _doctor().last
    problems = 0 if last is None else len(last.of("problem"))
    return render_template(
        "doctor.html",
        page="doctor",
        last=last,
        commands=commands,
        sentence=sentence,
        attention=problems,
    )


@blueprint.get("/run")
def run() -> Response:
    """Examine everything, which changes nothing, and show it."""
    _doctor().run(here())
    return redirect(url_for("doctor.show"), 303)
