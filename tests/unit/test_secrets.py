"""Secrets in free texts: hidden by name and by shape, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.retry import error_record, text_of
from roost_core.shown.redaction import clean, redacted
from roost_core.wording.redaction import redacted_text

#: What is searched for: no name, host or message has it.
WORD = "Hunter2"
NAMES = st.sampled_from(
    [
        "password",
        "PASSWORD",
        "db_password",
        "passwd",
        "passphrase",
        "client_secret",
        "auth_token",
        "api_key",
        "API-Key",
        "x-api-key",
        "private_key",
        "aws_secret_access_key",
        "credentials",
        "AUTHORIZATION",
        "db_pwd",
        "passcode",
        "jwt",
        "session_cookie",
        "encryption_key",
    ]
)
#: A password without quotes or spaces.
VALUES = st.builds(
    lambda before, after: f"{before}{WORD}{after}",
    *[st.text("abcXYZ019!#$%^*_-+/~.", max_size=8)] * 2,
)
#: What people write without meaning a secret, the names of secrets among it.
USUAL = [
    "the",
    "a",
    "password",
    "token",
    "secret",
    "tokens",
    "key",
    "worker",
    "is",
    "was",
    "not",
    "must",
    "be",
    "expired",
    "wrong",
    "missing",
    "42",
    "7.5",
    "engine",
    "(crawl)",
    "step",
    "'read'",
    "w-1",
    "invalid",
    "bearer",
    "Basic",
    "authorization",
    "credentials",
    "https://h/p",
]
SENTENCES = st.lists(
    st.tuples(st.sampled_from(USUAL), st.sampled_from([" ", ", ", ". ", "; ", "? ", "\n"])),
    max_size=20,
).map(lambda parts: "".join(word + end for word, end in parts))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login failed: password=hunter2, user=bob", "login failed: password=***, user=bob"),
        ("password = hunter2 in app.ini", "password = *** in app.ini"),
        ("Client(token='abc def', n=3)", "Client(token='***', n=3)"),
        ("f(token=abc,user=bob)", "f(token=***,user=bob)"),
        ("Uid=x;Pwd=a;Server=h", "Uid=x;Pwd=***;Server=h"),
        ("password=hunter2!", "password=***"),
        ("run --token '-hunter2'", "run --token '***'"),
        ("password=~hunter2", "password=***"),
        ("password==hunter2 for bob", "password=*** for bob"),
        ("password=>hunter2", "password=***"),
        ("'password' => 'hunter2'", "'password' => '***'"),
        ("/cb?token=abc&next=/x", "/cb?token=***&next=/x"),
        ('{"api_key":"k1","n":1}', '{"api_key":"***","n":1}'),
        ('{"secret":12,"n":1}', '{"secret":***,"n":1}'),
        (r"{\"password\": \"hun ter\", \"a\": 1}", r"{\"password\": \"***\", \"a\": 1}"),
        ("{'Authorization': 'Bearer x', 'A': 1}", "{'Authorization': 'Bearer ***', 'A': 1}"),
        ('{"Authorization": ["Bearer x"]}', '{"Authorization": ["Bearer ***"]}'),
        ("Authorization: Bearer abcdef", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpw\nAccept: x", "authorization: Basic ***\nAccept: x"),
        ("curl -H 'Authorization: Bearer a.b' u", "curl -H 'Authorization: Bearer ***' u"),
        ("got Bearer abc123def", "got Bearer ***"),
        ("X-Api-Key: abc123", "X-Api-Key: ***"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: ***"),
        ("password: hunter2", "password: ***"),
        ("password: swordfish", "password: ***"),
        ("token: abc123def456", "token: ***"),
        ("run --db-password hunter2 -v", "run --db-password *** -v"),
        ("Command '['x', '--token', 'abc', 'y']'", "Command '['x', '--token', '***', 'y']'"),
        ("Incorrect API key provided: sk-abcd1234efgh5678ijkl", "Incorrect API key provided: ***"),
        ("a eyJhbGciOiJI.eyJzdWIiOiIx.sig b", "a *** b"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nab\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
        ('password="the rest was cut', 'password="***'),
        ("db_pwd=hunter2, jwt=abc, creds='a:b'", "db_pwd=***, jwt=***, creds='***'"),
        ("PWD=/home/bob DB_PWD=/x", "PWD=/home/bob DB_PWD=***"),
        ("session_cookie=abc, signing-key=k", "session_cookie=***, signing-key=***"),
        ('{"cookie": "sid=abc; b=c", "n": 1}', '{"cookie": "***", "n": 1}'),
        ('{"Cookie": "abc", "n": 1}', '{"Cookie": "***", "n": 1}'),
        ("run --cookie sid=abc -v", "run --cookie *** -v"),
    ],
)
def test_what_is_hidden(text, shown):
    """The value alone; what stands around it stays. What is hidden once stays as it is."""
    assert shown == redacted_text(text)
    assert shown == redacted_text(shown)


@pytest.mark.parametrize(
    "text",
    [
        "password: must not be empty",
        "wrong password: expired",
        "unexpected token: '}'",
        "unexpected token: foo",
        "tokens=1200, max_tokens=4096, prompt_tokens: 3",
        'token == "(" and password != x',
        "password === 'x' or token =~ 'y'",
        "unexpected token => here",
        "password=None, token=, secret=null",
        "the option --token is missing",
        "run --token -v, run --token --limit=3",
        "Command '['x', '--token', '--verbose']'",
        "a Bearer token is missing: Bearer authentication is required",
        'Bearer realm="api", error="invalid_token"',
        "authorization: denied for bob",
        "Missing API key: OPENAI_API_KEY",
        "the secret: practice.",
        "a cookie: broken",
        "PWD=/home/bob OLDPWD=/home",
        "invalid jwt: malformed",
        "a bearer: somebody, cookies=3",
        "monkey=1 keyboard=2 key: value",
    ],
)
def test_what_is_not(text):
    """Figures, sentences, code that compares, and what stands for no value."""
    assert text == redacted_text(text)


@given(
    NAMES,
    st.sampled_from(["{}={}", "{}='{}'", '"{}": "{}"', "'{}': '{}',", "--{} '{}'", "x={}={} y"]),
    VALUES,
    SENTENCES,
    SENTENCES,
)
def test_a_named_secret_never_shows(name, shape, value, before, after):
    """Whatever is around it; nor after a second time."""
    text = f"{before} {shape.format(name, value)} {after}"
    shown = redacted_text(text)
    assert WORD not in shown
    assert shown == redacted_text(shown)
    assert WORD not in clean(text)
    assert WORD not in str(redacted({"message": [text]}))


@given(SENTENCES)
def test_sentences_stay(text):
    """The names of secrets may be spoken of."""
    assert text == redacted_text(text)


@given(st.text())
def test_other_texts_stay(text):
    """A text that names no secret and has no URL is left as it is, to the letter."""
    words = ("passw", "passphrase", "passcode", "secret", "token", "key", "author", "bearer")
    words = (*words, "jwt", "cred", "cookie", "pwd")
    if "://" not in text and not any(word in text.lower() for word in words):
        assert text == redacted_text(text)


@pytest.mark.parametrize(
    "word", ["token: ", 'password="', "eyJaaaaaaaaa-", "sk-", "secret.", "pwd"]
)
def test_long_texts_take_no_longer_than_they_should(word):
    """Nothing in it is read again and again."""
    assert redacted_text(word * 4_000)


def raised(error):
    """Return an error that was raised."""
    try:
        raise error
    except type(error) as caught:
        return caught


def test_what_is_stored_of_an_error():
    """Neither its text nor its traceback has the secret, also where that is cut."""
    found = error_record(raised(ValueError(f"no: password={WORD}")), "w1")
    assert "no: password=***" == found.message
    assert found.traceback is not None
    assert WORD not in found.traceback
    assert "ValueError: no: password=***" in found.traceback
    long = error_record(raised(ValueError(f"password={WORD * 3000}")), "w1")
    assert "password=***" == long.message
    assert WORD not in str(long.traceback)
    assert "later: token=***" == text_of(ValueError("later: token=abc"))


@pytest.mark.parametrize(
    "name",
    [
        *["pwd", "db_pwd", "userPwd", "passwd", "passphrase", "passcode", "cookie", "Cookies"],
        *["session_cookie", "Set-Cookie", "bearer", "jwt", "id_jwt", "credentials", "creds"],
        *["private_key", "privateKey", "API key", "signing_key", "auth", "basic_auth", "X-Auth"],
        *["Authorization", "refresh_token", "client_secret"],
    ],
)
def test_fields_named_like_secrets(name):
    """Whatever is in one."""
    for value in ("Hunter2", {"Hunter2": "Hunter2"}, ["Hunter2"]):
        assert {name: "***"} == redacted({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("author", "x"), ("authority", "x"), ("authenticated_as", "x"), ("auth_mode", "x")],
        *[("keyboard", "x"), ("key", "x"), ("session_id", "x"), ("pass", "x"), ("incredible", "x")],
        *[("tokens_used", 5), ("max_tokens", 5), ("cookies", 3), ("cookie_shown", True)],
        *[("PWD", "/home/bob"), ("OLDPWD", "~/x"), ("cookie", None)],
    ],
)
def test_other_fields(name, value):
    """Names that only look like those, and figures."""
    assert {name: value} == redacted({name: value})
