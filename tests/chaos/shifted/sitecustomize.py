"""Shifts the wall clock of a whole process, before it imports anything, by seconds.

Python imports this file by its name when its folder is on the path. ``ROOST_X_SHIFT`` says by how
much; the clocks that only go forward are left alone, as they are when somebody sets the time.
"""

from __future__ import annotations

import datetime
import os
import time

_SHIFT = float(os.environ["ROOST_X_SHIFT"])
_time, _time_ns = time.time, time.time_ns
_real = datetime.datetime


class _Meta(type):
    def __instancecheck__(cls, instance):
        # A datetime made by C code must pass as one as well.
        return isinstance(instance, _real)


class _Shifted(_real, metaclass=_Meta):
    @classmethod
    def now(cls, tz=None):
        """Return the shifted time."""
        return _real.now(tz) + datetime.timedelta(seconds=_SHIFT)

    @classmethod
    def utcnow(cls):
        """Return the shifted time."""
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + _SHIFT
time.time_ns = lambda: _time_ns() + int(_SHIFT * 1e9)
datetime.datetime = _Shifted
