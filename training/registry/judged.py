"""What the ledger remembers of judging: how often a sealed test was used, and how many challengers one champion met.

Both must be counted where nobody can lower them. A test that is looked at too often stops being sealed, and a false
alarm becomes certain where every night's challenger may err five times in a hundred.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from labeling.errors import DecisionRefused, RegistryError
from training.registry.aliases import read_state
from training.registry.ledger import Entry, Ledger
from training.registry.registry import ANCHOR_TAG, CASE_FILE_TAG, RELEASE, VERDICT_TAG, ModelRegistry
from training.registry.standing import DECISION, JUDGED, is_settling, read_standing


@dataclass(frozen=True)
class Judgement:
    """One judging of one version.

    Attributes:
        version: of the release.
        case_file: the digest of its case file.
        verdict: promote, hold or inconclusive.
        champion: against which version, None before a first champion.
        request: what it was asked to be: improve or refresh.
        test: the digest of the test's interaction ids where this judging opened it, None where it did not.
        look: which challenger of this champion's reign it is, from 1.
        alpha: how much of the chance of a false "better" this look may spend, in [0, 1].
    """

    version: str
    case_file: str
    verdict: str
    champion: str | None
    request: str
    test: str | None
    look: int
    alpha: float


def record_judged(judgement: Judgement, *, at: datetime, ledger: Ledger, registry: ModelRegistry) -> Entry:
    """Put a judging on the ledger, then its case file and verdict on the version; twice is once.

    Raises:
        DecisionRefused: the champion, or the count of looks, is another by now: judge again.
        RegistryError: the version could not be tagged; the ledger holds the judging, call again.
        LedgerError: the ledger does not verify or cannot be written.
    """
    body = {field: getattr(judgement, field) for field in Judgement.__dataclass_fields__}
    with ledger.transaction() as transaction:
        standing, _ = read_state(transaction, registry)
        entries = transaction.entries()
        entry = standing.judged.get(judgement.version)
        if entry is None or entry.body != body:
            _require_current(judgement, entries)
            entry = transaction.append(JUDGED, body, at=at)
        head = transaction.entries()[-1]
    tags = {CASE_FILE_TAG: judgement.case_file, VERDICT_TAG: judgement.verdict, ANCHOR_TAG: head.anchor}
    try:
        registry.tag(RELEASE, judgement.version, tags)
    except RegistryError as error:
        raise RegistryError(
            f"ledger entry {entry.number} is recorded, but version {judgement.version} could not be tagged with it: "
            f"{error}; judge again, nothing is counted twice"
        ) from error
    return entry


def look_at(entries: Sequence[Entry], version: str) -> int:
    """Return which look judging ``version`` now is, from 1: the same again where this champion has met it before."""
    looks = _looks(entries)
    return looks.get(version, len(looks) + 1)


def read_waivers(entries: Iterable[Entry], version: str, task: str) -> dict[tuple[str, str], str]:
    """Return each slice (dimension, value) of ``task`` that a person waived for ``version``, to who did."""
    return {
        (entry.body["slice"][0], entry.body["slice"][1]): entry.body["reviewer"]
        for entry in read_standing(entries).waived
        if (entry.body["version"], entry.body["task"]) == (version, task)
    }


def _looks(entries: Sequence[Entry]) -> dict[str, int]:
    """Return each version judged in the present champion's reign, to its look."""
    looks: dict[str, int] = {}
    for entry in entries:
        if entry.kind == JUDGED:
            looks.setdefault(entry.body["version"], len(looks) + 1)
        elif entry.kind == DECISION and is_settling(entry) and entry.body["decision"] != "reject":
            looks = {}
    return looks


def _require_current(judgement: Judgement, entries: Sequence[Entry]) -> None:
    champion, look = read_standing(entries).champion, look_at(entries, judgement.version)
    if judgement.champion != champion:
        raise DecisionRefused(
            f"version {judgement.version} was judged against {judgement.champion or 'no champion'}, by now the "
            f"champion is {champion or 'none'}: judge it again"
        )
    if judgement.look != look:
        raise DecisionRefused(
            f"version {judgement.version} was judged as challenger {judgement.look} of this champion, by now it is "
            f"challenger {look}: judge it again"
        )
