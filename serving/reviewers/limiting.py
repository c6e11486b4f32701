"""How often somebody may try to sign in, and decide: moving windows in this process's memory."""

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from serving.reviewers.faults import TooMany

_SIGN_INS: Final = RateLimitItemPerMinute(10)
_ALL_SIGN_INS: Final = RateLimitItemPerMinute(60)
"""From all addresses together: checking a token costs much memory by design (argon2)."""

_DECISIONS: Final = RateLimitItemPerMinute(20)


class Limits:
    """Counts what each address and each person tried."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count_sign_in(self, address: str) -> None:
        """Count one attempt to sign in from ``address``.

        Raises:
            TooMany: there were ten within a minute, or sixty from all addresses.
        """
        self._count(_SIGN_INS, "sign in", address)
        self._count(_ALL_SIGN_INS, "sign in", "from everywhere")

    def count_decision(self, name: str) -> None:
        """Count one decision sent by ``name``.

        Raises:
            TooMany: there were twenty within a minute.
        """
        self._count(_DECISIONS, "decide", name)

    def _count(self, limit: RateLimitItem, what: str, who: str) -> None:
        if self._limiter.hit(limit, what, who):
            return
        reset = self._limiter.get_window_stats(limit, what, who).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        raise TooMany(f"at most {limit.amount} attempts to {what} a minute are taken: wait {seconds} s", seconds)
