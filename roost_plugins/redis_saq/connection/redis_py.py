"""All that Roost uses of redis-py, imported at once: a lazy door for those who need a client.

redis-py takes as long to import as all the rest of a short command, so nobody imports
this at the top of a module. Whoever starts a thread that will need it imports this first:
two threads that import parts of one library at the same time can wait for each other.
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
