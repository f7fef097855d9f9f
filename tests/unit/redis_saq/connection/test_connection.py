"""Servers' URLs: which client they make, which are refused, and what is said about errors."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio
import redis.exceptions

from roost_core.errors import BackendError, BackendUnavailable, DiskFull, SettingsError
from roost_core.settings import Settings
from roost_plugins.redis_saq.connection.endpoint import COMMAND_TIMEOUT, CONNECT_TIMEOUT, Endpoint
from roost_plugins.redis_saq.connection.refusals import refused, silent, translated


def endpoint(url):
    """Make the endpoint of a URL."""
    return Endpoint(Settings(extra={"redis_url": url}))


def arguments(url, **how):
    """Return what a client's connections are made with."""
    return endpoint(url).client(**how).connection_pool.connection_kwargs


@pytest.mark.parametrize(
    ("url", "expected", "shown"),
    [
        ("redis://h", {"host": "h"}, "redis://h"),
        ("redis://h:7000/3", {"host": "h", "port": 7000, "db": 3}, "redis://h:7000/3"),
        ("redis://[::1]:7000", {"host": "::1", "port": 7000}, "redis://[::1]:7000"),
        (
            "redis://me:p%40s%25s%2F@h",
            {"username": "me", "password": "p@s%s/"},
            "redis://me:***@h",
        ),
        ("redis://me:p@ss@h", {"username": "me", "password": "p@ss"}, "redis://me:***@h"),
        ("redis://:100%25@h", {"password": "100%"}, "redis://:***@h"),
        ("redis://:100%@h", {"password": "100%"}, "redis://:***@h"),
        ("redis://h?password=x%26y", {"password": "x&y"}, "redis://h?password=***"),
        ("rediss://h:1/2", {"host": "h", "port": 1, "db": 2}, "rediss://h:1/2"),
        ("unix:///a/b", {"path": "/a/b"}, "unix:///a/b"),
        ("unix:///a/b?db=4", {"path": "/a/b", "db": 4}, "unix:///a/b?db=4"),
        ("unix://me:pw@/a/b", {"username": "me", "password": "pw"}, "unix://me:***@/a/b"),
    ],
)
def test_urls(url, expected, shown):
    """Each part of a URL reaches the client, and no password reaches a person."""
    found = arguments(url)
    assert expected == {name: found[name] for name in expected}
    assert shown == endpoint(url).description
    assert not endpoint(url).is_embedded
    synchronous = endpoint(url).sync_client(1).connection_pool.connection_kwargs
    assert expected == {name: synchronous[name] for name in expected}


def test_tls():
    """A rediss URL makes connections with TLS, which check certificates."""
    pool = endpoint("rediss://h").client().connection_pool
    assert pool.connection_class is redis.asyncio.SSLConnection
    assert "required" == pool.make_connection().ssl_context.cert_reqs.name.split("_")[-1].lower()


def test_timeouts_and_retries_are_stated():
    """No default of redis-py decides how long to wait, or what is repeated."""
    for found in (
        arguments("redis://h"),
        endpoint("unix:///s").client().connection_pool.connection_kwargs,
    ):
        assert (COMMAND_TIMEOUT, CONNECT_TIMEOUT) == (
            found["socket_timeout"],
            found["socket_connect_timeout"],
        )
        assert 0 == found["retry"]._retries
        assert (False, 2) == (found["decode_responses"], found["protocol"])
    renewer = endpoint("redis://h").sync_client(1.5).connection_pool.connection_kwargs
    assert (1.5, 0) == (renewer["socket_timeout"], renewer["retry"]._retries)
    longest = endpoint("redis://h").sync_client(500).connection_pool.connection_kwargs
    assert COMMAND_TIMEOUT == longest["socket_timeout"]


def test_unix_sockets_have_no_keepalive():
    """An option of TCP is not given to a unix socket."""
    assert "socket_keepalive" not in arguments("unix:///s")
    assert arguments("redis://h")["socket_keepalive"]


@pytest.mark.parametrize(
    ("url", "hosts", "service", "expected"),
    [
        ("redis+sentinel://a/s", [("a", 26379)], "s", {"db": 0}),
        ("redis+sentinel://a:1,b:2,c/s/3", [("a", 1), ("b", 2), ("c", 26379)], "s", {"db": 3}),
        ("redis+sentinel://[::1]/s", [("::1", 26379)], "s", {}),
        ("redis+sentinel://[::1]:5,1.2.3.4:6/s/", [("::1", 5), ("1.2.3.4", 6)], "s", {}),
        (
            "redis+sentinel://me:p%40%25@a/s",
            [("a", 26379)],
            "s",
            {"username": "me", "password": "p@%"},
        ),
        ("redis+sentinel://:p@ss@a/s", [("a", 26379)], "s", {"password": "p@ss"}),
    ],
)
def test_sentinel_urls(url, hosts, service, expected):
    """Hosts, service, database and the server's login are found."""
    for client in (endpoint(url).client(), endpoint(url).sync_client(1)):
        pool = client.connection_pool
        assert service == pool.service_name
        assert expected == {name: pool.connection_kwargs[name] for name in expected}
        sentinels = [
            one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels
        ]
        assert hosts == [(one["host"], one["port"]) for one in sentinels]
        for one in sentinels:
            assert (CONNECT_TIMEOUT, CONNECT_TIMEOUT, 0) == (
                one["socket_timeout"],
                one["socket_connect_timeout"],
                one["retry"]._retries,
            )
            assert one.get("password") is None


def test_the_sentinels_own_login():
    """It is in the query, and is not shown."""
    url = "redis+sentinel://:server@a/s?sentinel_username=me&sentinel_password=x%2By"
    pool = endpoint(url).client().connection_pool
    own = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs
    assert ("me", "x+y") == (own["username"], own["password"])
    assert "server" == pool.connection_kwargs["password"]
    shown = endpoint(url).description
    assert "redis+sentinel://:***@a/s?sentinel_username=me&sentinel_password=***" == shown


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@h:port",
        f"redis://:{SECRET}@h:99999",
        f"redis://:{SECRET}/x@h",
        f"redis://:{SECRET}#x@h/1",
        f"redis://:1{SECRET}?x@h",
        f"redis://:12/{SECRET}@h",
        f"redis://[{SECRET}",
        f"redis://:{SECRET}@h/db",
        f"redis://:{SECRET}@h/1/2",
        f"redis://:{SECRET}@h?surprise=1",
        f"redis://:{SECRET}@h?socket_timeout=long",
        f"redis://:{SECRET}@h?decode_responses=yes",
        f"redis://:{SECRET}@h?protocol=3",
        f"redis://:{SECRET}@h?retry=",
        f"http://:{SECRET}@h",
        f"redis+sentinel://:{SECRET}@",
        f"redis+sentinel://:{SECRET}@a",
        f"redis+sentinel://:{SECRET}@a:x/s",
        f"redis+sentinel://:{SECRET}@a:0/s",
        f"redis+sentinel://:{SECRET}@a:70000/s",
        f"redis+sentinel://:{SECRET}@a,,b/s",
        f"redis+sentinel://:{SECRET}@:1/s",
        f"redis+sentinel://:{SECRET}@[::1:5/s",
        f"redis+sentinel://:{SECRET}@a/s/x",
        f"redis+sentinel://:{SECRET}@a/s/1/2",
        "unix://",
        "unix://?db=1",
    ],
)
def test_urls_that_are_refused(url):
    """Each is one line that a person can act on, without the password in it."""
    with pytest.raises(SettingsError) as caught:
        endpoint(url).client()
    text = str(caught.value)
    assert SECRET not in text
    assert "\n" not in text
    assert 20 < len(text) < 250


def test_the_embedded_server_has_to_be_started():
    """Without a URL there is no client before the server."""
    found = endpoint("")
    assert found.is_embedded
    assert "embedded server in .roost" == found.description
    with pytest.raises(BackendUnavailable, match="was not started"):
        found.client()


def raise_translated(error):
    """Raise an error of redis-py where it is translated."""
    with translated("there"):
        raise error


#: What redis-py raises, as the parser makes it.
PASSING = [
    redis.exceptions.ConnectionError("Connection refused"),
    redis.exceptions.ConnectionError(),
    redis.exceptions.TimeoutError("Timeout reading from socket"),
    redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
    redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
    redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    redis.exceptions.ResponseError("BUSY Redis is busy running a script."),
    redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
    redis.exceptions.ResponseError(
        "Error running script (call to f_12ab): @user_script:34: @user_script: 34: "
        "-OOM command not allowed when used memory > 'maxmemory'."
    ),
    redis.exceptions.ResponseError(
        "Error running script (call to f_12ab): @user_script:3: @user_script: 3: "
        "-READONLY You can't write against a read only replica."
    ),
    redis.exceptions.ResponseError("WRONGTYPE Operation against a key"),
    redis.exceptions.ResponseError("user_script:12: -WRONGTYPE Operation against a key"),
    OSError("no route"),
    ConnectionResetError(),
]
LASTING = [
    redis.exceptions.AuthenticationError("invalid username-password pair"),
    redis.exceptions.NoPermissionError("this user has no permissions"),
    redis.exceptions.ResponseError("Error running script (call to f_1): user_script:1: attempt"),
    redis.exceptions.ResponseError("unknown command 'OOM-like'"),
    redis.exceptions.DataError("Invalid input of type"),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_errors_that_pass(error):
    """Calls without an answer, or with a refusal that will pass, are to be repeated."""
    with pytest.raises(BackendUnavailable, match="the server at there") as caught:
        raise_translated(error)
    assert not str(caught.value).endswith(": ")


@pytest.mark.parametrize("error", LASTING, ids=str)
def test_errors_that_last(error):
    """Calls with a refusal that will stay the same are not."""
    with pytest.raises(BackendError, match="the server at there refused") as caught:
        raise_translated(error)
    assert not isinstance(caught.value, BackendUnavailable)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (redis.exceptions.AuthenticationError("invalid username-password pair"), "WRONGPASS no"),
        (redis.exceptions.AuthenticationError("Authentication required."), "NOAUTH login please"),
        (redis.exceptions.NoPermissionError("no permissions to run"), "NOPERM not this"),
    ],
    ids=str,
)
def test_a_login_that_was_good_is_refused_for_now(error, text):
    """Passwords are being changed: a client that was served before repeats, a new one does not."""
    with pytest.raises(BackendUnavailable, match="for now"), translated("there", was_served=True):
        raise error
    told = str(refused("there", text))
    with pytest.raises(BackendError) as caught, translated("there"):
        raise error
    for one in (told, str(caught.value)):
        assert "; the login is in ROOST_REDIS_URL: " in one
        assert ".;" not in one
    assert BackendUnavailable is type(refused("there", text, was_served=True))
    assert BackendError is type(refused("there", text))
    assert BackendError is type(refused("there", "ERR no", was_served=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "MISCONF Errors writing to the AOF file: No space left on device script: on "
            "@user_script:198.",
            "the disk of /a/.roost is full: make room",
        ),
        ("MISCONF Errors writing to the AOF file: Disk quota exceeded", "/a/.roost is full"),
        (
            "MISCONF Errors writing to the AOF file: Read-only file system",
            "the disk of /a/.roost can be read but not written: Read-only file system",
        ),
        (
            "Error running script (call to f_1): @user_script:3: @user_script: 3: -MISCONF Errors "
            "writing to the AOF file: Input/output error",
            "the disk of /a/.roost can be read but not written: Input/output error",
        ),
    ],
)
def test_a_disk_that_takes_nothing_is_named(text, expected):
    """The error names the cause and whose disk it is, and says that nothing was changed."""
    error = refused("embedded server in /a/.roost", text)
    assert expected in str(error)
    assert (DiskFull, True) == (type(error), error.took_no_effect)


def test_other_errors_are_left_alone():
    """A bug is not the server's doing."""
    with pytest.raises(ZeroDivisionError), translated("there"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("unix:///run/a%20b/s", "/run/a b/s"),
        ("unix:///run/s", "/run/s"),
        ("unix:///run/s?db=1", None),
        ("unix://:secret@/run/s", None),
        ("redis://127.0.0.1:6379", None),
        ("rediss://127.0.0.1:6379", None),
    ],
)
def test_sockets_that_need_no_login(url, socket):
    """redis-py is bypassed only where there is nothing to say on connecting."""
    assert socket == endpoint(url).plain_socket


def test_a_reason_that_ends_with_a_full_stop():
    """What a person may do follows behind a semicolon, so the reason's own stop is left out."""
    error = silent("there", redis.exceptions.ConnectionError("Connect call failed ('::1', 1)."))
    assert "the server at there does not answer: Connect call failed ('::1', 1)" == str(error)
