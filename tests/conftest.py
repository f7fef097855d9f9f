"""What all tests share: real servers, counts of faults, and how hard hypothesis tries."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import event_loops
from tests.servers import Server, need, redis_binary, server_in, valkey_binary

# Before anything imports it, so that pytest can rewrite its assertions.
pytest.register_assert_rewrite("roost_core.testing.contract")

# The same examples every time, so that a red build is red for everybody; the long profile
# searches further and prints how to reproduce what it found.
hypothesis.settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, max_examples=100, print_blob=True
)
hypothesis.settings.register_profile(
    "long",
    deadline=None,
    max_examples=3000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """Give a folder with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="roost-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_server(server_root: Path) -> Iterator[Server]:
    """Give a redis-server that all tests share: use a namespace of your own."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(server_root: Path) -> Iterator[Server]:
    """Give a valkey-server that all tests share: use a namespace of your own."""
    with server_in(need(valkey_binary(), "valkey-server"), server_root / "valkey") as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what Roost remembers out of the folder of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run tests that are coroutine functions, each on an event loop of its own."""
    event_loops.make_plain(pyfuncitem)
    return (yield)


# -- how often each fault was injected: 0 failures in n tries bound the rate by 3/n at 95 % --------

_TRIES = pytest.StashKey[Counter[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register our marks."""
    config.stash[_TRIES] = Counter()
    config.addinivalue_line("markers", "fault(number, what, n=1): counts as n tries of a fault")
    config.addinivalue_line("markers", "event_loop(factory, clocks): see tests/event_loops.py")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[int | str, str, int], None]:
    """Give a function that notes, at a test's end, how often it injected which fault."""

    def note(fault: int | str, what: str, n: int) -> None:
        request.config.stash[_TRIES][_name(fault), what] += n

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Count the tests that are marked and have passed."""
    report = yield
    if report.when == "call" and report.passed:
        for mark in item.iter_markers("fault"):
            number, what = mark.args
            item.config.stash[_TRIES][_name(number), what] += mark.kwargs.get("n", 1)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print n for each fault whose test has passed."""
    tries = terminalreporter.config.stash[_TRIES]
    if tries:
        terminalreporter.section("faults injected without a failure")
        for (fault, what), n in sorted(tries.items()):
            terminalreporter.write_line(f"{fault}, {what}: n={n}")


def _name(fault: int | str) -> str:
    return f"fault {fault:2}" if isinstance(fault, int) else fault
