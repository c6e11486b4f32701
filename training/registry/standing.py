"""Where the releases stand according to the ledger: the champion, those before it, and the challenger."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from training.registry.ledger import Entry
from training.registry.registry import RELEASE

CHALLENGER_NAMED: Final = "challenger_named"
DECISION: Final = "decision"
ALIAS_MOVED: Final = "alias_moved"
ALIAS_PUT_RIGHT: Final = "alias_put_right"


@dataclass(frozen=True)
class Standing:
    """What the ledger's entries add up to.

    Attributes:
        champions: versions of the release, the first champion first, the live one last; a rollback takes the last
            one away.
        challenger: the version that waits for a decision, None where none does.
        champion_since: when the live champion was decided on, None where there is none.
        decided: version to the newest decision that was about it.
        named: version to the entry that made it challenger.
        unsettled: the newest naming or decision whose aliases are not yet known to have moved.
        last: the newest naming or decision.
    """

    champions: tuple[str, ...] = ()
    challenger: str | None = None
    champion_since: datetime | None = None
    decided: Mapping[str, Entry] = field(default_factory=dict)
    named: Mapping[str, Entry] = field(default_factory=dict)
    unsettled: Entry | None = None
    last: Entry | None = None

    @property
    def champion(self) -> str | None:
        """The live version, None where there never was one."""
        return self.champions[-1] if self.champions else None

    @property
    def previous_champion(self) -> str | None:
        """The version that a rollback goes to, None where there is none."""
        return self.champions[-2] if len(self.champions) > 1 else None

    def members(self, version: str | None) -> Mapping[str, str]:
        """Return the member models of ``version`` as ``{registered name: version}``; empty for one never named."""
        return self.named[version].body["members"] if version and version in self.named else {}

    def wanted_aliases(self) -> dict[tuple[str, str], str | None]:
        """Return (registered name, alias) to the version it must point at, None where it must not exist."""
        names = sorted({RELEASE, *(name for version in self.named for name in self.members(version))})
        wanted: dict[tuple[str, str], str | None] = {}
        for alias, version in (("champion", self.champion), ("challenger", self.challenger)):
            for name in names:
                wanted[name, alias] = version if name == RELEASE else self.members(version).get(name)
        return wanted


def read_standing(entries: Iterable[Entry]) -> Standing:
    """Add up ``entries``, oldest first; kinds that say nothing of releases are passed over."""
    champions: list[str] = []
    state: dict[str, Any] = {}
    decided: dict[str, Entry] = {}
    named: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind == CHALLENGER_NAMED:
            named[entry.body["version"]] = entry
            state |= {"challenger": entry.body["version"], "unsettled": entry, "last": entry}
        elif entry.kind == DECISION:
            decided[entry.body["version"]] = entry
            state |= _after(entry, champions, state.get("challenger")) | {"unsettled": entry, "last": entry}
        elif entry.kind == ALIAS_MOVED:
            state["unsettled"] = None
    return Standing(champions=tuple(champions), decided=decided, named=named, **state)


def _after(entry: Entry, champions: list[str], challenger: str | None) -> dict[str, Any]:
    """Apply one decision to ``champions`` in place; return what else it changes."""
    if entry.body["decision"] == "reject":
        return {"challenger": None}
    if entry.body["decision"] == "approve":
        champions.append(entry.body["version"])
        return {"challenger": None, "champion_since": entry.at}
    champions.pop()
    return {"challenger": challenger, "champion_since": entry.at}
