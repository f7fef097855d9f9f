"""Settings that plugins declare: read on demand, each name owned by one plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from roost_core import hookimpl
from roost_core.errors import PluginConflict, PluginError, PluginLoadError, SettingsError
from roost_core.plugins.registry import Plugins
from roost_core.settings import (
    On,
    Settings,
    load,
    path,
    seconds,
    setting,
    table,
    text,
    whole,
    yes_no,
)
from roost_core.wording.redaction import redact
from tests.unit.plugins.plugin_samples.building import plugin, registered


@attrs.frozen(kw_only=True)
class S3Settings:
    """What a plugin for S3 might declare."""

    namespace: ClassVar[str] = "s3"

    bucket: str = setting("", text, "The bucket.", "NAME", on=On.EVERY_COMMAND)
    endpoint: str = setting("", text, "The server.", "URL", shown=redact)
    access_key: str = setting("", text, "The key.", "KEY", secret=True)
    parts: int = setting(4, whole(1, 100), "Parts at a time.", "N", on=On.WORKER)
    folder: Path | None = setting(None, path, "Where parts wait.", "DIR")
    patience: float = setting(1.5, seconds(0), "How long.", "SECONDS")
    is_open: bool = setting(False, yes_no, "Whether all may read.", "yes|no")


def declaring(*kinds: Any) -> Any:
    """Return a plugin that declares these classes."""

    @hookimpl
    def register_settings(self: object) -> Any:
        return kinds[0] if len(kinds) == 1 else kinds

    return plugin(register_settings=register_settings)


def declaration(namespace: object = "mine", **defaults: Any) -> Any:
    """Return a class that declares texts."""
    fields = {name: setting(value, text, "A text.", "T") for name, value in defaults.items()}
    return attrs.make_class("Declared", fields, class_body={"namespace": namespace})


def complete(*plugins: Any) -> Plugins:
    """Return a set of plugins that is complete."""
    found = Plugins.empty()
    for number, one in enumerate(plugins):
        found.register(one, f"p{number}")
    found.is_complete = True
    return found


# -- values ------------------------------------------------------------------------------------


def test_a_plugin_reads_its_own(tmp_path: Path) -> None:
    """Option over variable over file over default, each with the namespace before its name."""
    file = tmp_path / "roost.toml"
    file.write_text("s3_bucket = 'file'\ns3_parts = 2\ns3_patience = 3\nqueue = 'q'\n")
    environ = {"ROOST_S3_BUCKET": "variable", "ROOST_S3_IS_OPEN": "yes", "ROOST_S3_PARTS": "3"}
    settings = load({"s3_bucket": "option", "s3_folder": None}, environ=environ, config=file)
    found = settings.of(S3Settings)
    assert ("option", 3, 3.0, True, None, "q") == (
        found.bucket,
        found.parts,
        found.patience,
        found.is_open,
        found.folder,
        settings.queue,
    )


def test_values_are_read_once() -> None:
    """Whoever asks again gets the same object; other settings have their own."""
    settings = Settings(extra={"s3_bucket": " b "})
    assert settings.of(S3Settings) is settings.of(S3Settings)
    assert ("b", "c") == (
        settings.of(S3Settings).bucket,
        settings.evolve(s3_bucket="c").of(S3Settings).bucket,
    )


def test_changed_settings_keep_the_rest() -> None:
    """A change is one of the core's or of a plugin's."""
    settings = Settings(queue="a", extra={"s3_bucket": "b"}).evolve(namespace="n", s3_parts=7)
    assert ("a", "n", "b", 7) == (
        settings.queue,
        settings.namespace,
        settings.of(S3Settings).bucket,
        settings.of(S3Settings).parts,
    )


def test_settings_with_others_values_are_values() -> None:
    """They are equal and hashed by what was given, wherever it was given."""
    one = Settings(extra={"s3_bucket": "b"})
    other = load({"s3_bucket": "b"}, environ={})
    assert (one, hash(one)) == (other, hash(other))
    assert one != Settings(extra={"s3_bucket": "c"})


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"environ": {"ROOST_S3_PARTS": "0"}}, "ROOST_S3_PARTS"),
        ({"environ": {}, "overrides": {"s3_parts": "0"}}, "setting s3_parts"),
        ({"environ": {}, "config": "s3_parts = 0"}, "roost.toml, s3_parts"),
    ],
)
def test_an_error_says_where_the_value_stands(
    given: dict[str, Any], where: str, tmp_path: Path
) -> None:
    """A variable, an option, a file and its key; found when the plugins are there."""
    if "config" in given:
        file = tmp_path / "roost.toml"
        file.write_text(given["config"])
        given = given | {"config": file}
    settings = load(**given)
    for read in (settings.of, lambda kind: registered(declaring(kind)).check_settings(settings)):
        with pytest.raises(SettingsError, match=rf"{where}: expected 1 to 100, found 0$"):
            read(S3Settings)


def test_a_value_that_is_a_secret_is_never_shown() -> None:
    """Neither in the settings, nor in what the plugin gets, nor in errors and their causes."""
    word = "hunter22"
    settings = Settings(extra={"s3_access_key": word, "s3_endpoint": f"https://me:{word}@s3"})
    shown = (repr(settings), repr(settings.of(S3Settings)))
    assert [] == [one for one in shown if word in one]
    assert "https://me:***@s3" in shown[0]
    assert "https://me:***@s3" in shown[1]
    assert "said *** of ***" == settings.without_secrets(f"said {word} of {word}")

    number = attrs.make_class(
        "Numbered",
        {"pin": setting(0, whole(0, 9), "A number.", "N", secret=True)},
        class_body={"namespace": "s3"},
    )
    with pytest.raises(SettingsError) as raised:
        Settings(extra={"s3_pin": word}).of(number)
    assert "setting s3_pin: expected N; what was found is not shown" == str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "given", ["hunter22\n", " two  words ", "https://hooks.test/T1/B2", 271828]
)
def test_a_secret_is_hidden_however_it_is_given(given: Any) -> None:
    """With blanks around it that the parser drops, as the URL of a webhook, as a number."""
    settings = Settings(extra={"s3_access_key": given})
    word = str(given).strip()
    kind = attrs.make_class(
        "Secret",
        {"access_key": setting("", str, "A secret.", "TEXT", secret=True)},
        class_body={"namespace": "s3"},
    )
    settings.of(kind)
    assert "said '***'" == settings.without_secrets(f"said '{word}'")
    assert "T1" not in repr(settings)
    assert word not in repr(settings)


@pytest.mark.parametrize("error", [KeyError("x"), OverflowError("big"), AttributeError("strip")])
def test_a_parser_that_fails_otherwise_is_an_expected_error(error: Exception) -> None:
    """One line that says where the value stands; a secret's is not shown."""

    def parse(value: Any) -> Any:
        raise error

    def declared(**options: Any) -> Any:
        fields = {"word": setting("", parse, "A text.", "T", **options)}
        return attrs.make_class("Odd", fields, class_body={"namespace": "odd"})

    settings = Settings(extra={"odd_word": "hunter22"})
    with pytest.raises(SettingsError, match="setting odd_word: expected T") as raised:
        settings.of(declared())
    assert type(error).__name__ in str(raised.value)
    with pytest.raises(SettingsError) as raised:
        settings.of(declared(secret=True))
    assert "hunter22" not in f"{raised.value} {raised.value.__cause__}"


def test_a_class_that_refuses_its_values_together() -> None:
    """Its own check is told with the namespace, and without a secret."""

    @attrs.frozen(kw_only=True)
    class Login:
        namespace: ClassVar[str] = "login"
        user: str = setting("", text, "Who.", "NAME")
        password: str = setting("", text, "The secret.", "TEXT", secret=True)

        def __attrs_post_init__(self) -> None:
            raise ValueError(f"{self.user}'s {self.password} is too short")

    settings = Settings(extra={"login_user": "me", "login_password": "hunter22"})
    with pytest.raises(SettingsError) as raised:
        settings.of(Login)
    assert "settings of login: me's *** is too short" == str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


# -- unknown names -----------------------------------------------------------------------------


def test_unknown_options_are_refused() -> None:
    """A program's option that no plugin declares is refused, with near misses."""
    with pytest.raises(SettingsError, match="unknown setting; did you mean lease_ttl"):
        complete().check_settings(load({"lease_tt": 5}, environ={}))
    with pytest.raises(SettingsError, match="unknown setting; did you mean s3_bucket"):
        complete(declaring(S3Settings)).check_settings(Settings(extra={"s3_buckett": "b"}))


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    """A file's key that nobody declares is named with the file."""
    file = tmp_path / "roost.toml"
    file.write_text('quue = "x"\n')
    with pytest.raises(SettingsError, match="unknown setting; did you mean queue") as raised:
        complete().check_settings(load(environ={}, config=file))
    assert str(file) in str(raised.value)


def test_unknown_variables_are_typos(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown variable with our prefix causes one warning."""
    monkeypatch.setattr("roost_core.settings.judging._warned", set())
    for _ in range(2):
        complete().check_settings(load(environ={"ROOST_QUEU": "x"}))
    expected = (
        "ROOST_QUEU: unknown setting; did you mean ROOST_QUEUE? "
        "Variables of your own may start with ROOST_X_"
    )
    assert [expected] == [record.getMessage() for record in caplog.records]


def test_names_of_plugins_that_are_not_loaded(caplog: pytest.LogCaptureFixture) -> None:
    """A set that does not have all plugins does not know what the others declare."""
    registered(declaring(S3Settings)).check_settings(
        load({"other": 1}, environ={"ROOST_OTHER_THING": "x"})
    )
    assert [] == caplog.records


def test_settings_of_a_plugin_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocking a plugin, or its being broken, makes neither the file nor variables wrong.

    Only what closely resembles a known name is reported, and stops nothing: it may be the plugin's.
    """
    monkeypatch.setattr("roost_core.settings.judging._warned", set())
    file = tmp_path / "roost.toml"
    file.write_text("watchlist_allow_private_addresses = true\nquue = 'x'\n")
    plugins = Plugins.load(explicit=["no:watchlist"], strict=False)
    environ = {"ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES": "yes", "ROOST_CONCURENCY": "2"}
    plugins.check_settings(load(environ=environ, config=file))
    said = [record.getMessage() for record in caplog.records]
    text = "unknown setting; did you mean"
    assert [
        f"{file}, quue: {text} queue? (watchlist is blocked)",
        f"ROOST_CONCURENCY: {text} ROOST_CONCURRENCY? (watchlist is blocked). "
        "Variables of your own may start with ROOST_X_",
    ] == said
    with pytest.raises(SettingsError, match="setting quue: unknown setting"):
        plugins.check_settings(load({"quue": "x"}, environ={}))


# -- declarations ------------------------------------------------------------------------------


def test_a_plugin_may_declare_several_classes() -> None:
    """They are in the order in which it names them, after the core's own."""
    other = declaration("other", word="w")
    plugins = registered(declaring(S3Settings, other))
    assert (S3Settings, other) == plugins.declarations()
    rows = table(*plugins.declarations())[len(table()) :]
    assert ["s3_bucket", "s3_endpoint"] == [row["name"] for row in rows[:2]]
    assert {
        "name": "other_word",
        "variable": "ROOST_OTHER_WORD",
        "default": "w",
        "help": "A text.",
        "metavar": "T",
        "on": "nowhere",
    } == rows[-1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("s3", "'s3' is not an attrs class"),
        (S3Settings(), "is not an attrs class"),
        (object, "is not an attrs class"),
        (declaration(None, a=""), "needs a class attribute namespace"),
        (declaration("S3", a=""), "needs a class attribute namespace"),
        (declaration("a__b", a=""), "needs a class attribute namespace"),
        (declaration("x_mine", a=""), "the namespace x_mine is not for plugins"),
        (declaration("config", a=""), "the namespace config is not for plugins"),
        (declaration("mine"), "declares no setting"),
        (declaration("mine", aB=""), "a setting's name has lower-case letters"),
        (
            attrs.make_class("Plain", ["a"], class_body={"namespace": "mine"}),
            r"Plain.a is not made by roost_core.settings.setting\(\)",
        ),
    ],
)
def test_what_is_no_declaration_is_refused(answer: Any, message: str) -> None:
    """The plugin is named, with what is wrong; nothing of it is registered."""
    plugins = Plugins.empty()
    with pytest.raises(PluginLoadError, match=message) as raised:
        plugins.register(declaring(answer), "mine")
    assert str(raised.value).startswith("plugin mine (registered by the program): ")
    assert () == plugins.reports()


def test_a_hook_that_raises_is_named() -> None:
    """The plugin is not loaded, and its line says why."""

    @hookimpl
    def register_settings(self: object) -> Any:
        raise ValueError("bad")

    with pytest.raises(PluginLoadError, match=r"plugin mine .*ValueError: bad"):
        registered(plugin(register_settings=register_settings))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (S3Settings, declaration("s3", other=""), "have settings of the namespace s3"),
        (
            declaration("a", b_c=""),
            declaration("a_b", c=""),
            r"have the setting a_b_c \(ROOST_A_B_C\)",
        ),
    ],
)
def test_a_name_belongs_to_one_plugin(first: Any, second: Any, message: str) -> None:
    """The error names both, and how to continue."""
    plugins = registered(declaring(first), "one")
    with pytest.raises(PluginConflict, match=message) as raised:
        plugins.register(declaring(second), "two")
    assert "one (registered by the program) and two (registered by the program)" in str(
        raised.value
    )
    assert "--plugin no:one" in str(raised.value)
    assert (first,) == plugins.declarations()


def test_a_plugin_declares_a_name_once() -> None:
    """Two classes of one plugin may not share a name, either."""
    with pytest.raises(PluginConflict, match="declares the setting a_b_c twice"):
        registered(declaring(declaration("a", b_c=""), declaration("a_b", c="")))


def test_the_cores_names_are_its_own() -> None:
    """lease_ttl could belong to a plugin with the namespace lease; it is refused."""
    with pytest.raises(PluginError, match="the setting lease_ttl is Roost's own"):
        registered(declaring(declaration("lease", ttl="")))


def test_a_broken_plugin_declares_nothing() -> None:
    """What fails later, when it adds commands, takes its settings with it."""
    import click

    @hookimpl
    def register_settings(self: object) -> Any:
        return S3Settings

    @hookimpl
    def register_commands(self: object, cli: click.Group) -> None:
        raise ValueError("bad")

    plugins = Plugins(strict=False, keep_going=True)
    one = plugin(register_settings=register_settings, register_commands=register_commands)
    plugins.register(one, "mine")
    assert (S3Settings,) == plugins.declarations()
    plugins.register_commands(click.Group("roost"))
    assert () == plugins.declarations()
