"""Fixtures of several files: a shell, the API of a console, a web site, an artifact store."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

import pytest

from roost_plugins.fs_artifacts.store import FilesystemStore
from tests.integration.api_bench import api, fill
from tests.integration.cli_bench import ENGINES, Shell
from tests.integration.redis_bench import settings_for
from tests.integration.site_bench import Site


@pytest.fixture
def shell(redis_server, tmp_path):
    """Give a shell on the shared server."""
    return Shell(
        tmp_path,
        {
            "ROOST_REDIS_URL": redis_server.url,
            "ROOST_NAMESPACE": f"cli-{secrets.token_hex(6)}",
            "ROOST_HOME": str(tmp_path / "home"),
            "ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES": "yes",
        },
    )


@pytest.fixture
def slow(shell):
    """Write an engine whose steps take as long as the payload says; return its option."""
    (shell.folder / "slow.py").write_text(ENGINES)
    return ("--plugin", "./slow.py")


@pytest.fixture
def console(redis_server, tmp_path):
    """Give the API of a console whose queue is empty."""
    with api(settings_for(redis_server, home=tmp_path / "home")) as found:
        yield found


@pytest.fixture
def full(console):
    """Give the API of a console with work in every state."""
    fill(console.items)
    return console


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a running site; all its threads are gone afterwards."""
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def root(tmp_path):
    """Return the store's root, not made yet."""
    return tmp_path / "outer" / "artifacts"


@pytest.fixture
def store(root):
    """Return a store at that root."""
    return FilesystemStore(root)
