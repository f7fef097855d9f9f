"""Passwords in URLs: hidden however the URL is written, and wherever it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from roost_core.cli.app import build
from roost_core.errors import RoostError, SettingsError
from roost_core.settings import Settings
from roost_core.wording.redaction import redact, redacted_text, without
from roost_plugins.redis_saq.connection.endpoint import Endpoint

#: What is searched for in everything that is shown. No scheme, host or message has it.
WORD = "Hunter2"
#: Characters that people have in passwords and that mean something in URLs.
AWKWARD = [*"/#?@%:&=;,[]+!*'\"\\ ~^|{}$<>", "//", "://", "%2F", "é", "密", "\u200b", "12"]
#: A password: the word at both ends, and anything between, before and after.
PASSWORDS = st.builds(
    lambda before, between, after: f"{before}{WORD}{between}{WORD}{after}",
    *[st.lists(st.sampled_from(AWKWARD), max_size=4).map("".join)] * 3,
)
HOSTS = st.sampled_from(["h", "h:1", "db.example.com:6379", "[::1]:5", "[::1", "h:port", ""])
SENTINELS = st.lists(HOSTS, min_size=1, max_size=3).map(",".join)
ENDS = st.sampled_from(["", "/0", "/0?db=1", "/service", "/service/1", "?socket_timeout=2", "#x"])
QUERY_NAMES = st.sampled_from(["password", "sentinel_password", "PASSWORD", "pass%77ord", "token"])
URLS = st.one_of(
    st.builds(
        "{}://{}:{}@{}{}".format,
        st.sampled_from(["redis", "rediss", "unix", "http", "x"]),
        st.sampled_from(["", "me", "me.too", "a/b", "ü"]),
        PASSWORDS,
        HOSTS,
        ENDS,
    ),
    st.builds("redis+sentinel://{}:{}@{}{}".format, st.just("me"), PASSWORDS, SENTINELS, ENDS),
    st.builds("unix://:{}@/run/s{}".format, PASSWORDS, st.sampled_from(["", "?db=1"])),
    st.builds("redis://h/0?{}={}".format, QUERY_NAMES, PASSWORDS.map(lambda p: quote(p, safe=""))),
    st.builds("redis://h/0?db=1&{}={}@h".format, QUERY_NAMES, st.just(WORD)),
    # Without the server's name, as somebody might forget who types a URL by hand.
    # What then follows an @ reads as a host, and is shown as one.
    st.builds("redis://:{}".format, PASSWORDS.filter(lambda password: "@" not in password)),
    st.builds("redis://me:{}".format, PASSWORDS.filter(lambda password: "@" not in password)),
    # A password by itself; with :// in it, it is a URL of an unknown kind.
    PASSWORDS.filter(lambda password: "://" not in password),
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host/0", "redis://:***@host/0"),
        ("rediss://me:secret@host", "rediss://me:***@host"),
        ("redis://me@host", "redis://me@host"),
        ("redis://me:se:cr@et@host", "redis://me:***@host"),
        ("redis://:secret/x@host/0", "redis://:***@host/0"),
        ("redis://:secret#x@host", "redis://:***@host"),
        ("redis://:secret?x@[::1]:7/0", "redis://:***@[::1]:7/0"),
        ("redis://:secret#x", "redis://***"),
        ("redis://me:secret#x", "redis://me:***"),
        ("redis://:secret@[::1", "redis://***"),
        ("redis://localhost:secret", "redis://localhost:***"),
        ("redis://localhost:6379x/0", "redis://localhost:***"),
        ("redis://[::1]:secret/1", "redis://[::1]:***"),
        ("redis+sentinel://a:secret,b:1/s", "redis+sentinel://a:***"),
        ("redis+sentinel://a:1,b:secret/s", "redis+sentinel://a:***"),
        ("redis://a b:secret", "redis://***"),
        ("x://localhost:secret", "x://***"),
        ("redis://localhost/secret", "redis://***"),
        ("unix:///run/s?password=secret&db=1", "unix:///run/s?password=***&db=1"),
        ("unix:///run/s?db=1&PASSWORD=secret", "unix:///run/s?db=1&PASSWORD=***"),
        ("unix:///run/redis@main/s", "unix:///run/redis@main/s"),
        ("unix://me:secret@/run/s", "unix://me:***@/run/s"),
        ("redis+sentinel://:secret@a:1,[::1]/s/0", "redis+sentinel://:***@a:1,[::1]/s/0"),
        ("redis://h?password=secret@h", "redis://***"),
        ("redis://h?pass%77ord=secret", "redis://h?pass%77ord=***"),
        ("x://h?auth_token=secret&my_Secret=2", "x://h?auth_token=***&my_Secret=***"),
        ("secret", "***"),
        ("secret@h:1", "***"),
        ("", ""),
    ],
)
def test_passwords_are_hidden_and_the_rest_is_not(url: str, shown: str) -> None:
    """A valid URL loses only its password; an invalid one shows no more than is safe."""
    assert shown == redact(url)
    assert "secret" not in redact(url).lower().replace("my_secret", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://example.com:8080/@someone?q=a:b", None),
        ("see https://me:secret@example.com/a#b", "see https://me:***@example.com/a"),
        ("got redis://:secret/x@h/0, twice", "got redis://:***@h/0, twice"),
        ("a:b@c", None),
    ],
)
def test_urls_in_a_text(text: str, shown: str | None) -> None:
    """Web addresses stay; a password in them is hidden as well."""
    assert (shown or text) == redacted_text(text)


@given(URLS)
def test_no_spelling_of_a_url_shows_its_password(url: str) -> None:
    """Whatever is in a password, and whatever is broken about its URL."""
    assert WORD not in redact(url)
    assert WORD not in without(url, f"cannot use {url} today")
    assert WORD not in repr(Settings(extra={"redis_url": url}))


@given(URLS)
def test_a_url_is_taken_or_refused_in_one_line(url: str) -> None:
    """A bad one is a settings error, never a traceback; nothing that is said has the password."""
    said = _told_of(url)
    assert WORD not in said
    assert "\n" not in said


def _told_of(url: str) -> str:
    """Return an endpoint's description, or what is wrong with it and why."""
    try:
        endpoint = Endpoint(Settings(extra={"redis_url": url}))
        endpoint.client()
    except SettingsError as error:
        # A traceback shows the causes as well.
        causes = [error.__cause__, None if error.__suppress_context__ else error.__context__]
        return " ".join(map(str, [error, *causes]))
    return endpoint.description


def _reports(url: str) -> list[Callable[[], Any]]:
    run = CliRunner().invoke
    common = ["--redis-url", url]
    return [
        lambda: run(build(), ["doctor", "--json", *common]),
        lambda: run(build(), ["list", *common]),
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"redis://:{WORD}/pw@[::1", "%2F for /"),
        ("redis://[::1", "brackets"),
        ("redis://localhost:notaport", "redis://localhost:*** cannot be read: the port"),
        ("redis://localhost:notaport", "is not a number up to 65535"),
        ("redis+sentinel://a:notaport/s", "redis+sentinel://a:***: expected host[:port]"),
        (f"redis://:{WORD}#pw@localhost", "%23 for #"),
        (f"redis://:{WORD}/pw@localhost", "%2F for /"),
        ("http://localhost:1", "redis://, rediss://, unix:// or redis+sentinel://"),
        (WORD, "redis://, rediss://, unix:// or redis+sentinel://"),
    ],
)
def test_commands_say_what_is_wrong_with_a_url(url: str, expected: str) -> None:
    """``list`` ends with 2 and one line; ``doctor`` continues; neither shows the password."""
    doctor, listing = (report() for report in _reports(url))
    assert (2, "") == (listing.exit_code, listing.stdout)
    assert 1 == listing.stderr.count("\n")
    assert expected in listing.stderr
    findings = [one["message"] for one in json.loads(doctor.stdout) if one["level"] == "problem"]
    assert 1 == doctor.exit_code
    assert any(expected in message for message in findings), findings
    assert WORD not in doctor.output + listing.output


@pytest.mark.parametrize(
    "url", ["redis://:?Hunter2=b@h/0", "unix://:/a?/Hunter2!@/run/s?db=1", "redis://me:?Hunter2=x"]
)
def test_half_a_password_that_reads_as_an_option(url: str) -> None:
    """redis-py quotes the name of an option that it does not know."""
    said = _told_of(url)
    assert "an option of the URL is not known" in said
    assert WORD not in said


@given(PASSWORDS)
def test_what_a_parser_says_of_a_url_is_cleaned(password: str) -> None:
    """Errors of other libraries' parsers quote pieces of what they could not read."""
    url = f"other://:{password}@h"
    for piece in (password, password.partition("/")[0], repr(password), url):
        assert WORD not in without(url, f"Port could not be cast to integer value as {piece}")


def test_a_refused_url_is_an_expected_error() -> None:
    """Whoever uses Roost as a library catches one kind of error."""
    assert issubclass(SettingsError, RoostError)


@pytest.mark.parametrize("option", ["foo=s3cret", "pass=s3cret", "db=1&key=s3cret"])
def test_options_that_are_not_known(option):
    """Whatever is in an option of a server's URL may have been meant to be hidden."""
    assert "s3cret" not in redact(f"redis://localhost:1/0?{option}")
    assert "db=2" in redact("redis://localhost:1/0?db=2")
