"""Where the releases stand according to the ledger: the champion, those before it, and the challenger."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from training.registry.ledger import Entry
from training.registry.registry import RELEASE

CHALLENGER_NAMED: Final = "challenger_named"
DECISION: Final = "decision"
JUDGED: Final = "judged"
ALIAS_MOVED: Final = "alias_moved"
ALIAS_PUT_RIGHT: Final = "alias_put_right"


class Rollback(NamedTuple):
    """The version that a rollback takes back, and the one that it makes the champion again."""

    taken: str
    restored: str


@dataclass(frozen=True)
class Standing:
    """What the ledger's entries add up to.

    Attributes:
        champions: versions of the release, the first champion first, the live one last; a rollback takes the last
            one away.
        challenger: the version that waits for a decision, None where none does.
        champion_since: when the live champion was decided on, None where there is none.
        decided: version to the newest decision that settled it: approved with all approvals, rejected or taken back.
        named: version to the newest entry that made it challenger.
        judged: version to the newest entry that says what its gates said.
        approvals: the approvals of the challenger that waits, since it was last named.
        asked: version to the newest wish for more evidence on it.
        waived: the waivers, oldest first.
        unsettled: the newest naming or settling decision whose aliases are not yet known to have moved.
        last: the newest naming or decision.
    """

    champions: tuple[str, ...] = ()
    challenger: str | None = None
    champion_since: datetime | None = None
    decided: Mapping[str, Entry] = field(default_factory=dict)
    named: Mapping[str, Entry] = field(default_factory=dict)
    judged: Mapping[str, Entry] = field(default_factory=dict)
    approvals: tuple[Entry, ...] = ()
    asked: Mapping[str, Entry] = field(default_factory=dict)
    waived: tuple[Entry, ...] = ()
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

    @property
    def rollback(self) -> Rollback | None:
        """What rolling back means now, None where there is no champion to go back to.

        While the aliases of a rollback have not moved yet, it is that one: who asks again wants it finished, and no
        second one.
        """
        if self.unsettled and self.unsettled.body.get("decision") == "rollback":
            return Rollback(self.unsettled.body["champion_before"], self.unsettled.body["champion_after"])
        return Rollback(self.champions[-1], self.champions[-2]) if len(self.champions) > 1 else None

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
    sum_ = _Sum()
    for entry in entries:
        sum_.add(entry)
    return Standing(**{**vars(sum_), "champions": tuple(sum_.champions), "approvals": tuple(sum_.approvals)})


@dataclass
class _Sum:
    """What the entries so far add up to; the fields are those of ``Standing``."""

    champions: list[str] = field(default_factory=list)
    challenger: str | None = None
    champion_since: datetime | None = None
    decided: dict[str, Entry] = field(default_factory=dict)
    named: dict[str, Entry] = field(default_factory=dict)
    judged: dict[str, Entry] = field(default_factory=dict)
    approvals: list[Entry] = field(default_factory=list)
    asked: dict[str, Entry] = field(default_factory=dict)
    waived: tuple[Entry, ...] = ()
    unsettled: Entry | None = None
    last: Entry | None = None

    def add(self, entry: Entry) -> None:
        if entry.kind == JUDGED:
            self.judged[entry.body["version"]] = entry
        elif entry.kind == CHALLENGER_NAMED:
            self.named[entry.body["version"]] = entry
            self.challenger, self.approvals = entry.body["version"], []
            self.unsettled = self.last = entry
        elif entry.kind == DECISION:
            self._decide(entry)
            self.last = entry
        elif entry.kind == ALIAS_MOVED:
            self.unsettled = None

    def _decide(self, entry: Entry) -> None:
        kind, version = entry.body["decision"], entry.body["version"]
        if kind == "approve":
            self.approvals.append(entry)
        elif kind == "more_evidence":
            self.asked[version] = entry
        elif kind == "waive":
            self.waived = (*self.waived, entry)
        if is_settling(entry):
            self.decided[version] = self.unsettled = entry
            self._move(kind, version, entry.at)

    def _move(self, kind: str, version: str, at: datetime) -> None:
        if kind == "rollback":
            self.champions.pop()
        else:
            self.challenger, self.approvals = None, []
        if kind == "approve":
            self.champions.append(version)
        if kind != "reject":
            self.champion_since = at


def is_settling(entry: Entry) -> bool:
    """Say whether a decision settles its version; an approval does where it was the last that was needed."""
    body = entry.body
    is_last_approval = body["decision"] == "approve" and body["champion_after"] == body["version"]
    return is_last_approval or body["decision"] in ("reject", "rollback")
