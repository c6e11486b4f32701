"""Every champion there was, and every decision, as the ledger tells them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from training.registry.ledger import Entry
from training.registry.standing import DECISION, is_settling


@dataclass(frozen=True)
class Reign:
    """One version as the champion, ``since`` the decision ``entry`` until the next (None: it is live)."""

    version: str
    since: datetime
    until: datetime | None
    entry: Entry

    @property
    def is_return(self) -> bool:
        """Whether it came back because another was taken back."""
        return self.entry.body["decision"] == "rollback"


def list_reigns(entries: Sequence[Entry]) -> list[Reign]:
    """Return every reign, the newest first."""
    reigns: list[Reign] = []
    for entry in list_decisions(entries)[::-1]:
        if not is_settling(entry) or entry.body["decision"] == "reject":
            continue
        if reigns:
            reigns[-1] = replace(reigns[-1], until=entry.at)
        reigns.append(Reign(entry.body["champion_after"], entry.at, None, entry))
    return reigns[::-1]


def list_decisions(entries: Sequence[Entry]) -> list[Entry]:
    """Return every decision, the newest first."""
    return [entry for entry in reversed(entries) if entry.kind == DECISION]
