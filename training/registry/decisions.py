"""What people decide on releases. Nothing else moves an alias, and no alias moves before the ledger holds why."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from labeling.errors import DecisionRefused, RegistryError
from training.registry.ledger import Entry, Ledger, LedgerTransaction, check_anchors
from training.registry.registry import (
    ANCHOR_TAG,
    MEMBERS_TAG,
    PARITY_TAG,
    PASSED,
    PROMOTE,
    RELEASE,
    VERDICT_TAG,
    ModelRegistry,
    ModelVersion,
)
from training.registry.standing import (
    ALIAS_MOVED,
    ALIAS_PUT_RIGHT,
    CHALLENGER_NAMED,
    DECISION,
    Standing,
    read_standing,
)

NOTE_LENGTH: Final = 2_000
REVIEWER_LENGTH: Final = 80


@dataclass(frozen=True)
class Decision:
    """One person's decision on one version of the release.

    ``version`` is the challenger to approve or reject, or the champion to take back: naming it is how somebody who
    looked at an older state is told so. ``note`` is any text of up to 2,000 characters, ``reviewer`` a name of 1 to
    80 on one line. ``at`` has a time zone.
    """

    kind: Literal["approve", "reject", "rollback"]
    version: str
    reviewer: str
    note: str
    at: datetime


@dataclass(frozen=True)
class Applied:
    """What a decision came to: its ledger entry, where things stand now, and the moves made, one line each."""

    entry: Entry
    standing: Standing
    moves: tuple[str, ...]


def name_challenger(version: str, *, at: datetime, ledger: Ledger, registry: ModelRegistry) -> Applied:
    """Let ``version`` of the release wait for a person's decision; it takes the place of a challenger that waits.

    Doing it twice is doing it once.

    Raises:
        DecisionRefused: the gates did not say promote, parity was not shown, the version or a member is not
            registered, or it has been decided on before.
        RegistryError: the registry cannot be reached; where the naming was recorded already, it says so.
        LedgerError: the ledger does not verify or cannot be written.
    """
    with ledger.transaction() as transaction:
        standing, versions = _read_state(transaction, registry)
        entry = standing.named.get(version)
        if standing.challenger != version or entry is None:
            _refuse_if_decided(version, standing)
            members = _require_passed(version, versions, registry)
            body = {"version": version, "members": dict(members), "replaces": standing.challenger}
            entry = transaction.append(CHALLENGER_NAMED, body, at=at)
    return _complete(entry, ledger, registry, now=at)


def apply_decision(decision: Decision, *, ledger: Ledger, registry: ModelRegistry) -> Applied:
    """Record a decision, then move the aliases accordingly.

    The check and the record are one transaction: of two decisions at once the first wins, the other is refused. The
    same decision again (kind, version, reviewer and note), as after a crash, finishes what the first began.

    Raises:
        DecisionRefused: the version is not what the decision takes it for, or its gates were not passed; says why.
        RegistryError: the registry cannot be reached; where the decision was recorded already, it says so.
        LedgerError: the ledger does not verify or cannot be written.
    """
    decision = _checked(decision)
    with ledger.transaction() as transaction:
        standing, versions = _read_state(transaction, registry)
        entry = standing.last
        if entry is None or not _is_same(entry, decision):
            body = _CHECKS[decision.kind](decision, standing, versions, registry)
            entry = transaction.append(DECISION, _describe(decision) | body, at=decision.at)
    return _complete(entry, ledger, registry, now=decision.at)


def reconcile(ledger: Ledger, registry: ModelRegistry, *, now: datetime) -> list[str]:
    """Make the registry's aliases what the ledger says: finish what a crash left, put back what a hand moved.

    Holds the ledger's lock throughout, so that no decision falls between reading and moving.

    Returns:
        One line for each alias moved; empty where all agreed.

    Raises:
        LedgerError: the ledger does not verify against the anchors on the registered versions; nothing is moved.
        RegistryError: the registry cannot be reached or lacks a version; call again.
    """
    with ledger.transaction() as transaction:
        standing, versions = _read_state(transaction, registry)
        moves = _move_aliases(standing, registry)
        if standing.unsettled:
            body = {"entry": standing.unsettled.number, "moves": moves}
            transaction.append(ALIAS_MOVED, body, at=now)
        elif moves:
            transaction.append(ALIAS_PUT_RIGHT, {"moves": moves}, at=now)
        head = transaction.entries()[-1:]
    if head and standing.last:
        _anchor(head[0], standing.last.body["version"], versions, registry)
    cause = _describe_cause(standing)
    return [f"{move['name']}@{move['alias']}: {move['found']} -> {move['put']} ({cause})" for move in moves]


def _complete(entry: Entry, ledger: Ledger, registry: ModelRegistry, *, now: datetime) -> Applied:
    try:
        moves = reconcile(ledger, registry, now=now)
    except RegistryError as error:
        raise RegistryError(
            f"ledger entry {entry.number} is recorded, but the aliases could not be moved yet: {error}; "
            "give the same command again, or leave it to reconcile_job"
        ) from error
    return Applied(entry, read_standing(ledger.entries()), tuple(moves))


def _read_state(transaction: LedgerTransaction, registry: ModelRegistry) -> tuple[Standing, dict[str, ModelVersion]]:
    versions = {version.version: version for version in registry.versions(RELEASE)}
    entries = transaction.entries()
    check_anchors(entries, [found.tags[ANCHOR_TAG] for found in versions.values() if ANCHOR_TAG in found.tags])
    return read_standing(entries), versions


def _move_aliases(standing: Standing, registry: ModelRegistry) -> list[dict[str, str | None]]:
    moves: list[dict[str, str | None]] = []
    wanted_aliases = standing.wanted_aliases()
    found = {name: registry.aliases(name) for name in {name for name, _ in wanted_aliases}}
    for (name, alias), wanted in wanted_aliases.items():
        current = found[name].get(alias)
        if current == wanted:
            continue
        if wanted is None:
            registry.remove_alias(name, alias)
        else:
            registry.set_alias(name, alias, wanted)
        moves.append({"name": name, "alias": alias, "found": current, "put": wanted})
    return moves


def _anchor(head: Entry, version: str, versions: Mapping[str, ModelVersion], registry: ModelRegistry) -> None:
    known = versions.get(version)
    if known is not None and known.tags.get(ANCHOR_TAG) != head.anchor:
        registry.tag(RELEASE, version, {ANCHOR_TAG: head.anchor})


def _describe_cause(standing: Standing) -> str:
    entry = standing.unsettled
    if entry is None:
        return "moved by hand, put right"
    if entry.kind == CHALLENGER_NAMED:
        return f"entry {entry.number}: version {entry.body['version']} passed its gates"
    return f"entry {entry.number}: {entry.body['decision']} of {entry.body['version']} by {entry.body['reviewer']}"


def _checked(decision: Decision) -> Decision:
    """Return ``decision`` in the form that is recorded: trimmed, and without halves of characters."""
    reviewer, note = _whole(decision.reviewer).strip(), _whole(decision.note).strip()
    if not 1 <= len(reviewer) <= REVIEWER_LENGTH or not reviewer.isprintable():
        raise DecisionRefused(
            f"a decision needs a reviewer's name of 1 to {REVIEWER_LENGTH} printable characters on one line, "
            f"found {len(reviewer)} characters: give --reviewer NAME"
        )
    if len(note) > NOTE_LENGTH:
        raise DecisionRefused(
            f"a note holds up to {NOTE_LENGTH:,} characters, found {len(note):,}: shorten it, link to the rest"
        )
    return replace(decision, reviewer=reviewer, note=note)


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _describe(decision: Decision) -> dict[str, Any]:
    return {
        "decision": decision.kind,
        "version": decision.version,
        "reviewer": decision.reviewer,
        "note": decision.note,
    }


def _is_same(entry: Entry, decision: Decision) -> bool:
    return entry.kind == DECISION and _describe(decision).items() <= entry.body.items()


def _check_approval(
    decision: Decision, standing: Standing, versions: Mapping[str, ModelVersion], registry: ModelRegistry
) -> dict[str, Any]:
    if decision.version in versions and standing.challenger != decision.version:
        _refuse_if_decided(decision.version, standing)
    _require_passed(decision.version, versions, registry)
    _require_challenger(decision.version, standing)
    return {"champion_before": standing.champion, "champion_after": decision.version}


def _check_rejection(
    decision: Decision, standing: Standing, versions: Mapping[str, ModelVersion], registry: ModelRegistry
) -> dict[str, Any]:
    _require_registered(decision.version, versions)
    if standing.challenger != decision.version:
        _refuse_if_decided(decision.version, standing)
    _require_challenger(decision.version, standing)
    return {"champion_before": standing.champion, "champion_after": standing.champion}


def _check_rollback(
    decision: Decision, standing: Standing, versions: Mapping[str, ModelVersion], registry: ModelRegistry
) -> dict[str, Any]:
    if standing.champion != decision.version:
        raise DecisionRefused(
            f"version {decision.version} cannot be taken back: the champion is "
            f"{_name(standing.champion)}{_by_whom(standing.decided.get(decision.version))}; look before you decide"
        )
    previous = standing.previous_champion
    if previous is None:
        raise DecisionRefused(
            f"a rollback needs a champion before version {decision.version}, the ledger has none: "
            "promote another version"
        )
    _require_registered(previous, versions)
    _require_members(previous, standing.members(previous), registry)
    return {"champion_before": standing.champion, "champion_after": previous}


_Check = Callable[[Decision, Standing, Mapping[str, ModelVersion], ModelRegistry], dict[str, Any]]
_CHECKS: Final[Mapping[str, _Check]] = {
    "approve": _check_approval,
    "reject": _check_rejection,
    "rollback": _check_rollback,
}


def _require_challenger(version: str, standing: Standing) -> None:
    if standing.challenger != version:
        raise DecisionRefused(
            f"version {version} is not the challenger ({_name(standing.challenger)} is): decide on that one"
            if standing.challenger
            else f"version {version} is not the challenger, none waits: run retrain_job to make one"
        )


def _refuse_if_decided(version: str, standing: Standing) -> None:
    if earlier := standing.decided.get(version):
        raise DecisionRefused(
            f"version {version} has been decided on{_by_whom(earlier)}: "
            "a version is decided on once; retrain for a new one"
        )


def _require_registered(version: str, versions: Mapping[str, ModelVersion]) -> ModelVersion:
    if version not in versions:
        raise DecisionRefused(
            f"{RELEASE} has no version {version!r}, it has {', '.join(versions) or 'none'}: name one of those"
        )
    return versions[version]


def _require_passed(version: str, versions: Mapping[str, ModelVersion], registry: ModelRegistry) -> Mapping[str, str]:
    """Refuse a release whose gates or parity are not in order; return its members."""
    found = _require_registered(version, versions)
    if (verdict := found.tags.get(VERDICT_TAG)) != PROMOTE:
        raise DecisionRefused(
            f"{RELEASE} version {version} needs the gates to say {PROMOTE}, they said {verdict or 'nothing'}: "
            "see its scorecard for what would pass them"
        )
    if (parity := found.tags.get(PARITY_TAG)) != PASSED:
        raise DecisionRefused(
            f"{RELEASE} version {version} needs the same answers after reloading, found {parity or 'no check'}: "
            "run retrain_job again, which repeats the check"
        )
    members = json.loads(found.tags.get(MEMBERS_TAG, "{}"))
    _require_members(version, members, registry)
    return members


def _require_members(version: str, members: Mapping[str, str], registry: ModelRegistry) -> None:
    for name, member in members.items():
        if member not in {known.version for known in registry.versions(name)}:
            raise DecisionRefused(
                f"{RELEASE} version {version} needs {name} version {member}, which is not registered: retrain"
            )


def _name(version: str | None) -> str:
    return f"version {version}" if version else "none"


def _by_whom(entry: Entry | None) -> str:
    if entry is None:
        return ""
    body = entry.body
    return f" ({body['decision']} by {body['reviewer']} at {entry.at:%Y-%m-%d %H:%M} UTC, entry {entry.number})"
