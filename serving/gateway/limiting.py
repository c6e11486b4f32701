"""How often a key may ask, and how often an address may try keys: sliding windows in this process's memory.

Used by one event loop: the library's storage for threads would start a thread every few requests.
"""

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from serving.gateway.config import Rates
from serving.gateway.faults import TooMany
from serving.gateway.keys import Client

_ATTEMPTS: Final = RateLimitItemPerMinute(30)
_ALL_ATTEMPTS: Final = RateLimitItemPerMinute(120)
"""From all addresses together: checking a key costs much memory by design (argon2)."""


class RateLimits:
    """Counts what each key asked, and which addresses tried keys that were not known yet."""

    def __init__(self, rates: Rates) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rates = {role: parse(rate) for role, rate in rates.model_dump().items()}

    async def count(self, client: Client, cost: int) -> None:
        """Count ``cost`` questions of ``client``.

        Raises:
            TooMany: that is more than its role may ask.
        """
        await self._count(
            self._rates[client.role], f"questions of a key with the role {client.role}", client.name, cost
        )

    async def count_attempt(self, address: str) -> None:
        """Count a key that has not been seen yet.

        Raises:
            TooMany: ``address``, or all addresses together, tried too many within a minute.
        """
        await self._count(_ATTEMPTS, "keys tried", address, 1)
        await self._count(_ALL_ATTEMPTS, "keys tried", "everywhere", 1)

    async def _count(self, limit: RateLimitItem, what: str, who: str, cost: int) -> None:
        if await self._limiter.hit(limit, what, who, cost=cost):
            return
        reset = (await self._limiter.get_window_stats(limit, what, who)).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        raise TooMany(f"{limit} {what} are taken: wait {seconds} s", seconds=seconds)
