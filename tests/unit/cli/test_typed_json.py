"""JSON that a person writes on the command line, in a file or in a batch."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from roost_core.cli.work.batch import read_batch
from roost_core.cli.work.enqueue import command
from roost_core.codec.strict_json import loads_typed
from roost_core.errors import CodecError, InvalidInput

TWICE = '{"a": [{"k": 1, "b": 2, "k": 3}]}'


def test_a_key_that_stands_twice() -> None:
    """The first value would be lost silently: the text is refused, and the key named."""
    with pytest.raises(CodecError, match="the key 'k' appears twice"):
        loads_typed(TWICE, "it", 1000)


def test_equal_keys_of_different_objects() -> None:
    """Only keys of one object exclude each other."""
    assert [{"k": 1}, {"k": {"k": 2}}] == loads_typed('[{"k":1},{"k":{"k":2}}]', "it", 99)


def test_a_batch_line_with_a_key_twice() -> None:
    """A line's own keys and those of its payload are checked."""
    for line in (b'{"engine": "e", "engine": "f"}', b'{"engine": "e", "payload": %s}'):
        with pytest.raises(InvalidInput, match=r"line 1: .* appears twice"):
            read_batch([line.replace(b"%s", TWICE.encode())], None)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--delay-seconds", "-5"),
        ("--delay-seconds", "nan"),
        ("--delay-seconds", "900000w"),
        ("--step-timeout", "soon"),
        ("--deadline", "900000w"),
    ],
)
def test_an_error_names_the_option(option, value) -> None:
    """An impossible time is a usage error of the option it was given to."""
    result = CliRunner().invoke(command, ["--engine", "e", option, value])
    assert (2, True) == (result.exit_code, f"'{option}'" in result.output)


@pytest.mark.parametrize("way", ["text", "file", "input"])
def test_a_payload_with_a_key_twice(way, tmp_path) -> None:
    """It is refused however the payload is given, before any server is asked."""
    file = tmp_path / "payload.json"
    file.write_text(TWICE)
    payload = {"text": TWICE, "file": f"@{file}", "input": "-"}[way]
    result = CliRunner().invoke(command, ["--engine", "e", "--payload", payload], input=TWICE)
    assert "appears twice" in f"{result.output}{result.exception}"
