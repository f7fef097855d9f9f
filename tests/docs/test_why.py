"""The pages about why work does not run: the example prints what it says, the commands exist."""

from __future__ import annotations

import re
import subprocess

import click

from roost_core.cli.app import build
from tests.docs.pages import blocks, page, prose
from tests.docs.shell import LIMIT, environment, wait_for_the_server

#: How long ago something was.
AGO = re.compile(r"\d+(\.\d)? s ago")


def test_the_example_prints_what_it_says(folder) -> None:
    """All of it in one shell, as it stands; only how long ago something was differs."""
    (example,) = [one.text for one in blocks(page("why")) if one.text.startswith("$ ")]
    lines = example.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    try:
        done = subprocess.run(
            ["sh", "-ec", "\n".join(commands)],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=2 * LIMIT,
        )
    finally:
        wait_for_the_server(folder)
    assert (0, "") == (done.returncode, done.stderr)
    expected = [AGO.sub("ago", line) for line in lines if not line.startswith("$ ")]
    assert expected == [AGO.sub("ago", line) for line in done.stdout.splitlines()]


def test_commands_of_troubleshooting_exist() -> None:
    """Each command that the page names is there, and so is each of its options."""
    group = build()
    context = click.Context(group)
    text = page("troubleshooting")
    lines = [line for block in blocks(text) for line in block.text.splitlines()]
    lines += re.findall(r"`(roost [^`]+)`", prose(text))
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] != ["roost"]:
            continue
        command = group.get_command(context, words[1])
        assert command is not None, line
        own = click.Context(command, obj=None)
        options = {name for one in command.get_params(own) for name in one.opts}
        assert {word for word in words[2:] if word.startswith("-")} <= options, line


def test_each_symptom_has_its_section() -> None:
    """The table at the top leads to all sections below."""
    text = page("troubleshooting")
    linked = re.findall(r"^\| \[([^\]]+)\]\(#", text, re.MULTILINE)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [one.lower() for one in headings] == [one.lower() for one in linked]
