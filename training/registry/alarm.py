"""The alarm: what stands in the registry otherwise than the ledger says, recorded once, and put right where asked.

Aliases say who answers; the tags that bear decisions (verdict, parity, members, case file, anchor) say why that one
may. MLflow's open edition lets anyone change both.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from training.registry.ledger import Entry, Ledger, LedgerTransaction
from training.registry.registry import (
    ANCHOR_TAG,
    CASE_FILE_TAG,
    MEMBERS_TAG,
    PARITY_TAG,
    PASSED,
    PROMOTE,
    RELEASE,
    VERDICT_TAG,
    ModelRegistry,
    ModelVersion,
)
from training.registry.standing import ALIAS_MOVED, CHALLENGER_NAMED, DECISION, JUDGED, Standing, read_standing

ALARM: Final = "alarm"
ALARM_OVER: Final = "alarm_over"
TAG_PUT_RIGHT: Final = "tag_put_right"
PAUSE_SECONDS: Final = 2.0
"""How long after the first look the second comes: an entry and its tags cannot be written in one transaction."""

_FORMS: Final = {
    VERDICT_TAG: r"[a-z]{1,20}",
    PARITY_TAG: r"[a-z]{1,20}",
    MEMBERS_TAG: r"[\w\-.:,{}\" ]{0,300}",
    CASE_FILE_TAG: r"[0-9a-f]{64}",
    ANCHOR_TAG: r"[0-9]+:[0-9a-f]{64}",
}
_VERSION: Final = "version"
_CUT: Final = "an entry of the ledger"


@dataclass(frozen=True)
class Finding:
    """One alias, tag or version that is not what the ledger says.

    Attributes:
        name: the registered name.
        version: the version whose tag it is; None for an alias.
        what: ``alias NAME``, ``tag NAME``, or ``version`` for one that is gone.
        found: what the registry holds, None for nothing; in place of a value of another form than ours, words.
        expected: what the ledger says, None for nothing.
    """

    name: str
    version: str | None
    what: str
    found: str | None
    expected: str | None

    @property
    def where(self) -> str:
        """The place in words."""
        return f"{self.name} version {self.version}" if self.version else self.name

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        if self.what == _VERSION:
            return "is not registered any more: the ledger names it"
        if self.expected == _CUT:
            return f"{self.what} is {self.found}, no entry of the ledger: the tag was changed, or the ledger was cut"
        return f"{self.what} is {self.found or 'not there'}, the ledger says {self.expected or 'none'}"

    @property
    def can_be_put_right(self) -> bool:
        """Whether the ledger says what must stand there."""
        return self.what != _VERSION and self.expected != _CUT


def find_moved(entries: list[Entry], registry: ModelRegistry) -> list[Finding]:
    """Return every alias and decision-bearing tag that is not what ``entries`` say.

    Aliases are passed over while a decision is half applied: they are about to move.

    Raises:
        RegistryError: the registry cannot be reached.
    """
    versions = {version.version: version for version in registry.versions(RELEASE)}
    return [*_find_aliases(read_standing(entries), registry, versions), *_find_tags(entries, versions)]


def look_twice(ledger: Ledger, registry: ModelRegistry, *, pause: float = PAUSE_SECONDS) -> list[Finding]:
    """Return what was moved by hand, and still is so after ``pause`` seconds.

    Raises:
        RegistryError: the registry cannot be reached.
        LedgerError: the ledger's chain is broken.
    """
    first = find_moved(ledger.entries(), registry)
    if not first:
        return []
    time.sleep(pause)
    return [found for found in find_moved(ledger.entries(), registry) if found in first]


def watch_registry(
    ledger: Ledger, registry: ModelRegistry, *, now: datetime, pause: float = PAUSE_SECONDS
) -> list[Finding]:
    """Look for what was moved by hand; record what is new of it as ``alarm``, and where it ends as ``alarm_over``.

    Where every anchor is an entry of the ledger, the head is anchored on the newest version, so that from then on a
    cut tail shows.

    Returns:
        What is wrong now, recorded before or not.

    Raises:
        RegistryError: the registry cannot be reached.
        LedgerError: the ledger's chain is broken, or it cannot be written.
    """
    wrong = look_twice(ledger, registry, pause=pause)
    entries = ledger.entries()
    known = read_alarm(entries)
    if wrong != known:
        with ledger.transaction() as transaction:
            entries = _record(wrong, transaction, now=now)
    if all(found.expected != _CUT for found in wrong):
        _anchor_head(entries, registry)
    return wrong


def put_tags_right(ledger: Ledger, registry: ModelRegistry, *, now: datetime) -> list[str]:
    """Give tags that an open alarm names the values that the ledger says; return one line for each.

    A tag that names an entry which the ledger lacks is left: it may be the only witness of a ledger that was cut.

    Raises:
        RegistryError: the registry cannot be reached; call again.
        LedgerError: the ledger cannot be read or written.
    """
    with ledger.transaction() as transaction:
        entries = transaction.entries()
        alarmed = read_alarm(entries)
        wrong = [found for found in find_moved(entries, registry) if found in alarmed] if alarmed else []
        mended = [found for found in wrong if found.version and found.can_be_put_right]
        for found in mended:
            registry.tag(found.name, str(found.version), {_tag_of(found): str(found.expected)})
        if mended:
            transaction.append(TAG_PUT_RIGHT, {"findings": [asdict(found) for found in mended]}, at=now)
    return [f"{found.where}: {found.told} (put right)" for found in mended]


def _record(wrong: list[Finding], transaction: LedgerTransaction, *, now: datetime) -> list[Entry]:
    """Record what of ``wrong`` the newest alarm does not know, or what is over; return all entries."""
    known = read_alarm(transaction.entries())
    new = [found for found in wrong if found not in known]
    body = {"findings": [asdict(found) for found in wrong]}
    if new:
        transaction.append(ALARM, {**body, "new": [asdict(found) for found in new]}, at=now)
    elif len(wrong) < len(known):
        transaction.append(ALARM_OVER, body, at=now)
    return transaction.entries()


def read_alarm(entries: list[Entry]) -> list[Finding]:
    """Return what the ledger's newest alarm says is wrong; none where it is over."""
    newest = next((entry for entry in reversed(entries) if entry.kind in {ALARM, ALARM_OVER}), None)
    return [Finding(**found) for found in newest.body["findings"]] if newest else []


def _find_aliases(
    standing: Standing, registry: ModelRegistry, versions: Mapping[str, ModelVersion]
) -> Iterator[Finding]:
    """Yield aliases that are elsewhere; where the version that one belongs to is gone, that version, once."""
    if standing.last is None or standing.unsettled:
        return
    wanted = standing.wanted_aliases()
    found = {name: registry.aliases(name) for name in {name for name, _ in wanted}}
    for (name, alias), version in wanted.items():
        current = found[name].get(alias)
        if current == version:
            continue
        known = versions if name == RELEASE else {each.version for each in registry.versions(name)}
        if version is None or version in known:
            yield Finding(name, None, f"alias {alias}", current, version)
        elif name != RELEASE:
            yield Finding(name, version, _VERSION, None, version)


def _find_tags(entries: list[Entry], versions: Mapping[str, ModelVersion]) -> Iterator[Finding]:
    for version, tags in _wanted_tags(entries).items():
        if version not in versions:
            yield Finding(RELEASE, version, _VERSION, None, version)
            continue
        for tag, value in tags.items():
            found = versions[version].tags.get(tag)
            if not _is_same(tag, found, value):
                yield Finding(RELEASE, version, f"tag {tag}", _shown(tag, found), value)
    yield from _find_anchors(entries, versions)


def _find_anchors(entries: list[Entry], versions: Mapping[str, ModelVersion]) -> Iterator[Finding]:
    """Yield anchors that the ledger lacks, and those that are older than the ledger says, or gone."""
    held = {entry.anchor: entry.number for entry in entries}
    due = _wanted_anchors(entries)
    for version, registered in versions.items():
        found = registered.tags.get(ANCHOR_TAG)
        if found is not None and found not in held:
            yield Finding(RELEASE, version, f"tag {ANCHOR_TAG}", _shown(ANCHOR_TAG, found), _CUT)
        elif version in due and (found is None or held[found] < due[version].number):
            yield Finding(RELEASE, version, f"tag {ANCHOR_TAG}", found, due[version].anchor)


def _wanted_tags(entries: list[Entry]) -> dict[str, dict[str, str]]:
    """Return what each version's tags must be, by what the ledger says of it last."""
    wanted: dict[str, dict[str, str]] = {}
    for entry in entries:
        if entry.kind not in {JUDGED, CHALLENGER_NAMED}:
            continue
        tags = wanted.setdefault(entry.body["version"], {})
        if entry.kind == JUDGED:
            tags[VERDICT_TAG] = entry.body["verdict"]
        else:
            tags.setdefault(VERDICT_TAG, PROMOTE)
            tags |= {PARITY_TAG: PASSED, MEMBERS_TAG: json.dumps(entry.body["members"])}
        if case_file := entry.body.get("case_file"):
            tags[CASE_FILE_TAG] = case_file
    return wanted


def _wanted_anchors(entries: list[Entry]) -> dict[str, Entry]:
    """Return version to the newest entry that its anchor must know: its judging, or what settled its last decision."""
    about = {entry.number: entry.body["version"] for entry in entries if entry.kind in {CHALLENGER_NAMED, DECISION}}
    due: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind == JUDGED:
            due[entry.body["version"]] = entry
        elif entry.kind == ALIAS_MOVED and entry.body["entry"] in about:
            due[about[entry.body["entry"]]] = entry
    return due


def _anchor_head(entries: list[Entry], registry: ModelRegistry) -> None:
    """Anchor the newest entry on the newest version, unless a version knows it already."""
    versions = registry.versions(RELEASE) if entries else []
    if versions and all(version.tags.get(ANCHOR_TAG) != entries[-1].anchor for version in versions):
        newest = max(versions, key=lambda version: int(version.version))
        registry.tag(RELEASE, newest.version, {ANCHOR_TAG: entries[-1].anchor})


def _is_same(tag: str, found: str | None, wanted: str) -> bool:
    if tag != MEMBERS_TAG or found is None:
        return found == wanted
    try:
        return json.loads(found) == json.loads(wanted)
    except ValueError:
        return False


def _shown(tag: str, found: str | None) -> str | None:
    """Return a tag's value where it has our form; what a hand wrote could be anything, and goes into no record."""
    if found is None or re.fullmatch(_FORMS[tag], found):
        return found
    return f"another text of {len(found)} characters"


def _tag_of(found: Finding) -> str:
    return found.what.removeprefix("tag ")
