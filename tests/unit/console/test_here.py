"""What a view gets."""

from __future__ import annotations

import attrs
import pytest

from roost_core.settings import Settings
from roost_plugins.console.here import Here
from roost_plugins.console.settings import Bind


@attrs.define
class Asked:
    """A connection, and live events that know whether the server is away."""

    is_gone: bool = False
    limits: list[float] = attrs.field(factory=list)

    def ask(self, load, timeout):
        """Note how long an answer would be waited for."""
        self.limits.append(timeout)
        return load


@pytest.mark.parametrize(("is_gone", "limits"), [(False, [10.0, 1.0]), (True, [2.0, 1.0])])
def test_a_server_that_is_away_keeps_no_threads(is_gone, limits):
    """Pages wait for it, but not long where it is known to be away."""
    asked = Asked(is_gone)
    here = Here(asked, asked, Settings())
    here.ask(len)
    here.ask(len, timeout=1.0)
    assert limits == asked.limits


def test_it_knows_how_it_was_started():
    """By the settings, command line and all."""
    settings = Settings(extra={"console_read_only": "yes", "console_bind": "localhost:1"})
    here = Here(Asked(), Asked(), settings.evolve(console_external_url="https://a/b"))
    assert here.read_only
    assert Bind("localhost", 1) == here.console.bind
    assert "https://a/b/" == str(here.external)
    assert Here(Asked(), Asked(), Settings()).external is None
