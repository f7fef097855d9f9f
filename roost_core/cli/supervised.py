"""A worker for another process, which looks after it: it begins when that says so.

It is ``roost worker``, in a process of its own, except that its errors are for the other process to
report, and that it is that process which stops it, by signals, and says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import click

from roost_core.cli import hold_collector_back
from roost_core.cli.app import build
from roost_core.cli.output import warn_as_messages
from roost_core.cli.session import Session
from roost_core.cli.signals import LAST_SECONDS, StopSignals, some_of
from roost_core.plugins.reports import PluginStatus
from roost_core.plugins.sources import Source
from roost_core.values import Json

__all__ = ["FAILED", "LAST_SECONDS", "SupervisedWorker"]

#: The exit code of a worker that has failed, and has not said why on standard error.
FAILED: Final = 3


class _Signals(StopSignals):
    def what_is_awaited(self, running: Sequence[str]) -> str:
        """Say only what takes time."""
        return f"waiting for the steps of {some_of(running)}" if running else ""


class SupervisedWorker:
    """One worker: it loads its plugins, tells how that went, and works when it may.

    :param words: the command line of ``roost worker``, with that word.
    :param hold: called when its plugins are loaded and sound; it begins when this returns. The
        arguments are the ids of its engines, and those that were named, with their examples.
    :ivar is_loaded: whether its plugins are sound.
    :ivar failure: why it cannot work, with its causes; None as long as it can.
    """

    def __init__(
        self, words: Sequence[str], hold: Callable[[Sequence[str], Mapping[str, Json]], None]
    ) -> None:
        self.is_loaded = False
        self.failure: BaseException | None = None
        self._words, self._hold = list(words), hold
        self._session = Session(signals=_Signals(), before_work=self._before_work)

    def run(self) -> object:
        """Take over the process's signals, load, and work; return the exit code.

        It is :data:`FAILED` if :attr:`failure` says why it cannot work. If something hangs then,
        the process ends within a few seconds.
        """
        hold_collector_back()
        warn_as_messages()
        sys.argv[:] = ["roost", *self._words]
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self._session.signals.install()
        code: object = 1
        try:
            code = build().main(
                self._words, prog_name="roost", obj=self._session, standalone_mode=False
            )
        except SystemExit as end:
            code = end.code
        except click.ClickException as error:
            self.failure = error.__cause__ or error
            code = FAILED
        finally:
            self._session.signals.end_soon(code)
        return code

    def without_secrets(self, text: str) -> str:
        """Return a foreign text without the secrets of its settings."""
        return self._session.without_secrets(text)

    def _before_work(self) -> None:
        plugins = self._session.plugins(strict=True)
        self.is_loaded = True
        named = {
            report.engine_id
            for report in plugins.reports()
            if report.status is PluginStatus.OK and report.source is not Source.INSTALLED
        }
        engines = plugins.engines()
        own = {name: one.example for name, one in engines.items() if name in named}
        self._hold(tuple(engines), own)
