"""What the page of the plugins shows."""

from __future__ import annotations

from typing import ClassVar

import attrs

from roost_core import Settings, hookimpl
from roost_core.plugins.registry import Plugins
from roost_core.settings import setting, text
from roost_core.values import Value
from roost_plugins.console.pages.plugins import view_of


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MailSettings(Value):
    """Settings with a secret."""

    namespace: ClassVar[str] = "mail"

    server: str = setting("localhost", text, "Where mail goes.", "HOST")
    password: str = setting("", text, "For the server.", "TEXT", secret=True)
    size: int = setting(1, int, "How much.", "N")


class Mail:
    """A plugin with settings."""

    @hookimpl
    def register_settings(self):
        """Declare them."""
        return [MailSettings]


def plugins_of(*more):
    """Return plugins by their names."""
    found = Plugins.empty()
    for name, plugin in more:
        found.register(plugin, name)
    return found


def test_a_setting_says_its_value_and_where_it_came_from():
    """A secret is hidden; what nobody has set has its usual value."""
    settings = Settings(extra={"mail_password": "hunter2hunter2"}, queue="night")
    view = view_of(plugins_of(("mail", Mail())), settings)
    (plugin,) = view.plugins
    found = {one.name: one for one in plugin.settings}
    assert ["mail_server", "mail_password", "mail_size"] == list(found)
    assert ("localhost", True, "") == (
        found["mail_server"].value,
        found["mail_server"].is_default,
        found["mail_server"].source,
    )
    secret = found["mail_password"]
    assert ("***", False, "ROOST_MAIL_PASSWORD") == (
        secret.value,
        secret.is_default,
        secret.variable,
    )
    assert "hunter2" not in repr(view) + str([attrs.astuple(one) for one in plugin.settings])
    (queue,) = (one for one in view.core if one.name == "queue")
    assert ("night", False) == (queue.value, queue.is_default)


def test_one_that_cannot_be_read_says_so():
    """The page is there anyway, and the others do not get the blame."""
    settings = Settings(extra={"mail_size": "many", "mail_password": "hunter2hunter2"})
    view = view_of(plugins_of(("mail", Mail())), settings)
    assert "mail_size" in view.problem
    (plugin,) = view.plugins
    found = {one.name: one for one in plugin.settings}
    assert "mail_size" in found["mail_size"].problem
    assert "" == found["mail_server"].problem
    assert "hunter2" not in str([attrs.astuple(one) for one in plugin.settings])


def test_broken_plugins_stand_first(tmp_path):
    """With their error and traceback; they are counted."""
    broken = tmp_path / "a_broken.py"
    broken.write_text("x = 1\nraise ValueError('no such thing')\n")
    plugins = Plugins.load(explicit=(str(broken),), environment=(), strict=False, keep_going=True)
    view = view_of(plugins, Settings())
    assert 1 == view.broken
    first = view.plugins[0]
    assert "a_broken" == first.report.name
    assert "no such thing" in (first.report.error or "")
    assert "line 2" in first.traceback


def test_a_block_in_vain_is_told():
    """It may be misspelt."""
    plugins = Plugins.load(explicit=("no:wachtlist",), environment=(), strict=False)
    (line,) = view_of(plugins, Settings()).vain
    assert "wachtlist" in line
