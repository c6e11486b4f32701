"""The gateway's alarms on the ledger, from where people are told of them (serving.notices)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from serving.gateway.metrics import Metrics
from serving.notices import GATEWAY_ALARM
from training.registry.ledger import Ledger

_AGAIN_AFTER: Final = timedelta(hours=1)


class Alarming:
    """Puts an alarm on the ledger once it was on at two looks running: what comes and goes within one disturbs nobody.

    While it stays on it is told once; where it ends and begins again, or the gateway does, at most once an hour.

    Args:
        ledger: the home's.
        metrics: knows which alarms are on.
        now: the clock.
    """

    def __init__(self, ledger: Ledger, metrics: Metrics, *, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._now = now
        self._on: set[str] = set()
        self._told: set[str] = set()

    def look(self) -> None:
        """Look once.

        Raises:
            LedgerError: the ledger cannot be read or written; nothing is forgotten by it.
        """
        alarms = self._metrics.alarms
        standing = self._on & alarms.keys()
        self._on = set(alarms)
        self._told &= alarms.keys()
        for name in sorted(standing - self._told):
            if not self._was_told_lately(name):
                self._ledger.append(GATEWAY_ALARM, {"alarm": name, "told": alarms[name]}, at=self._now())
            self._told.add(name)

    def _was_told_lately(self, name: str) -> bool:
        told = [entry.at for entry in self._ledger.entries(GATEWAY_ALARM) if entry.body["alarm"] == name]
        return bool(told) and self._now() - told[-1] < _AGAIN_AFTER
