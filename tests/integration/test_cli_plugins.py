"""What plugins do to a command line that loads them: prints, exits and errors, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Only a hang takes this long, in seconds.
LIMIT = 60.0

NOISY = """
import os, subprocess, sys
from roost_core import hookimpl

print("print at import")
os.write(1, b"descriptor at import\\n")
subprocess.run([sys.executable, "-c", "print('child at import')"], check=True)
print("original at import", file=sys.__stdout__)

engine_id = "noisy"

@hookimpl
def step(snapshot):
    return snapshot.finish()

@hookimpl
def backend(settings):
    print("print in backend")
    os.write(1, b"descriptor in backend\\n")

@hookimpl
def artifact_store(settings):
    print("print in artifact_store")

@hookimpl
def register_commands(cli):
    print("print in register_commands")

    @cli.command("mine")
    def mine():
        print("what the command says")
"""

SAID = ("print at import", "descriptor at import", "child at import", "original at import")


def roost(folder: Path, *words: str, **fields) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder, with no settings but a home there."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
    fields = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **fields}
    return subprocess.run(
        [sys.executable, "-m", "roost_core.cli", *words],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.getcwd(), **fields.pop("variables", {})},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT,
        check=False,
        **fields,
    )


def test_what_plugins_print_while_loading_is_not_data(tmp_path):
    """Print, descriptor 1, children: all go to standard error; standard output is Roost's alone."""
    (tmp_path / "noisy.py").write_text(NOISY)
    done = roost(tmp_path, "engines", "--json", "--plugin", "./noisy.py")

    assert 0 == done.returncode
    assert "noisy" in [one["engine"] for one in json.loads(done.stdout)]
    assert [] == [text for text in SAID if text not in done.stderr]


def test_what_hooks_print_is_not_data(tmp_path):
    """The same holds for the hooks that a short command calls."""
    (tmp_path / "noisy.py").write_text(NOISY)
    words = ("--plugin", "./noisy.py", "--redis-url", "unix:///nowhere/at/all.sock")
    done = roost(tmp_path, "doctor", "--json", *words)

    assert "problem" in [one["level"] for one in json.loads(done.stdout)]
    for text in ("print in backend", "descriptor in backend", "print in artifact_store"):
        assert text in done.stderr


def test_what_a_plugins_command_prints_is_data(tmp_path):
    """A plugin's command prints where it wants; the hook that adds it does not."""
    (tmp_path / "noisy.py").write_text(NOISY)
    done = roost(tmp_path, "--plugin", "./noisy.py", "mine")

    assert (0, "what the command says\n") == (done.returncode, done.stdout)
    assert "print in register_commands" in done.stderr


@pytest.mark.parametrize(
    "theft",
    [
        "sys.stdout = io.StringIO()",
        "sys.stdout = open(os.devnull, 'w')",
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "sys.stdout = io.TextIOWrapper(sys.__stdout__.buffer, encoding='utf-8')",
        "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')",
        "sys.stdout.close()",
        "sys.stdout = None",
        "os.close(1)",
    ],
)
def test_a_plugin_cannot_take_standard_output_away(tmp_path, theft):
    """Whatever a plugin does to sys.stdout while it loads, Roost prints where it did before."""
    text = f"import io, os, sys\nengine_id = 'thief'\n{theft}\nprint('x') if sys.stdout and not "
    text += "sys.stdout.closed else None\nfrom roost_core import hookimpl\n"
    (tmp_path / "thief.py").write_text(text + "@hookimpl\ndef step(snapshot): ...\n")
    done = roost(tmp_path, "engines", "--json", "--plugin", "./thief.py")

    assert 0 == done.returncode, done.stderr
    assert "thief" in [one["engine"] for one in json.loads(done.stdout)]
    assert "Traceback" not in done.stderr


def in_shell(folder, words):
    """Run a roost command with what a shell does to its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m roost_core.cli {words}', sys.executable],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("closed", ["1>&-", "2>&-"])
def test_a_closed_stream_is_no_trouble(tmp_path, closed):
    """Without standard output, or without standard error, plugins load as usual."""
    (tmp_path / "noisy.py").write_text(NOISY)
    done = in_shell(tmp_path, f"engines --plugin ./noisy.py {closed}")
    assert "Traceback" not in done.stderr
    assert [] == [text for text in SAID if text in done.stdout]
    assert ("noisy" in done.stdout) == (closed == "2>&-")


def test_closed_standard_output(tmp_path):
    """A command that shows tables then says nothing, and does not fail."""
    for words in ("engines", "plugins", "list"):
        done = in_shell(tmp_path, f"{words} >&-")
        assert (0, False) == (done.returncode, "Traceback" in done.stderr)


@pytest.mark.fault(13, "a plugin that breaks as it is imported", n=2)
def test_plugins_shows_the_broken_ones_and_goes_on(tmp_path):
    """Roost plugins lists what was named and is broken, with file and line; exit code 1."""
    (tmp_path / "broken.py").write_text("x = 1\n\nimport no_such_module_x\n")
    (tmp_path / "quits.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "noisy.py").write_text(NOISY)
    words = [word for name in ("broken", "quits", "noisy") for word in ("--plugin", f"./{name}.py")]
    done = roost(tmp_path, "plugins", "--json", *words)
    rows = {row["plugin"]: row for row in json.loads(done.stdout)}

    assert (1, False) == (done.returncode, "Traceback" in done.stderr)
    assert ("broken", "broken", "ok") == tuple(
        rows[name]["status"] for name in ("broken", "quits", "noisy")
    )
    assert f"({tmp_path / 'broken.py'}:3)" in rows["broken"]["error"]
    assert f"({tmp_path / 'quits.py'}:1)" in rows["quits"]["error"]


@pytest.mark.parametrize(("words", "code"), [(["plugins"], 1), (["worker"], 2)])
def test_verbose_shows_the_traceback(tmp_path, words, code):
    """--verbose adds the plugin's traceback on standard error; the rest stays."""
    (tmp_path / "broken.py").write_text("def inner():\n    1 / 0\n\ninner()\n")
    brief = roost(tmp_path, *words, "--plugin", "./broken.py")
    verbose = roost(tmp_path, *words, "--plugin", "./broken.py", "--verbose")

    assert (code, code, brief.stdout) == (brief.returncode, verbose.returncode, verbose.stdout)
    assert "Traceback" not in brief.stderr
    assert "Traceback" in verbose.stderr
    assert 'broken.py", line 2, in inner' in verbose.stderr


def test_a_block_of_nothing_is_a_warning(tmp_path):
    """no:typo is reported on standard error with the closest name, and stops nothing."""
    done = roost(tmp_path, "engines", "--plugin", "no:watchlst")

    assert (0, True) == (done.returncode, "watchlist" in done.stdout)
    text = "no:watchlst blocks nothing: no plugin has this name; did you mean watchlist?"
    assert f"roost: {text}\n" == done.stderr
