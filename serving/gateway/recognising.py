"""Whose request it is: the key is looked up, and checked where it was not seen before, once for all that wait."""

import asyncio

from fastapi.concurrency import run_in_threadpool

from serving.gateway.keys import Client, KeyRing
from serving.gateway.limiting import RateLimits


class Recogniser:
    """Recognises clients; used by one event loop.

    Args:
        keys: the home's.
        limits: counts keys that were not seen before, by address.
    """

    def __init__(self, keys: KeyRing, limits: RateLimits) -> None:
        self._keys = keys
        self._limits = limits
        self._checks: dict[str, asyncio.Future[Client | None]] = {}

    async def identify(self, token: str, *, address: str) -> Client | None:
        """Return whose ``token`` is, None where it is nobody's.

        Raises:
            TooMany: too many keys that were not seen before came from ``address``, or from everywhere.
        """
        is_known, client = self._keys.recall(token)
        if is_known:
            return client
        if (check := self._checks.get(token)) is None:
            check = asyncio.ensure_future(self._check(token, address))
            self._checks[token] = check
            check.add_done_callback(lambda _: self._checks.pop(token, None))
        return await asyncio.shield(check)

    async def _check(self, token: str, address: str) -> Client | None:
        await self._limits.count_attempt(address)
        return await run_in_threadpool(self._keys.check, token)
