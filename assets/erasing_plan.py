"""What an erasure that is under way has found: kept in the home, so that any later command can complete it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeling.erasing import Digests


@dataclass(frozen=True)
class Plan:
    """What an erasure has found, kept in the home until its receipt is written: digests, ids of cases, and counts.

    A later command of the same request finds by it what the rows that are gone by then would have told. ``begun_at``
    tells it from an earlier erasure of the same request.
    """

    receipt: str
    begun_at: str
    digests: Digests
    texts: frozenset[str]
    cases: frozenset[str]
    neighbours: frozenset[str]
    rows: dict[str, int]

    def merged(self, earlier: "Plan | None") -> "Plan":
        """Return this plan with what an earlier command of the same request had found."""
        if earlier is None:
            return self
        names = {*self.rows, *earlier.rows}
        return Plan(
            self.receipt,
            earlier.begun_at,
            Digests(
                self.digests.customers | earlier.digests.customers,
                self.digests.interactions | earlier.digests.interactions,
                self.digests.conversations | earlier.digests.conversations,
            ),
            self.texts | earlier.texts,
            self.cases | earlier.cases,
            self.neighbours | earlier.neighbours,
            {name: max(self.rows.get(name, 0), earlier.rows.get(name, 0)) for name in sorted(names)},
        )

    def save(self, path: Path) -> None:
        """Write the plan; atomic."""
        said = asdict(self)
        said |= {name: sorted(said[name]) for name in ("texts", "cases", "neighbours")}
        said["digests"] = {name: sorted(found) for name, found in said["digests"].items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(said, indent=1), encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Plan | None":
        """Read the plan that an unfinished command left, None where there is none."""
        if not path.exists():
            return None
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sets = {name: frozenset(said[name]) for name in ("texts", "cases", "neighbours")}
        digests = Digests(**{name: frozenset(found) for name, found in said["digests"].items()})
        return cls(receipt=said["receipt"], begun_at=said["begun_at"], digests=digests, rows=said["rows"], **sets)
