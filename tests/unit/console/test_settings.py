"""What the operator can set: what is read, and what is refused."""

from __future__ import annotations

import pytest

from roost_core.settings import Settings, table
from roost_plugins.console.settings import (
    Bind,
    ConsoleSettings,
    bind_of,
    host_of,
    token_of,
    url_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8766", Bind("127.0.0.1", 8766)),
        (" localhost:0 ", Bind("localhost", 0)),
        ("[::1]:80", Bind("::1", 80)),
        ("0.0.0.0:65535", Bind("0.0.0.0", 65535)),
        ("Some-Machine.local:1", Bind("some-machine.local", 1)),
        (Bind("127.0.0.1", 1), Bind("127.0.0.1", 1)),
    ],
)
def test_where_to_listen(text, expected):
    """An address or a name, and a port."""
    assert expected == bind_of(text)


@pytest.mark.parametrize(
    "text", ["", "8766", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "a b:1", "x:-1", 1]
)
def test_what_is_no_place_is_refused(text):
    """The error shows how it is written."""
    with pytest.raises(ValueError, match="expected"):
        bind_of(text)


def test_a_place_is_shown_as_it_is_typed():
    """In errors and in the table of settings."""
    assert ["[::1]:1", "127.0.0.1:1"] == [str(Bind("::1", 1)), str(Bind("127.0.0.1", 1))]
    assert "::1" == host_of("[::1]")


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://Tools.Example/roost/", "https://tools.example", "/roost"),
        ("https://tools.example", "https://tools.example", ""),
        ("https://tools.example:443/", "https://tools.example", ""),
        ("http://localhost:9000/a/b", "http://localhost:9000", "/a/b"),
        ("http://[::1]:9000", "http://[::1]:9000", ""),
    ],
)
def test_what_browsers_use(url, origin, prefix):
    """Host, port, scheme and path come from one URL; it is shown as it is meant."""
    found = url_of(url)
    assert (origin, prefix) == (found.origin, found.prefix)
    assert f"{origin}{prefix}/" == str(found)
    assert found is url_of(found)


@pytest.mark.parametrize(
    "url",
    [
        "tools.example",
        "ftp://tools.example",
        "https://",
        "https://user:password@tools.example/",
        "https://tools.example/?a=b",
        "https://tools.example/#a",
        "https://tools.example/a b/",
        "https://tools.example/../",
        "https://tools.example//a",
        "https://tools.example:99999/",
        "https://[::1",
        'https://tools.example/";x',
        7,
    ],
)
def test_other_urls_are_refused(url):
    """What could mean more than a site or a folder of it."""
    with pytest.raises(ValueError, match="expected"):
        url_of(url)


def test_no_url_is_none():
    """An empty variable counts as none given."""
    assert url_of("") is url_of(None) is None


def test_tokens_are_long_and_plain():
    """They stand in URLs and headers."""
    assert "" == token_of(" ")
    assert "a" * 16 == token_of("a" * 16)
    for text in ("a" * 15, "a" * 16 + " b", "ä" * 16, 'a"' * 16, 5):
        with pytest.raises(ValueError, match="expected"):
            token_of(text)


def test_the_token_is_never_shown():
    """Neither in errors nor in a listing of the settings."""
    secret = "not-to-be-seen-by-anybody"
    settings = Settings(extra={"console_token": secret})
    own = settings.of(ConsoleSettings)
    assert secret == own.token
    assert secret not in repr(own)
    assert secret not in settings.without_secrets(f"a {secret} b")


def test_kubernetes_sets_no_setting():
    """For a service ``roost-console`` it sets ROOST_CONSOLE_PORT and more like it."""
    names = [row["variable"] for row in table(ConsoleSettings)]
    assert [] == [name for name in names if name.endswith(("_HOST", "_PORT"))]
