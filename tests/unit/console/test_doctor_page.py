"""Examinations, as the console keeps them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from roost_core import Settings
from roost_core.backend.reports import Finding
from roost_core.errors import BackendUnavailable
from roost_core.plugins.registry import Plugins
from roost_plugins.console.pages.doctor import Doctor, Examined, commands, sentence

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Console:
    """A console whose server gives one finding, when the test says so."""

    settings = Settings()
    plugins = Plugins.empty()

    def __init__(self):
        self.asked = 0
        self.gate = threading.Event()
        self.began = threading.Event()

    def now(self):
        """Return a time that stays."""
        return NOW

    def ask(self, load, timeout):
        """Find something."""
        self.asked += 1
        self.began.set()
        self.gate.wait(30)
        return [Finding("warning", "work", "it waits")]


def test_what_was_found_is_kept_with_its_time():
    """By level, as it is shown."""
    console = Console()
    console.gate.set()
    doctor = Doctor()
    assert doctor.last is None
    doctor.run(console)
    assert (NOW, 1) == (doctor.last.at, doctor.last.bad)
    assert ["work"] == [one.subject for one in doctor.last.of("problem", "warning")]
    found = Examined(NOW, 1.0, [Finding("ok", "a", ""), Finding("problem", "b", "")])
    assert ["b", "a"] == [one.subject for one in found.of("problem", "ok")]


class Telling:
    """A lock that tells when somebody did not get it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.refused = threading.Event()

    def acquire(self, *, blocking):
        """Take it, if it is free."""
        got = self.lock.acquire(blocking=blocking)
        if not got:
            self.refused.set()
        return got

    def release(self):
        """Give it back."""
        self.lock.release()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *error):
        self.lock.release()


def test_two_who_ask_at_once_get_the_same():
    """One examination is under way at a time, and whoever comes later waits for it."""
    lock = Telling()
    console, doctor = Console(), Doctor(lock=lock)
    first = threading.Thread(target=doctor.run, args=(console,))
    first.start()
    assert console.began.wait(30)
    second = threading.Thread(target=doctor.run, args=(console,))
    second.start()
    assert lock.refused.wait(30)
    console.gate.set()
    first.join(30)
    second.join(30)
    assert doctor.last is not None
    assert 1 == console.asked


def test_without_a_server_the_rest_is_examined():
    """Its absence is a finding, not an error page."""
    console = Console()

    def ask(load, timeout):
        raise BackendUnavailable("no answer")

    console.ask = ask
    doctor = Doctor()
    doctor.run(console)
    assert ["server"] == [one.subject for one in doctor.last.of("problem")]
    assert "settings" in [one.subject for one in doctor.last.of("info")]


def test_a_finding_names_its_remedy():
    """Commands in it can be copied; other code is not taken for one."""
    text = "held; `roost resume --engine crawl` lets workers take it; see `maxmemory`"
    assert ["roost resume --engine crawl"] == commands(text)
    assert "nobody offers it" == sentence("nobody offers it: `roost worker --engines crawl`")
    assert text == sentence(text)
