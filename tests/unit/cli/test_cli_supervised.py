"""A worker that another process looks after, and what a session hands to another command line."""

from __future__ import annotations

import click
import pytest

from roost_core.cli.app import build
from roost_core.cli.session import Session


@pytest.fixture
def settings_file(tmp_path):
    """Write a settings file."""
    path = tmp_path / "settings.toml"
    path.write_text('queue = "mail"\n')
    return path


def test_what_was_given_can_be_given_again(settings_file):
    """Options as words; those that every command has can be had alone."""
    session = Session()
    words = ["--home", "a b", "worker", "--lease-ttl", "3", "--config", str(settings_file)]
    session.before_work = _stop
    with pytest.raises(_Stopped):
        build().main([*words, "--engines", "watchlist"], obj=session, standalone_mode=False)
    config = f"--config={settings_file}"
    assert [config, "--home=a b", "--lease-ttl=3"] == session.given()
    assert [config, "--home=a b"] == session.given(is_shared=True)


class _Stopped(Exception):
    pass


def _stop() -> None:
    raise _Stopped


def test_a_worker_is_held_before_it_connects(tmp_path):
    """Its plugins are loaded; nothing is made yet."""
    held = []

    def hold() -> None:
        held.append(list(session.plugins().engines()))
        _stop()

    session = Session(before_work=hold)
    words = ["worker", "--home", str(tmp_path / "home")]
    with pytest.raises(_Stopped):
        build().main(words, obj=session, standalone_mode=False)
    assert "watchlist" in held[0]
    assert [] == list(tmp_path.iterdir())


def test_broken_plugins_come_before_it(tmp_path):
    """Nobody is held whose plugins are broken."""
    (tmp_path / "broken.py").write_text("def step(\n")
    session = Session(before_work=_stop)
    words = ["worker", "--plugin", str(tmp_path / "broken.py")]
    with pytest.raises(click.ClickException, match="SyntaxError"):
        build().main(words, obj=session, standalone_mode=False)


def test_settings_that_only_others_know(tmp_path, settings_file):
    """A plugin that is loaded elsewhere may know them: here they are left out, not refused."""
    settings_file.write_text('queue = "mail"\nacme_key = "x"\n')
    session = Session(config=settings_file)
    known = session.known_settings(session.all_plugins())
    assert ("mail", False) == (known.queue, known.has("acme_key"))
    assert session.settings.has("acme_key")
    usual = session.known_settings(session.all_plugins(), embedded_idle=2.0, acme_more=1)
    assert (2.0, False) == (usual.extra["embedded_idle"].value, usual.has("acme_more"))
