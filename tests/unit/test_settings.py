"""Settings: who wins, what is refused, and what people are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from roost_core.errors import SettingsError
from roost_core.settings import Settings, load, table, variable


def config(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "roost.toml"
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold() -> None:
    """An empty environment gives what ``Settings()`` gives."""
    assert Settings() == load(environ={})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Command line over environment over file over default, each for itself."""
    path = config(tmp_path, 'queue = "file"\nnamespace = "file"\nconcurrency = 2\n')
    environ = {"ROOST_QUEUE": "environment", "ROOST_NAMESPACE": "environment"}
    settings = load({"queue": "option", "lease_ttl": None}, environ=environ, config=path)
    assert ("option", "environment", 2, 15.0) == (
        settings.queue,
        settings.namespace,
        settings.concurrency,
        settings.lease_ttl,
    )


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    """``ROOST_CONFIG`` is read; a file that just happens to be there is not."""
    path = config(tmp_path, 'queue = "file"\n')
    assert "file" == load(environ={"ROOST_CONFIG": str(path)}).queue


def test_a_file_of_ones_own_folder_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder has no say."""
    config(tmp_path, 'queue = "file"\n')
    monkeypatch.chdir(tmp_path)
    assert "default" == load(environ={}).queue


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue = ", "is not TOML"),
        ("queue = 5", "queue: expected 1 to 64"),
        ("lease_ttl = true", "lease_ttl: expected a number"),
        ("lease_ttl = nan", "lease_ttl: expected 0.2"),
        ("concurrency = 1.5", "concurrency: expected a whole number"),
        ('concurrency = "x"', "concurrency: expected a whole number, found 'x'"),
        ("concurrency = [1]", "concurrency: expected a whole number, found \\[1\\]"),
        ('lease_ttl = "x"', "lease_ttl: expected a number of seconds, found 'x'"),
        ("lease_ttl = [1]", "lease_ttl: expected a number of seconds, found \\[1\\]"),
        ("[queue]\nname = 'x'", "queue: expected 1 to 64"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    """A file that is wrong is named, with what is wrong in it."""
    path = config(tmp_path, text)
    with pytest.raises(SettingsError, match=message) as raised:
        load(environ={}, config=path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that was named has to be readable."""
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        load(environ={"ROOST_CONFIG": str(tmp_path / "none.toml")})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused."""
    path = tmp_path / "roost.toml"
    path.write_bytes(b"queue = '\xff'")
    with pytest.raises(SettingsError, match="is not TOML"):
        load(environ={}, config=path)


@pytest.mark.parametrize(
    "key",
    [
        "ROOST_SERVICE_HOST",
        "ROOST_SERVICE_PORT",
        "ROOST_SERVICE_PORT_HTTP",
        "ROOST_PORT",
        "ROOST_PORT_80_TCP",
        "ROOST_PORT_80_TCP_ADDR",
        "ROOST_REDIS_PORT",
    ],
)
def test_what_kubernetes_sets(key: str, caplog: pytest.LogCaptureFixture) -> None:
    """A service called roost, or roost-redis, does not keep a pod from starting."""
    assert Settings() == load(environ={key: "tcp://10.0.0.1:80"})
    assert [] == caplog.records


@pytest.mark.parametrize("name", ["ROOST", "ROOST_REDIS", "ROOST_CONSOLE"])
def test_the_ports_that_kubernetes_sets_are_numbers(name: str) -> None:
    """As a plugin's own setting may be; but a service's port comes with its host."""
    host, port = f"{name}_SERVICE_HOST", f"{name}_SERVICE_PORT"
    found = load(environ={host: "10.0.0.1", port: "80", f"{port}_HTTP": "80"})
    assert ({}, Settings()) == (dict(found.extra), found)
    assert ["80"] == [one.value for one in load(environ={port: "80"}).extra.values()]


def test_unknown_variables_leave_alone() -> None:
    """What is not ours, or is left to plugins, is ignored."""
    assert Settings() == load(environ={"ROOST_X_MINE": "x", "ROOSTER": "x", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("home", "/srv/roost", Path("/srv/roost")),
        ("home", "", Path(".roost")),
        ("plugins", "a, b.c:d,,no:e ", ("a", "b.c:d", "no:e")),
        ("plugins", "", ()),
        ("lease_ttl", "0.2", 0.2),
        ("concurrency", "1", 1),
        ("slice_seconds", "0", 0.0),
        ("dead_letter_retention", "never", None),
        ("dead_letter_retention", "", None),
        ("dead_letter_retention", "0", 0.0),
    ],
)
def test_texts_become_values(name: str, text: str, expected: Any) -> None:
    """Each setting reads the text of its variable."""
    assert expected == getattr(load(environ={variable(name): text}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue", ""),
        ("queue", "a b"),
        ("queue", "a{b}"),
        ("queue", "a:b"),
        ("queue", "x" * 65),
        ("namespace", "ü"),
        ("home", 5),
        ("home", "~nobody-has-this-name/x"),
        ("plugins", 5),
        ("plugins", [5]),
        ("lease_ttl", "0.1"),
        ("lease_ttl", "inf"),
        ("lease_ttl", "nan"),
        ("lease_ttl", "soon"),
        ("lease_ttl", True),
        ("drain_timeout", "-1"),
        ("concurrency", "0"),
        ("concurrency", "1.5"),
        ("concurrency", 2.0),
        ("concurrency", True),
        ("events_kept", "99"),
        ("events_bytes", "1000"),
        ("dead_letter_retention", "-1"),
    ],
)
def test_bad_values(name: str, value: Any) -> None:
    """What cannot be accepted is refused, from the command line and from the environment."""
    with pytest.raises(SettingsError, match=f"setting {name}: "):
        load({name: value}, environ={})
    if isinstance(value, str):
        with pytest.raises(SettingsError, match=f"{variable(name)}: "):
            load(environ={variable(name): value})


def test_a_file_in_nobodys_home_folder() -> None:
    """A path that cannot be resolved is a settings error, too."""
    with pytest.raises(SettingsError, match="ROOST_CONFIG: "):
        load(environ={"ROOST_CONFIG": "~nobody-has-this-name/x"})


def test_the_table_declares_everything() -> None:
    """Each setting has a row with its variable and a help text; defaults read back."""
    rows = {row["name"]: row for row in table()}
    own = [field.name for field in attrs.fields(Settings) if field.metadata]
    assert own == list(rows)
    assert all(row["help"].endswith(".") and row["metavar"] for row in rows.values())
    assert "ROOST_LEASE_TTL" == rows["lease_ttl"]["variable"]
    shown = {row["variable"]: row["default"] for row in rows.values()}
    assert Settings() == load(environ=shown)
