"""What people decide on releases. Nothing else moves an alias, and no alias moves before the ledger holds why."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from labeling.errors import DecisionRefused, RegistryError
from labeling.taxonomy import Taxonomy
from training.registry.aliases import read_state, reconcile
from training.registry.conditions import CHECKS, Asked, refuse_if_decided, require_judged, require_passed
from training.registry.ledger import Entry, Ledger
from training.registry.people import People, require_decider
from training.registry.registry import ModelRegistry
from training.registry.standing import CHALLENGER_NAMED, DECISION, Standing, read_standing

NOTE_LENGTH: Final = 2_000

Kind = Literal["approve", "reject", "rollback", "more_evidence", "waive"]


@dataclass(frozen=True)
class Decision:
    """One person's decision on one version of the release.

    Attributes:
        kind: approve or reject the challenger; take the champion back; ask for more evidence on a version that waits or
            was judged inconclusive; waive a gate that could not show what it must.
        version: naming it is how somebody who looked at an older state is told so.
        reviewer: who, as in reviewers.yaml; whoever calls has seen them show who they are.
        note: any text of up to 2,000 characters.
        at: when, with a time zone.
        case_file: the digest of the case file that was looked at; "" where it is whichever stands now.
        gate: what is waived, as ``training.registry.conditions.name_gate`` names it.
    """

    kind: Kind
    version: str
    reviewer: str
    note: str
    at: datetime
    case_file: str = ""
    gate: str = ""


@dataclass(frozen=True)
class Applied:
    """What a decision came to: its ledger entry, where things stand now, and the moves made, one line each."""

    entry: Entry
    standing: Standing
    moves: tuple[str, ...]

    @property
    def approvals_lacking(self) -> int:
        """How many more people must approve before the challenger becomes the champion; 0 for any other decision."""
        body = self.entry.body
        return body["approvals_needed"] - len(body["approved_by"]) if body.get("decision") == "approve" else 0


def name_challenger(
    version: str, *, case_file: str, authors: tuple[str, ...], at: datetime, ledger: Ledger, registry: ModelRegistry
) -> Applied:
    """Let ``version`` of the release wait for a person's decision; it takes the place of a challenger that waits.

    Doing it twice is doing it once. Judged again, with another case file, it is named anew: approvals that were given
    on the older evidence no longer count.

    Args:
        version: of the release.
        case_file: the digest of the case file with which it was judged; the ledger holds that judging.
        authors: who made it (``assets.authors``), and thus may not approve it; nobody where it came by itself.
        at: when, with a time zone.
        ledger: where it is recorded.
        registry: where the alias moves.

    Raises:
        DecisionRefused: the gates did not say promote, parity was not shown, the version or a member is not
            registered, it was judged against another champion or with another case file, or it has been decided on.
        RegistryError: the registry cannot be reached; where the naming was recorded already, it says so.
        LedgerError: the ledger does not verify or cannot be written.
    """
    with ledger.transaction() as transaction:
        standing, versions = read_state(transaction, registry)
        entry = standing.named.get(version)
        if standing.challenger != version or entry is None or entry.body.get("case_file") != case_file:
            refuse_if_decided(version, standing)
            members = require_passed(version, standing, versions, registry)
            require_judged(version, case_file, standing)
            body = {
                "version": version,
                "members": dict(members),
                "replaces": standing.challenger if standing.challenger != version else None,
                "case_file": case_file,
                "authors": sorted(set(authors)),
            }
            entry = transaction.append(CHALLENGER_NAMED, body, at=at)
    return _complete(entry, ledger, registry, now=at)


def apply_decision(
    decision: Decision,
    *,
    people: People,
    ledger: Ledger,
    registry: ModelRegistry,
    case_files: Path,
    taxonomy: Taxonomy | None,
) -> Applied:
    """Record a decision, then move the aliases accordingly.

    The check and the record are one transaction: of two decisions at once the first wins, the other is refused. The
    same decision again (kind, version, reviewer, note and gate), as after a crash, finishes what the first began.

    Args:
        decision: whose reviewer has shown who they are.
        people: who may decide, and how many must approve.
        ledger: where it is recorded.
        registry: where the aliases move.
        case_files: the folder of case files, by their digests.
        taxonomy: today's, into which a challenger's labels must translate; None serves all but an approval.

    Raises:
        NotAllowed: the reviewer is not one of ``people`` who may decide, or is an author of what they approve or waive.
        DecisionRefused: the version is not what the decision takes it for, its gates were not passed, its case file or
            files are not in order, or it must be judged again; says why.
        CaseFileError: the case file is missing, or not what it was when the release was judged.
        RegistryError: the registry cannot be reached; where the decision was recorded already, it says so.
        LedgerError: the ledger does not verify or cannot be written.
    """
    person = require_decider(people.find(decision.reviewer))
    decision = _checked(replace(decision, reviewer=person.name))
    with ledger.transaction() as transaction:
        standing, versions = read_state(transaction, registry)
        entry = standing.last
        if entry is None or not _is_same(entry, decision):
            asked = Asked(
                version=decision.version,
                case_file=decision.case_file,
                gate=decision.gate,
                person=person,
                people=people,
                standing=standing,
                versions=versions,
                registry=registry,
                case_files=case_files,
                taxonomy=taxonomy,
            )
            entry = transaction.append(DECISION, _describe(decision) | CHECKS[decision.kind](asked), at=decision.at)
    return _complete(entry, ledger, registry, now=decision.at)


def _complete(entry: Entry, ledger: Ledger, registry: ModelRegistry, *, now: datetime) -> Applied:
    try:
        moves = reconcile(ledger, registry, now=now)
    except RegistryError as error:
        raise RegistryError(
            f"ledger entry {entry.number} is recorded, but the aliases could not be moved yet: {error}; "
            "give the same command again, or leave it to reconcile_job"
        ) from error
    return Applied(entry, read_standing(ledger.entries()), tuple(moves))


def _checked(decision: Decision) -> Decision:
    """Return ``decision`` in the form that is recorded: trimmed, and without halves of characters."""
    note = _whole(decision.note).strip()
    if len(note) > NOTE_LENGTH:
        raise DecisionRefused(
            f"a note holds up to {NOTE_LENGTH:,} characters, found {len(note):,}: shorten it, link to the rest"
        )
    return replace(decision, note=note)


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _describe(decision: Decision) -> dict[str, Any]:
    about = {
        "decision": decision.kind,
        "version": decision.version,
        "reviewer": decision.reviewer,
        "note": decision.note,
    }
    return about | ({"gate": decision.gate} if decision.kind == "waive" else {})


def _is_same(entry: Entry, decision: Decision) -> bool:
    if entry.kind != DECISION or decision.case_file not in ("", entry.body.get("case_file", "")):
        return False
    return _describe(decision).items() <= entry.body.items()
