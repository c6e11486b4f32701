"""Which decisions a visitor is offered on a version, and in words why not the others.

It only spares people forms that would be refused: ``apply_decision`` checks everything again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from serving.reviewers.compare import Comparison
from serving.reviewers.records import Seen
from training.registry.conditions import INCONCLUSIVE, is_waivable, name_gate
from training.registry.decisions import NOTE_LENGTH, Kind
from training.registry.ledger import Entry
from training.registry.people import UNKNOWN_AUTHOR, People, Person

NOTE_LIMIT: Final = NOTE_LENGTH


@dataclass(frozen=True)
class Offer:
    """What may be decided on a version.

    Attributes:
        kinds: the decisions that are offered.
        waivable: gate's number to the name by which it is waived.
        waived: gate's number to the waiver that stands.
        reasons: why something is not offered, a sentence each.
        approved_by: who approved already.
        needed: how many approvals make it the champion.
    """

    kinds: Sequence[Kind]
    waivable: Mapping[int, str]
    waived: Mapping[int, Entry]
    reasons: Sequence[str]
    approved_by: Sequence[str]
    needed: int


def offer_decisions(shown: Comparison, seen: Seen, person: Person, people: People) -> Offer:
    """Return what ``person`` is offered on the version that is ``shown``."""
    approvals = seen.standing.approvals if seen.standing.challenger == shown.version else ()
    never = list(_why_nothing(shown, seen, person))
    not_approve = list(_why_no_approval(shown, seen, person, [entry.body["reviewer"] for entry in approvals]))
    kinds: list[Kind] = []
    if not never:
        if seen.standing.challenger == shown.version:
            kinds = ["reject"] if not_approve else ["approve", "reject"]
        kinds.append("more_evidence")
    names = {gate.number: name_gate(gate.task, gate.result) for gate in shown.gates.content or ()}
    waived = _find_waived(shown, seen, names)
    may_waive = not never and not shown.faults and shown.judged.body["verdict"] == INCONCLUSIVE
    is_author = person.is_among(shown.case.about.authors)
    return Offer(
        kinds=kinds,
        waivable={
            gate.number: names[gate.number]
            for gate in shown.gates.content or ()
            if may_waive and not is_author and gate.number not in waived
            if is_waivable(gate.result)
        },
        waived=waived,
        reasons=never or not_approve,
        approved_by=[entry.body["reviewer"] for entry in approvals],
        needed=people.required_approvals + (UNKNOWN_AUTHOR in shown.case.about.authors),
    )


def _find_waived(shown: Comparison, seen: Seen, names: Mapping[int, str]) -> dict[int, Entry]:
    given = {
        entry.body["gate"]: entry
        for entry in seen.standing.waived
        if (entry.body["version"], entry.body["case_file"]) == (shown.version, shown.case.digest)
    }
    return {number: given[name] for number, name in names.items() if name in given}


def _why_nothing(shown: Comparison, seen: Seen, person: Person) -> Iterator[str]:
    if decided := seen.standing.decided.get(shown.version):
        yield f"{_tell(decided)}. A version is decided on once."
    if seen.registered.versions is not None and shown.version not in seen.registered.versions:
        yield "This version was deleted from the model registry: nothing can be decided on it any more."
    if seen.history.fault:
        yield "Nothing can be decided while the ledger cannot be read."
    if not person.may_decide:
        yield "You may read everything. Deciding takes the role reviewer."


def _why_no_approval(shown: Comparison, seen: Seen, person: Person, approved_by: Sequence[str]) -> Iterator[str]:
    standing, about = seen.standing, shown.case.about
    if standing.challenger != shown.version:
        verdict = shown.judged.body["verdict"]
        waits = f"version {standing.challenger} does" if standing.challenger else "none does"
        yield f"It does not wait for approval: its verdict is {verdict}; {waits}."
        return
    if shown.faults:
        yield "It cannot be approved on evidence that was changed."
    if about.champion != standing.champion:
        yield (
            f"It was judged against {_name(about.champion)}, by now the champion is {_name(standing.champion)}: "
            "it must be judged again before it can be approved."
        )
    if person.is_among(about.authors):
        yield "You are among its authors: somebody else must approve it."
    if person.name in approved_by:
        yield "You approved it already: it waits for another person."


def _tell(decided: Entry) -> str:
    body = decided.body
    done = {"approve": "Approved", "reject": "Rejected", "rollback": "Taken back"}[body["decision"]]
    return f"{done} by {body['reviewer']} on {decided.at:%Y-%m-%d %H:%M} UTC"


def _name(version: str | None) -> str:
    return f"version {version}" if version else "no champion"
