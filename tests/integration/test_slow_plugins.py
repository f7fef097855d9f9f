"""Installed third-party plugins that hang or break: commands that need none do not notice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT

#: Only a hang takes this long, in seconds.
LIMIT = 60.0

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
#: Each import of a plugin is first recorded in a file.
NOTED = "import os, pathlib\npathlib.Path(os.environ['ROOST_X_NOTES']).open('a').write(__name__)\n"
HANGS = f"{NOTED}import time\ntime.sleep(3600)\n"
RAISES = f"{NOTED}raise RuntimeError('broken at import')\n"
DECLARES = f"""{NOTED}
import attrs, click
from typing import ClassVar
from roost_core import hookimpl
from roost_core.settings import On, setting, text

@attrs.frozen
class Settings:
    namespace: ClassVar[str] = "s3"
    bucket: str = setting("", text, "The bucket.", "NAME", on=On.EVERY_COMMAND)
    region: str = setting("", text, "The region.", "NAME", on=On.WORKER)

@hookimpl
def register_settings():
    return Settings

@hookimpl
def register_commands(cli):
    from roost_core.cli.options import RoostCommand, roost_options

    @cli.command("bucket", cls=RoostCommand)
    @roost_options()
    @click.pass_obj
    def bucket(session):
        "Print the bucket."
        click.echo(session.settings.of(Settings).bucket)
"""


def shipped() -> str:
    """Return the entry points of the distribution itself, as setup.cfg declares them."""
    import configparser

    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    lines = found["options.entry_points"].items()
    return "\n".join(f"[{group}]\n{points.strip()}\n" for group, points in lines)


class Place:
    """An import path with Roost's own distribution and others alongside it, and a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.path = folder / "installed"
        self.path.mkdir()
        self.install("roost-runtime", shipped())

    def install(self, name: str, entry_points: str, **modules: str) -> None:
        """Install a distribution with its modules."""
        info = self.path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA.format(name=name))
        (info / "entry_points.txt").write_text(entry_points)
        for module, text in modules.items():
            (self.path / f"{module}.py").write_text(text)

    def roost(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command line."""
        self.notes.unlink(missing_ok=True)
        kept = {key: text for key, text in os.environ.items() if not key.startswith("ROOST_")}
        paths = {"PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}"}
        own = {"ROOST_X_NOTES": str(self.notes), "ROOST_HOME": str(self.folder / "home")}
        return subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            cwd=self.folder,
            env=kept | paths | own | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def imported(self) -> str:
        """Return which modules of third parties the last command line imported."""
        return self.notes.read_text() if self.notes.exists() else ""


@pytest.fixture
def place(tmp_path):
    """Give an import path of the test's own."""
    return Place(tmp_path)


@pytest.fixture
def url(redis_server):
    """Give the URL of a server."""
    return redis_server.url


@pytest.mark.fault(13, "an installed plugin that hangs or breaks as it is imported", n=2)
def test_short_commands_load_what_has_the_backend(place, url):
    """Neither a plugin that sleeps for ever nor one that raises delays or breaks them."""
    enqueue = ("enqueue", "--engine", "none", "--any-engine", "--queue", "slow-plugins")
    work_id = place.roost(*enqueue, "--redis-url", url).stdout.strip()
    assert work_id
    place.install("acme-slow", "[roost]\na_slow = acme_slow\nz_slow = acme_slow\n", acme_slow=HANGS)
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    rest = ("--queue", "slow-plugins", "--redis-url", url)
    for words in (
        ["status", work_id, *rest],
        [*rest, "status", work_id],
        ["list", *rest],
        ["events", *rest],
        ["events", "--work", work_id, *rest],
    ):
        done = place.roost(*words)
        assert (0, "") == (done.returncode, done.stderr)
        assert work_id in done.stdout
        assert "" == place.imported()
    # The same where the environment says which server it is.
    done = place.roost("status", work_id, "--queue", "slow-plugins", ROOST_REDIS_URL=url)
    assert (0, "", "") == (done.returncode, done.stderr, place.imported())


def test_short_commands_load_what_is_named(place, url):
    """What somebody named is loaded, and stops the command if it is broken."""
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    done = place.roost("list", "--redis-url", url, "--plugin", "s3")
    assert (0, "", "acme_s3") == (done.returncode, done.stderr, place.imported())
    done = place.roost("list", "--redis-url", url, ROOST_PLUGINS="bad")
    assert (2, "acme_bad") == (done.returncode, place.imported())
    assert "broken at import" in done.stderr
    assert 1 == done.stderr.count("\n")


def test_an_unknown_option_loads_all(place, url):
    """It may be one of a plugin that is not loaded yet, before the command's name or after."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    for words in (
        ["list", "--s3-bucket", "b", "--redis-url", url],
        ["--redis-url", url, "--s3-bucket=b", "list"],
    ):
        done = place.roost(*words)
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        assert "acme_s3" in place.imported()
    done = place.roost("list", "--s3-buckett", "b", "--redis-url", url)
    assert 2 == done.returncode
    assert re.search("No such option.*--s3-buckett.*Did you mean.*--s3-bucket\\b", done.stderr)
    assert "acme_s3" in place.imported()


def test_an_unknown_key_of_the_file_loads_all(place, url):
    """A plugin that is not loaded yet may declare it; if none does, it is a typo."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    (place.folder / "roost.toml").write_text("s3_bucket = 'b'\n")
    words = ("list", "--config", "roost.toml", "--redis-url", url)
    done = place.roost(*words)
    assert (0, "", "acme_s3") == (done.returncode, done.stderr, place.imported())
    (place.folder / "roost.toml").write_text("s3_bukket = 'b'\n")
    done = place.roost(*words)
    assert 2 == done.returncode
    assert "roost.toml, s3_bukket: unknown setting; did you mean s3_bucket?" in done.stderr


def test_variables_of_plugins_that_are_not_loaded(place, url):
    """They are left alone; one that resembles a known setting is looked into."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    words = ("list", "--redis-url", url)
    done = place.roost(*words, ROOST_S3_BUCKET="b", ROOST_OTHER_THING="x")
    assert (0, "", "") == (done.returncode, done.stderr, place.imported())
    done = place.roost(*words, ROOST_QUEU="x")
    assert "ROOST_QUEU: unknown setting; did you mean ROOST_QUEUE?" in done.stderr
    assert "acme_s3" == place.imported()


def test_help_loads_all_and_notes_what_is_broken(place):
    """Options that plugins' settings add are in the help of the commands that have them."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    found = {
        words: place.roost(*words) for words in (("--help",), ("status", "-h"), ("worker", "-h"))
    }
    for done in found.values():
        assert 0 == done.returncode
        assert "plugins' commands are missing: cannot load plugin bad" in done.stderr
        assert 1 == done.stderr.count("\n")
        assert "--s3-bucket NAME" in done.stdout
        assert "--s3-bucket NAME" in done.stdout
        assert "--redis-url URL" in done.stdout
    assert ["--s3-region" in done.stdout for done in found.values()] == [False, False, True]
    assert "\n  bucket " in found[("--help",)].stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("roost st", "status"),
        ("roost buck", "bucket"),
        ("roost --s3-", "--s3-bucket"),
        ("roost status --s3-", "--s3-bucket"),
        ("roost worker --watchlist-", "--watchlist-allow-private-addresses"),
        ("roost worker --redis-u", "--redis-url"),
        ("roost status --s3-bucket b --redis-u", "--redis-url"),
    ],
)
def test_a_shell_completes_options_of_plugins(place, typed, expected):
    """Completion knows the commands and options of what is installed, and says nothing else."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    words = typed.split()
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    done = place.roost(_ROOST_COMPLETE="bash_complete", **variables)
    assert f"plain,{expected}" in done.stdout.splitlines()
    assert "" == done.stderr


def test_a_plugins_setting_reaches_its_command(place):
    """The option may stand on either side of the command, and the variable counts too."""
    place.install("acme-s3", "[roost]\ns3 = acme_s3\n", acme_s3=DECLARES)
    for words in (["bucket", "--s3-bucket", "b"], ["--s3-bucket", "b", "bucket"]):
        done = place.roost(*words)
        assert (0, "b\n", "") == (done.returncode, done.stdout, done.stderr)
    assert "v\n" == place.roost("bucket", ROOST_S3_BUCKET="v").stdout


def test_a_backend_that_a_setting_chooses(place):
    """The index says which plugin has it; where that passes, all are asked."""
    text = f"""{NOTED}
import attrs
from typing import ClassVar
from roost_core import hookimpl
from roost_core.errors import BackendError
from roost_core.settings import On, setting, text

@attrs.frozen
class Settings:
    namespace: ClassVar[str] = "pg"
    url: str = setting("", text, "The server.", "URL", on=On.EVERY_COMMAND)

@hookimpl
def register_settings():
    return Settings

@hookimpl
def backend(settings):
    if settings.of(Settings).url:
        raise BackendError(f"asked for {{settings.of(Settings).url}}")
"""
    index = "[roost.backends]\npg_url = acme_pg\n"
    place.install("acme-pg", f"[roost]\npg = acme_pg\n{index}", acme_pg=text)
    place.install("acme-bad", "[roost]\nbad = acme_bad\n", acme_bad=RAISES)
    (place.folder / "roost.toml").write_text("pg_url = 'pg://h'\n")
    for words, variables in (
        (["list", "--pg-url", "pg://h"], {}),
        (["--pg-url=pg://h", "list"], {}),
        (["list"], {"ROOST_PG_URL": "pg://h"}),
        (["list", "--config", "roost.toml"], {}),
    ):
        done = place.roost(*words, **variables)
        assert (1, "roost: asked for pg://h\n") == (done.returncode, done.stderr)
        assert "acme_pg" == place.imported()
    # The index has no plugin for this one: all installed plugins are asked.
    done = place.roost("list", "--redis-url", "pg://h")
    assert 2 == done.returncode
    assert "has a backend for the server pg://h" in done.stderr
    assert "acme_bad" in place.imported()
