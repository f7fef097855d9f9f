"""Every setting, declared once: Roost's own here, a plugin's own by its plugin.

A declaration has a type, a default, a variable and a help text, which the command line, the
documentation, ``roost doctor`` and errors all use. The command line wins over the environment, the
environment over a file, a file over the default. The file is read only when it is named: the
current folder decides nothing.

A plugin declares its settings as a class and returns it from its hook ``register_settings``::

    @attrs.frozen(kw_only=True)
    class S3Settings:
        namespace = "s3"
        bucket: str = setting("", text, "The bucket for artifacts.", "NAME")

    settings.of(S3Settings).bucket  # --s3-bucket, ROOST_S3_BUCKET, s3_bucket in a file
"""

from __future__ import annotations

from roost_core.settings.core import Settings, table
from roost_core.settings.declaring import On, setting, variable
from roost_core.settings.parsers import (
    choice,
    name,
    optional_seconds,
    path,
    seconds,
    text,
    whole,
    words,
    yes_no,
)
from roost_core.settings.sources import load, state_folder, without_settings

__all__ = [
    "On",
    "Settings",
    "choice",
    "load",
    "name",
    "optional_seconds",
    "path",
    "seconds",
    "setting",
    "state_folder",
    "table",
    "text",
    "variable",
    "whole",
    "without_settings",
    "words",
    "yes_no",
]
