"""What the gateway counts, in Prometheus' text format (version 0.0.4), and its alarms.

Written here because the format is a dozen lines and no library of it comes with cxloop. Safe to use from any thread.
"""

import bisect
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_LOG: Final = logging.getLogger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "cxloop_gateway_"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MESSAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Labels = tuple[tuple[str, str], ...]


@dataclass
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)


class Metrics:
    """Counters, histograms, gauges and alarms of one gateway."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._help: dict[str, tuple[str, str]] = {}
        self._counters: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._alarms: dict[str, str] = {}

    @property
    def alarms(self) -> Mapping[str, str]:
        """The alarms that are on, by name, with what is wrong in words."""
        with self._lock:
            return {name: words for name, words in self._alarms.items() if words}

    def count(self, name: str, told: str, by: float = 1, **labels: str) -> None:
        """Add ``by`` to the counter ``name`` of ``labels``; ``told`` says what it counts."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            self._help[name] = (told, "counter")
            counter = self._counters.setdefault(name, {})
            counter[key] = counter.get(key, 0) + by

    def observe(self, name: str, told: str, value: float, **labels: str) -> None:
        """Put ``value`` into the histogram ``name``, whose name ends in its unit: ``_seconds`` or ``_messages``."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            self._help[name] = (told, "histogram")
            bounds = _SECONDS if name.endswith("_seconds") else _MESSAGES
            found = self._histograms.setdefault(name, {}).setdefault(key, _Histogram(bounds))
            found.counts[bisect.bisect_left(found.bounds, value)] += 1
            found.total += value

    def watch(self, name: str, told: str, read: Callable[[], float]) -> None:
        """Show what ``read`` returns, at each look, as the gauge ``name``."""
        with self._lock:
            self._help[name] = (told, "gauge")
            self._gauges[name] = read

    def alarm(self, name: str, words: str) -> None:
        """Switch the alarm ``name`` on, ``words`` saying what is wrong, or off where they are empty."""
        with self._lock:
            before = self._alarms.get(name, "")
            self._alarms[name] = words
        if bool(before) == bool(words):
            return
        if words:
            _LOG.error("alarm %s: %s", name, words)
        else:
            _LOG.warning("alarm %s is over", name)

    def render(self) -> str:
        """Return everything in Prometheus' text format."""
        with self._lock:
            lines: list[str] = []
            for name, (told, kind) in sorted(self._help.items()):
                full = f"{_PREFIX}{name}{'_total' if kind == 'counter' else ''}"
                lines += [f"# HELP {full} {told}", f"# TYPE {full} {kind}"]
                lines += [
                    f"{full}{_labels(key)} {_number(value)}" for key, value in self._counters.get(name, {}).items()
                ]
                for key, found in self._histograms.get(name, {}).items():
                    lines += _histogram_lines(full, key, found)
                if name in self._gauges:
                    lines.append(f"{full} {_number(self._gauges[name]())}")
            lines += [f"# HELP {_PREFIX}alarm 1 where something is wrong", f"# TYPE {_PREFIX}alarm gauge"]
            lines += [
                f"{_PREFIX}alarm{_labels((('name', name),))} {int(bool(words))}"
                for name, words in sorted(self._alarms.items())
            ]
        return "\n".join(lines) + "\n"


def _histogram_lines(full: str, key: Labels, found: _Histogram) -> list[str]:
    lines, below = [], 0
    for bound, count in zip((*found.bounds, "+Inf"), found.counts, strict=True):
        below += count
        lines.append(f"{full}_bucket{_labels((*key, ('le', str(bound))))} {below}")
    return [*lines, f"{full}_sum{_labels(key)} {_number(found.total)}", f"{full}_count{_labels(key)} {below}"]


def _labels(key: Labels) -> str:
    shown = ",".join(f'{name}="{_escape(value)}"' for name, value in key)
    return f"{{{shown}}}" if shown else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
