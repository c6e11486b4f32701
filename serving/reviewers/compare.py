"""Everything on the page of one challenger. Each part stands or falls by itself: what cannot be read says so there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from labeling.errors import CxloopError
from serving.reviewers.cases import CasesPage, changed_cases, choose_cases
from serving.reviewers.figures import Cards, Overall, compare_labels, compare_overall, compare_slices
from serving.reviewers.ordering import Column, Order, OrderedTable, order_rows
from serving.reviewers.plots import Plot, draw_reliability, draw_risk
from serving.reviewers.records import Records
from training.judging.case_file import CaseFile
from training.judging.data_change import DataChange
from training.judging.gates import GateResult
from training.judging.next_week import NextWeek
from training.registry.ledger import Entry

Content_co = TypeVar("Content_co", covariant=True)

MODELS: Final = ("challenger", "champion")
_CONFUSIONS: Final = 40
_CONFUSION_COLUMNS: Final = (
    Column("truth", "people's label"),
    Column("answered", "wrong answer"),
    Column("champion", "times, champion", is_number=True),
    Column("challenger", "times, challenger", is_number=True),
    Column("change", "change", is_number=True),
)
_URGENCY: Final = {"failed": 0, "undecided": 1, "waived": 2, "passed": 3}


@dataclass(frozen=True)
class Part(Generic[Content_co]):
    """One part of the page: its content, or the ``fault`` that keeps it from being shown."""

    content: Content_co | None
    fault: str = ""


@dataclass(frozen=True)
class Gate:
    """One gate's ``result``; ``task`` is "" for one of the release as a whole, ``number`` its place in gates.json."""

    task: str
    number: int
    result: GateResult


@dataclass(frozen=True)
class ShownCases:
    """A page of changed cases and the texts that are left; ``fault`` where texts cannot be read at all."""

    page: CasesPage
    texts: Mapping[str, str]
    fault: str


@dataclass(frozen=True)
class TaskParts:
    """What is shown of one task at a time."""

    labels: Part[OrderedTable]
    slices: Part[Mapping[str, OrderedTable]]
    curves: Part[Sequence[Plot]]
    confusion: Part[tuple[OrderedTable, int]]
    cases: Part[ShownCases]


@dataclass(frozen=True)
class Comparison:
    """A challenger beside its champion, as the case file of one judging has them.

    ``faults`` name what was changed in the case file since it was written; ``task`` is the one that ``parts`` are of.
    """

    version: str
    judged: Entry
    case: CaseFile
    faults: Sequence[str]
    gates: Part[Sequence[Gate]]
    overall: Part[Sequence[Overall]]
    data: Part[Mapping[str, DataChange]]
    week: Part[NextWeek]
    card: Part[str]
    task: str
    parts: TaskParts


def compare(version: str, judged: Entry, case: CaseFile, *, records: Records, query: Mapping[str, str]) -> Comparison:
    """Read the evidence on ``version``; ``query`` chooses task, filters and orders."""
    tasks = case.about.tasks
    task = query["task"] if query.get("task") in tasks else tasks[0]
    cards = attempt(lambda: case.scorecards(task))
    return Comparison(
        version=version,
        judged=judged,
        case=case,
        faults=case.find_faults(),
        gates=attempt(lambda: list_gates(case)),
        overall=attempt(lambda: [compare_overall(each, case.scorecards(each)) for each in tasks]),
        data=attempt(lambda: {each: case.data(each) for each in tasks}),
        week=attempt(case.next_week),
        card=attempt(lambda: case.read_text("model_card.md")),
        task=task,
        parts=TaskParts(
            labels=_after(cards, lambda found: compare_labels(found, query)),
            slices=_after(cards, lambda found: compare_slices(found, query)),
            curves=attempt(lambda: _draw(case, task)),
            confusion=attempt(lambda: _confusion(case, task, query)),
            cases=attempt(lambda: _cases(case, task, records, query)),
        ),
    )


def attempt(build: Callable[[], Content_co]) -> Part[Content_co]:
    """Return what ``build`` makes as a part, or why it could not."""
    try:
        return Part(build())
    except CxloopError as error:
        return Part(None, str(error))


def list_gates(case: CaseFile) -> list[Gate]:
    """Return every gate, the failed first, then the undecided, the waived and the passed."""
    gates = [(task, result) for task, results in case.gates.items() for result in results]
    numbered = [Gate(task, number, result) for number, (task, result) in enumerate(gates)]
    return sorted(numbered, key=lambda gate: _URGENCY[gate.result.verdict])


def _after(cards: Part[Cards], build: Callable[[Cards], Content_co]) -> Part[Content_co]:
    return Part(None, cards.fault) if cards.content is None else Part(build(cards.content))


def _draw(case: CaseFile, task: str) -> list[Plot]:
    curves = {who: found for who, found in case.curves(task).items() if who in MODELS}
    calibration = {who: each.reliability for who, each in curves.items()}
    risk = {who: each.risk_coverage for who, each in curves.items()}
    return [
        draw_reliability(calibration, _say_gaps(calibration)),
        draw_risk(risk, _say_risks(risk)),
    ]


def _say_gaps(calibration: Mapping[str, Sequence[tuple[float, float, int]]]) -> str:
    said = []
    for who, bins in calibration.items():
        cases = sum(count for _, _, count in bins)
        gap = sum(count * (sure - right) for sure, right, count in bins) / max(cases, 1)
        said.append(f"the {who} is {abs(gap):.1%} {'too sure' if gap > 0 else 'too unsure'} on average")
    return "; ".join(said)


def _say_risks(risk: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    said = []
    for who, points in risk.items():
        half, whole = (min(points, key=lambda point: abs(point[0] - wanted))[1] for wanted in (0.8, 1.0))
        said.append(f"of the surest 80% the {who} gets {half:.1%} wrong, of all {whole:.1%}")
    return "; ".join(said)


def _confusion(case: CaseFile, task: str, query: Mapping[str, str]) -> tuple[OrderedTable, int]:
    """Return the confusions that changed most, and how many more there are."""
    rows: list[dict[str, Any]] = [
        {**row, "change": row["challenger"] - row["champion"]} for row in case.confusion(task).to_dicts()
    ]
    most = sorted(rows, key=lambda row: -abs(row["change"]))[:_CONFUSIONS]
    default = Order("change", is_descending=True)
    table = order_rows("confusion", most, _CONFUSION_COLUMNS, default=default, query=query)
    return table, len(rows) - len(most)


def _cases(case: CaseFile, task: str, records: Records, query: Mapping[str, str]) -> ShownCases:
    page = choose_cases(changed_cases(case.answers(task), case.disagreements(task)), query)
    texts = attempt(lambda: records.texts([row["interaction_id"] for row in page.rows]))
    return ShownCases(page, texts.content or {}, texts.fault)
