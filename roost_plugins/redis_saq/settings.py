"""The plugin's settings: where the server is, and how Roost's own server runs."""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from roost_core.settings import On, choice, name, seconds, setting, text, yes_no
from roost_core.values import Value
from roost_core.wording.redaction import redact

#: The server URLs that this backend accepts, for people.
SERVER_URLS: Final = "redis://, rediss://, unix:// or redis+sentinel://"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RedisSettings(Value):
    """Where the server is, and what the keys begin with."""

    namespace: ClassVar[str] = "redis"

    url: str = setting(
        "",
        text,
        f"Server to use: {SERVER_URLS}. Empty: Roost runs its own server in ROOST_HOME.",
        "URL",
        on=On.EVERY_COMMAND,
        shown=redact,
    )
    prefix: str = setting("roost", name, "First part of every key.", "NAME", on=On.EVERY_COMMAND)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EmbeddedSettings(Value):
    """How the embedded server runs."""

    namespace: ClassVar[str] = "embedded"

    fsync: str = setting(
        "everysec",
        choice("everysec", "always"),
        "When the embedded server's log reaches the disk. Either way kill -9 loses "
        "nothing; everysec may lose a second when the machine loses power.",
        "everysec|always",
    )
    idle: float = setting(
        20.0, seconds(1), "Seconds after its last user that the embedded server stops.", "SECONDS"
    )
    trust_home: bool = setting(
        False,
        yes_no,
        "Whether to start the embedded server on data that this user's Roost did not make, "
        "such as a backup. Given once, it is remembered.",
        "yes|no",
    )
