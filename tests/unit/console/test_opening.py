"""Opening the console in a browser: what is said where there is none."""

from __future__ import annotations

import threading
import webbrowser

import pytest

from roost_plugins.console.opening import open_in_browser


@pytest.mark.parametrize(("opens", "lines"), [(True, 0), (False, 1)])
def test_it_says_so_where_there_is_no_browser(monkeypatch, opens, lines):
    """Once; and nothing where one has been opened, with the address that signs in."""
    asked: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or opens)
    before = set(threading.enumerate())
    open_in_browser("http://127.0.0.1:1/?token=x", said.append)
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert ["http://127.0.0.1:1/?token=x"] == asked
    assert ["no browser could be opened here: open the console's URL in one yourself"] * lines == (
        said
    )
