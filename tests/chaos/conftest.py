"""How often each fault was injected: 0 failures in n tries bound the rate by 3/n at 95 %."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

_TRIES = pytest.StashKey[Counter[str]]()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Give a function that notes, at a test's end, how often it injected which fault."""

    def note(fault: str, n: int) -> None:
        request.config.stash.setdefault(_TRIES, Counter())[fault] += n

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print n for each fault whose test has passed."""
    tries = terminalreporter.config.stash.get(_TRIES, None)
    if tries:
        terminalreporter.section("faults injected without a failure")
        for fault, n in sorted(tries.items()):
            terminalreporter.write_line(f"{fault}: n={n}")
