"""The figures of two scorecards side by side, as words: what each is, both values, and the difference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.reviewers.ordering import Column, Order, OrderedTable, order_rows
from training.judging.answers import DIMENSIONS
from training.judging.scorecard import Scorecard

Cards = Mapping[str, Scorecard | None]
"""The cards of ``challenger`` and ``champion``; None where there is none."""


@dataclass(frozen=True)
class Figure:
    """One line of the comparison; ``note`` says how to read it, "" stands for what is not known.

    What each model has is a figure and, where there is one, the interval that goes with it.
    """

    name: str
    note: str
    challenger: tuple[str, str]
    champion: tuple[str, str]
    difference: str


@dataclass(frozen=True)
class Interval:
    """A share with its 95% interval, all in [0, 1], of ``who``."""

    who: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Overall:
    """One task: the accuracies with their intervals, and every other figure."""

    task: str
    cases: int
    accuracies: Sequence[Interval]
    figures: Sequence[Figure]

    @property
    def axis(self) -> tuple[float, float]:
        """The ends of an axis that holds the intervals, in [0, 1]."""
        low, high = min(each.low for each in self.accuracies), max(each.high for each in self.accuracies)
        return max(0.0, low - 0.01), min(1.0, high + 0.01)


@dataclass(frozen=True)
class _Kind:
    """How a figure is shown, and its difference; ``scale`` is multiplied in."""

    name: str
    note: str
    shown: str
    differing: str
    scale: float = 1.0


_POINTS: Final = "{:+.1f} points"
_KINDS: Final[Mapping[str, _Kind]] = {
    "macro_f1": _Kind("macro F1", "rare labels count as much as common ones; higher is better", "{:.1%}", _POINTS, 100),
    "nll": _Kind("log loss", "how far the probabilities are off, in nats; lower is better", "{:.3f}", "{:+.3f}"),
    "brier": _Kind("Brier score", "the same, squared, 0 to 2; lower is better", "{:.3f}", "{:+.3f}"),
    "ece": _Kind("calibration error", "confidence less accuracy, over bins; lower is better", "{:.3f}", "{:+.3f}"),
    "ece_floor": _Kind("its floor", "what chance alone would show at these confidences", "{:.3f}", "{:+.3f}"),
    "aurc": _Kind("area under risk-coverage", "how badly confidence ranks; lower is better", "{:.4f}", "{:+.4f}"),
    "oos_auroc": _Kind("out of scope, AUROC", "0.5 tells nothing, 1 tells all apart", "{:.3f}", "{:+.3f}"),
    "oos_recall": _Kind("out of scope, found", "with 95% of the others kept; higher is better", "{:.1%}", _POINTS, 100),
    "seconds_per_text": _Kind("time for a text", "in a batch; lower is better", "{:.1f} ms", "{:+.1f} ms", 1000),
    "megabytes": _Kind("size", "of the model's files", "{:.1f} MB", "{:+.1f} MB"),
}
_OUTCOMES: Final = {
    "missed": ("handoffs missed", "of the conversations that needed a person; lower is better"),
    "for_nothing": ("handoffs for nothing", "of those that it would hand over; lower is better"),
    "first_contact": ("resolved at first contact", "of the conversations that it answered live; higher is better"),
}
_LABEL_COLUMNS: Final = (
    Column("label", "label"),
    Column("support", "cases", is_number=True),
    Column("recall_before", "found, champion", is_number=True),
    Column("recall_now", "found, challenger", is_number=True),
    Column("recall_change", "change", is_number=True),
    Column("precision_before", "right, champion", is_number=True),
    Column("precision_now", "right, challenger", is_number=True),
    Column("precision_change", "change", is_number=True),
)
_SLICE_COLUMNS: Final = (
    Column("value", "value"),
    Column("cases", "cases", is_number=True),
    Column("before", "champion", is_number=True),
    Column("now", "challenger", is_number=True),
    Column("change", "change", is_number=True),
)


def compare_overall(task: str, cards: Cards) -> Overall:
    """Return what the two cards say of the whole test."""
    present = {who: card for who, card in cards.items() if card}
    accuracies = [Interval(who, card.accuracy, card.accuracy_low, card.accuracy_high) for who, card in present.items()]
    figures = [*_compare_figures(cards), *_compare_outcomes(cards)]
    cases = max((card.cases for card in present.values()), default=0)
    return Overall(task, cases, accuracies, [each for each in figures if each.challenger[0] or each.champion[0]])


def compare_labels(cards: Cards, query: Mapping[str, str]) -> OrderedTable:
    """Return a row a label, the largest loss of recall first unless the query asks otherwise."""
    now, before = ({} if card is None else card.labels for card in (cards["challenger"], cards.get("champion")))
    rows = []
    for label in sorted({*now, *before}):
        supports = [each[label].support for each in (now, before) if label in each]
        row: dict[str, Any] = {"label": label, "support": max(supports)}
        for when, scores in (("now", now), ("before", before)):
            score = scores.get(label)
            for share in ("recall", "precision"):
                row[f"{share}_{when}"] = getattr(score, share) if score else None
                row[f"{share}_{when}_range"] = _range(score, share) if score else None
        for share in ("recall", "precision"):
            row[f"{share}_change"] = _change(row[f"{share}_now"], row[f"{share}_before"])
        rows.append(row)
    default = Order("recall_change" if before else "recall_now", is_descending=False)
    return order_rows("labels", rows, _LABEL_COLUMNS, default=default, query=query)


def compare_slices(cards: Cards, query: Mapping[str, str]) -> dict[str, OrderedTable]:
    """Return a table a dimension (language, channel, segment), a row a value; those without values are left out."""
    now, before = ({} if card is None else card.slices for card in (cards["challenger"], cards.get("champion")))
    tables = {}
    for dimension in DIMENSIONS:
        new, old = now.get(dimension, {}), before.get(dimension, {})
        rows = [_slice_row(value, new.get(value), old.get(value)) for value in sorted({*new, *old})]
        if rows:
            default = Order("change" if old else "now", is_descending=False)
            tables[dimension] = order_rows(dimension, rows, _SLICE_COLUMNS, default=default, query=query)
    return tables


def _slice_row(value: str, now: Any, before: Any) -> dict[str, Any]:
    return {
        "value": value,
        "cases": (now or before).cases,
        "now": now and now.accuracy,
        "now_range": now and (now.low, now.high),
        "before": before and before.accuracy,
        "before_range": before and (before.low, before.high),
        "change": _change(now and now.accuracy, before and before.accuracy),
    }


def _compare_figures(cards: Cards) -> Iterator[Figure]:
    for name, kind in _KINDS.items():
        values = {who: getattr(card, name) if card else None for who, card in cards.items()}
        now, before = values["challenger"], values.get("champion")
        change = _change(now, before)
        difference = "" if change is None else kind.differing.format(change * kind.scale)
        yield Figure(kind.name, kind.note, (_show(now, kind), ""), (_show(before, kind), ""), difference)


def _compare_outcomes(cards: Cards) -> Iterator[Figure]:
    for name, (title, note) in _OUTCOMES.items():
        rates = {who: getattr(card.outcomes, name) if card and card.outcomes else None for who, card in cards.items()}
        now, before = rates["challenger"], rates.get("champion")
        change = _change(now and now.value, before and before.value)
        yield Figure(title, note, _rate(now), _rate(before), "" if change is None else _POINTS.format(100 * change))


def _show(value: float | None, kind: _Kind) -> str:
    if value is None:
        return ""
    return kind.shown.format(value if "%" in kind.shown else value * kind.scale)


def _rate(rate: Any) -> tuple[str, str]:
    return (f"{rate.value:.0%}", f"{rate.low:.0%} to {rate.high:.0%} of {rate.cases}") if rate else ("", "")


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _range(score: Any, share: str) -> tuple[float, float] | None:
    low, high = getattr(score, f"{share}_low"), getattr(score, f"{share}_high")
    return None if low is None or high is None else (low, high)
