"""All that Roost uses of redis-py, imported at once: a lazy entry for code that needs a client.

redis-py takes as long to import as the rest of a short command, so nothing imports this at the top
of a module. Code that starts a thread that needs it imports this first: two threads that import
parts of one library at the same time can deadlock.
"""

from __future__ import annotations

# redis-py asks for its own version when it connects, and that reads a mail-like file.
import email.parser

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.backoff
import redis.exceptions
import redis.retry
import redis.sentinel

__all__ = ["email", "redis"]
