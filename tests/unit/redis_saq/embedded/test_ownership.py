"""Whose Roost made a server folder: what is signed, what is refused, what is enough."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from roost_core.errors import SettingsError
from roost_core.settings import state_folder
from roost_plugins.redis_saq.embedded import ownership


@pytest.fixture
def state(tmp_path: Path) -> str:
    """Return a user's folder for state, which does not exist yet."""
    return str(tmp_path / "state" / "roost")


def made(path: Path, state: str | None) -> str:
    """Make a server folder as Roost does, with data in it."""
    path.mkdir(parents=True, mode=0o700)
    ownership.claim(str(path), state, trusted=False)
    (path / "appendonlydir").mkdir()
    return str(path)


def is_refused(folder: str | Path, state: str | None) -> bool:
    """Return whether no server starts on it without permission, and nothing in it is changed."""
    before = sorted(os.listdir(folder))
    try:
        ownership.claim(str(folder), state, trusted=False)
    except SettingsError as error:
        told = str(error)
    else:
        return False
    assert ("ROOST_EMBEDDED_TRUST_HOME=yes" in told, "\n" in told) == (True, False)
    assert before == sorted(os.listdir(folder))
    return True


def test_what_roost_made_is_known_again(tmp_path: Path, state: str) -> None:
    """At every start, and after a move, which keeps the folder the same."""
    folder = made(tmp_path / "a" / "server", state)
    assert not is_refused(folder, state)
    (tmp_path / "a").rename(tmp_path / "b")
    assert not is_refused(tmp_path / "b" / "server", state)


def test_a_copy_needs_a_word_once(tmp_path: Path, state: str) -> None:
    """A restored backup is another folder; the permission for it is remembered."""
    made(tmp_path / "a" / "server", state)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = tmp_path / "b" / "server"
    assert is_refused(copy, state)
    ownership.claim(str(copy), state, trusted=True)
    assert not is_refused(copy, state)


def test_a_prepared_folder_is_refused(tmp_path: Path, state: str) -> None:
    """Whatever signatures an archive contains, another user's or invented ones."""
    other = made(tmp_path / "other" / "server", str(tmp_path / "other-state"))
    assert is_refused(other, state)
    (Path(other) / "made-by").write_text("0" * 64)
    assert is_refused(other, state)
    (Path(other) / "made-by").unlink()
    (Path(other) / "made-by").symlink_to(tmp_path / "anything")
    assert is_refused(other, state)


@pytest.mark.parametrize("name", ["appendonlydir", "appendonly.aof", "valkey.log", "anything"])
def test_any_file_counts_as_data(tmp_path: Path, state: str, name: str) -> None:
    """Only files that hold nothing may be there without a signature."""
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    for empty in ("lock", "supervised"):
        (folder / empty).touch()
    assert not is_refused(folder, state)
    (folder / "made-by").unlink()
    (folder / name).touch()
    assert is_refused(folder, state)


@pytest.mark.parametrize("broken", ["a file", "no home", "a short key", "a key of others"])
def test_without_a_key_a_word_is_enough(tmp_path: Path, state: str, broken: str) -> None:
    """Where no key can be kept, new folders work, and others as long as permission is given."""
    key = Path(state) / "key"
    if broken == "a file":
        key.parent.parent.write_text("")
    elif broken != "no home":
        key.parent.mkdir(parents=True)
        key.write_text("k" * (8 if broken == "a short key" else 64))
        key.chmod(0o622 if broken == "a key of others" else 0o600)
    used = None if broken == "no home" else state
    folder = made(tmp_path / "server", used)
    assert is_refused(folder, used)
    ownership.claim(folder, used, trusted=True)
    assert is_refused(folder, used)


def test_the_key_is_private_and_stays(tmp_path: Path, state: str) -> None:
    """One file, of mode 0600 in a folder of mode 0700, made once."""
    made(tmp_path / "a", state)
    key = Path(state) / "key"
    text = key.read_bytes()
    made(tmp_path / "b", state)
    assert (text, [key]) == (key.read_bytes(), list(key.parent.iterdir()))
    assert (0o600, 0o700) == (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777)
    assert text.strip() not in (tmp_path / "a" / "made-by").read_bytes()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/x"}, Path("/x/roost")),
        ({"XDG_STATE_HOME": "not/absolute"}, Path.home() / ".local/state/roost"),
        ({}, Path.home() / ".local/state/roost"),
    ],
)
def test_where_state_is_kept(environ: dict[str, str], expected: Path) -> None:
    """As the XDG base directory specification says; a relative path does not count."""
    assert expected == state_folder(environ)
