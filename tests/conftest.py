"""What the tests of all folders share: real servers, and how hard hypothesis tries."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.servers import Server, need, redis_binary, server_in, valkey_binary

# Before anything imports it: its assertions are to explain themselves.
pytest.register_assert_rewrite("roost_core.testing.contract")

# The same examples every time, so that a red build is red for everybody; the long profile
# looks further and prints how to repeat what it found.
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
