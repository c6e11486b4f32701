"""What must hold before a decision is put on the ledger; each check returns what the entry says beside the decision."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labeling.errors import DecisionRefused, ModelError, NotAllowed, RegistryError
from labeling.taxonomy import Taxonomy
from training.judging.case_file import CaseFile
from training.judging.gates import GateResult
from training.model_folder import load_description
from training.registry.ledger import Entry
from training.registry.people import UNKNOWN_AUTHOR, People, Person
from training.registry.registry import (
    MEMBERS_TAG,
    PARITY_TAG,
    PASSED,
    PROMOTE,
    RELEASE,
    VERDICT_TAG,
    ModelRegistry,
    ModelVersion,
)
from training.registry.standing import Standing

INCONCLUSIVE: Final = "inconclusive"
_SUSPECT: Final = "slice_suspect"
"""The gate of slices that look worse, though not yet beyond doubt (``training.judging.slices``)."""


@dataclass(frozen=True)
class Asked:
    """A decision that is asked for, by whom, and everything that it is checked against.

    ``versions`` are the release's registered ones. For the rest see ``training.registry.decisions``.
    """

    version: str
    case_file: str
    gate: str
    person: Person
    people: People
    standing: Standing
    versions: Mapping[str, ModelVersion]
    registry: ModelRegistry
    case_files: Path
    taxonomy: Taxonomy | None


def _check_approval(asked: Asked) -> dict[str, Any]:
    version, standing = asked.version, asked.standing
    if version in asked.versions and standing.challenger != version:
        refuse_if_decided(version, standing)
    members = require_passed(version, standing, asked.versions, asked.registry)
    _require_challenger(asked)
    named = standing.named[version]
    evidence = _require_evidence(asked, named.body.get("case_file", ""))
    authors = named.body["authors"]
    _refuse_author(asked.person, authors, version)
    approvers = [*_standing_approvers(asked), asked.person.name]
    _require_labels(asked, members)
    asked.registry.require_files(RELEASE, version)
    needed = asked.people.required_approvals + (UNKNOWN_AUTHOR in authors)
    return {
        "case_file": evidence.digest,
        "approved_by": approvers,
        "approvals_needed": needed,
        "champion_before": standing.champion,
        "champion_after": version if len(approvers) >= needed else standing.champion,
    }


def _check_rejection(asked: Asked) -> dict[str, Any]:
    if asked.standing.challenger != asked.version:
        _require_registered(asked.version, asked.versions)
        refuse_if_decided(asked.version, asked.standing)
        _require_challenger(asked)
    _refuse_other_evidence(asked, asked.standing.named[asked.version].body.get("case_file", ""))
    return _unmoved(asked)


def _check_more_evidence(asked: Asked) -> dict[str, Any]:
    _refuse_other_evidence(asked, _require_open(asked).body["case_file"])
    return _unmoved(asked)


def _check_waiver(asked: Asked) -> dict[str, Any]:
    judged = _require_open(asked)
    if judged.body["verdict"] != INCONCLUSIVE:
        raise DecisionRefused(
            f"a waiver needs a version that was judged {INCONCLUSIVE}, version {asked.version} was judged "
            f"{judged.body['verdict']}: harm that was shown cannot be waived"
        )
    evidence = _require_evidence(asked, judged.body["case_file"])
    _refuse_author(asked.person, evidence.about.authors, asked.version)
    gates = [(task, gate) for task, found in evidence.gates.items() for gate in found]
    waivable = {name_gate(task, gate): (task, gate.slice) for task, gate in gates if is_waivable(gate)}
    if asked.gate not in waivable:
        raise DecisionRefused(
            f"a waiver needs a gate that lacked cases, version {asked.version} has {', '.join(waivable) or 'none'}: "
            "name one of these"
        )
    task, slice_ = waivable[asked.gate]
    return {"case_file": evidence.digest, "task": task, "slice": list(slice_ or ()), **_unmoved(asked)}


def _check_rollback(asked: Asked) -> dict[str, Any]:
    standing = asked.standing
    if standing.champion != asked.version:
        raise DecisionRefused(
            f"version {asked.version} cannot be taken back: the champion is "
            f"{_name(standing.champion)}{_by_whom(standing.decided.get(asked.version))}; look before you decide"
        )
    previous = standing.previous_champion
    if previous is None:
        raise DecisionRefused(
            f"a rollback needs a champion before version {asked.version}, the ledger has none: promote another version"
        )
    _require_registered(previous, asked.versions)
    _require_members(previous, standing.members(previous), asked.registry)
    try:
        asked.registry.require_files(RELEASE, previous)
    except RegistryError as error:
        raise RegistryError(f"version {asked.version} stays the champion, nothing was moved: {error}") from error
    return {"champion_before": standing.champion, "champion_after": previous}


CHECKS: Final[Mapping[str, Callable[[Asked], dict[str, Any]]]] = {
    "approve": _check_approval,
    "reject": _check_rejection,
    "rollback": _check_rollback,
    "more_evidence": _check_more_evidence,
    "waive": _check_waiver,
}


def name_gate(task: str, gate: GateResult) -> str:
    """Return how a gate is called in a waiver: ``task.gate``, with ``[dimension=value]`` where it is about a slice."""
    return f"{task}.{gate.name}" + ("[{}={}]".format(*gate.slice) if gate.slice else "")


def is_waivable(gate: GateResult) -> bool:
    """Say whether a person may waive ``gate``: it is about a slice that had too few cases, and no sign of harm."""
    return gate.verdict == "undecided" and gate.slice is not None and gate.name != _SUSPECT


def require_passed(
    version: str, standing: Standing, versions: Mapping[str, ModelVersion], registry: ModelRegistry
) -> Mapping[str, str]:
    """Return the members of a release whose gates and parity are in order.

    Raises:
        DecisionRefused: they are not, by its tags or by the ledger, or a member is not registered.
    """
    found = _require_registered(version, versions)
    judged = standing.judged.get(version)
    said = {found.tags.get(VERDICT_TAG), judged.body["verdict"] if judged else PROMOTE}
    if wrong := said - {PROMOTE}:
        raise DecisionRefused(
            f"{RELEASE} version {version} needs the gates to say {PROMOTE}, they said {wrong.pop() or 'nothing'}: "
            "see its case file for what would pass them"
        )
    if (parity := found.tags.get(PARITY_TAG)) != PASSED:
        raise DecisionRefused(
            f"{RELEASE} version {version} needs the same answers after reloading, found {parity or 'no check'}: "
            "run retrain_job again, which repeats the check"
        )
    members = json.loads(found.tags.get(MEMBERS_TAG, "{}"))
    _require_members(version, members, registry)
    return members


def require_judged(version: str, case_file: str, standing: Standing) -> Entry:
    """Return the judging of ``version`` that its case file comes from.

    Raises:
        DecisionRefused: the ledger holds none, a newer one, or one against another champion than today's.
    """
    judged = standing.judged.get(version)
    if judged is None or judged.body["case_file"] != case_file:
        raise DecisionRefused(
            f"version {version} needs its newest case file, "
            f"{'the ledger holds no judging of it' if judged is None else 'it was judged again since'}: "
            "`cxloop run retrain` judges it anew"
        )
    if judged.body["champion"] != standing.champion:
        raise DecisionRefused(
            f"version {version} was judged against {_name(judged.body['champion'])}, by now the champion is "
            f"{_name(standing.champion)}: judge it again with `cxloop run retrain`"
        )
    return judged


def refuse_if_decided(version: str, standing: Standing) -> None:
    """Raise DecisionRefused where a decision on ``version`` stands; says whose."""
    if earlier := standing.decided.get(version):
        raise DecisionRefused(
            f"version {version} has been decided on{_by_whom(earlier)}: "
            "a version is decided on once; retrain for a new one"
        )


def _unmoved(asked: Asked) -> dict[str, Any]:
    return {"champion_before": asked.standing.champion, "champion_after": asked.standing.champion}


def _require_challenger(asked: Asked) -> None:
    waiting = asked.standing.challenger
    if waiting != asked.version:
        _require_registered(asked.version, asked.versions)
        raise DecisionRefused(
            f"version {asked.version} is not the challenger ({_name(waiting)} is): decide on that one"
            if waiting
            else f"version {asked.version} is not the challenger, none waits: run retrain_job to make one"
        )


def _require_open(asked: Asked) -> Entry:
    """Return the newest judging of a version on which nothing is decided yet."""
    _require_registered(asked.version, asked.versions)
    refuse_if_decided(asked.version, asked.standing)
    judged = asked.standing.judged.get(asked.version)
    if judged is None:
        raise DecisionRefused(f"version {asked.version} has not been judged: run retrain_job first")
    return judged


def _require_evidence(asked: Asked, digest: str) -> CaseFile:
    """Return the case file that stands for the version today, whole, and judged against today's champion."""
    _refuse_other_evidence(asked, digest)
    require_judged(asked.version, digest, asked.standing)
    evidence = CaseFile.open(asked.case_files / digest)
    evidence.verify()
    if (evidence.about.version, evidence.about.champion) != (asked.version, asked.standing.champion):
        raise DecisionRefused(
            f"version {asked.version} needs its own case file, {digest[:12]} is of version {evidence.about.version} "
            f"against {_name(evidence.about.champion)}: judge it again with `cxloop run retrain`"
        )
    return evidence


def _refuse_other_evidence(asked: Asked, digest: str) -> None:
    if asked.case_file and asked.case_file != digest:
        raise DecisionRefused(
            f"version {asked.version} has been judged again since you looked (case file {asked.case_file[:12]}, now "
            f"{digest[:12] or 'none'}): look at it once more, then decide"
        )


def _refuse_author(person: Person, authors: Sequence[str], version: str) -> None:
    if person.is_among(authors):
        raise NotAllowed(
            f"version {version} needs somebody who did not make it, {person.name} did (author: {', '.join(authors)}): "
            "ask another reviewer"
        )


def _standing_approvers(asked: Asked) -> list[str]:
    """Return who approved already and may still do so.

    Raises:
        DecisionRefused: the person who approves now is one of them.
    """
    approvers = []
    for entry in asked.standing.approvals:
        earlier = asked.people.find(entry.body["reviewer"])
        if earlier == asked.person:
            raise DecisionRefused(
                f"version {asked.version} needs another person's approval, {asked.person.name} approved it before"
                f"{_by_whom(entry)}: ask another reviewer"
            )
        if earlier and earlier.may_decide and earlier.name not in approvers:
            approvers.append(earlier.name)
    return approvers


def _require_labels(asked: Asked, members: Mapping[str, str]) -> None:
    """Refuse a challenger that answers with labels of which today's taxonomy cannot say what they are."""
    if asked.taxonomy is None:
        raise DecisionRefused("an approval needs the taxonomy, found none: check taxonomy.yaml, then approve again")
    for name, member in members.items():
        try:
            model = load_description(asked.registry.download(name, member))
        except (ModelError, RegistryError) as error:
            raise DecisionRefused(f"version {asked.version} needs {name} version {member}: {error}") from error
        unknown = [label for label in model.labels if not asked.taxonomy.accepts(model.task, label)]
        if unknown:
            raise DecisionRefused(
                f"version {asked.version} answers {model.task} with labels that taxonomy version "
                f"{asked.taxonomy.version} does not know ({', '.join(sorted(unknown)[:5])}): say under `migrations` in "
                "taxonomy.yaml what became of them, or retrain"
            )
        if not any(asked.taxonomy.current(model.task, label) for label in model.labels):
            raise DecisionRefused(
                f"version {asked.version} answers {model.task} with labels that were all retired since: retrain"
            )


def _require_registered(version: str, versions: Mapping[str, ModelVersion]) -> ModelVersion:
    if version not in versions:
        raise DecisionRefused(
            f"{RELEASE} has no version {version!r}, it has {', '.join(versions) or 'none'}: it was deleted since, or "
            "never registered; name one of those"
        )
    return versions[version]


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
