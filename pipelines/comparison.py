"""A challenger beside the champion, from its case file, as a few tables for a terminal."""

from collections.abc import Iterator

import polars as pl

from training.judging.case_file import CaseFile
from training.judging.gates import GateResult
from training.judging.scorecard import Scorecard
from training.registry.conditions import is_waivable, name_gate

Row = tuple[str, ...]
FIGURES = ("figure", "challenger", "champion")
GATES = ("gate", "verdict", "measured", "needed", "what would help")


def list_figures(case: CaseFile, task: str) -> list[Row]:
    """Return accuracy with its 95% interval and the other figures of ``task``, a row each: challenger, champion."""
    cards = case.scorecards(task)
    pair = (cards["challenger"], cards["champion"])
    return [
        (f"accuracy of {pair[0].cases if pair[0] else 0} test cases", *(_accuracy(card) for card in pair)),
        ("macro F1", *(_figure(card, "macro_f1") for card in pair)),
        ("log loss", *(_figure(card, "nll") for card in pair)),
        ("calibration error", *(_figure(card, "ece") for card in pair)),
        ("area under risk–coverage", *(_figure(card, "aurc") for card in pair)),
        ("recall out of scope", *(_figure(card, "oos_recall") for card in pair)),
    ]


def list_gates(case: CaseFile) -> list[Row]:
    """Return every gate by the name under which it is waived; those that did not pass first."""
    gates = [(task, gate) for task, found in case.gates.items() for gate in found]
    return [_row(task, gate) for task, gate in sorted(gates, key=lambda each: each[1].verdict == "passed")]


def list_waivable(case: CaseFile) -> list[str]:
    """Return the names of the gates that a person may waive."""
    return [name_gate(task, gate) for task, found in case.gates.items() for gate in found if is_waivable(gate)]


def tell_changes(case: CaseFile, task: str) -> str:
    """Say how many answers to the test changed, and how."""
    answers = case.answers(task)
    if answers["champion"].null_count() == answers.height:
        return f"{task}: there is no champion whose answers could change"
    changed = answers.filter(pl.col("challenger") != pl.col("champion"))
    right = changed.filter(pl.col("challenger") == pl.col("truth")).height
    lost = changed.filter(pl.col("champion") == pl.col("truth")).height
    return (
        f"{task}: {changed.height} of {answers.height} answers to the test changed: {right} became right, "
        f"{lost} wrong, {changed.height - right - lost} went from wrong to wrong"
    )


def tell_data(case: CaseFile, task: str) -> str:
    """Say what was learnt from, and what of it is new."""
    data = case.data(task)
    sources = ", ".join(f"{count} from a {source}" for source, count in sorted(data.sources.items())) or "none new"
    return (
        f"{task}: {data.rows} labels of {data.classes} kinds, {data.added} new ({sources}; "
        f"{len(data.annotators)} people), {data.removed} gone"
    )


def tell_next_week(case: CaseFile) -> Iterator[str]:
    """Say what the next week would look like, a line for handoffs and one for errors, as far as they are known."""
    week = case.next_week()
    for name, expected in (("handoffs", week.handoffs), ("wrong answers that nobody catches", week.errors)):
        told = [f"{who} {value:.0f} ({low:.0f}–{high:.0f})" for who, (value, low, high) in sorted(expected.items())]
        if told:
            yield f"next week, of {week.messages:.0f} messages: {name}: {', '.join(told)}"
    if week.labels_to_decide:
        yield f"some {week.labels_to_decide} labels more would decide what is inconclusive"


def _row(task: str, gate: GateResult) -> Row:
    return name_gate(task, gate).removeprefix("."), gate.verdict, gate.measured, gate.needed, gate.remedy


def _accuracy(card: Scorecard | None) -> str:
    return f"{card.accuracy:.1%} ({card.accuracy_low:.1%}–{card.accuracy_high:.1%})" if card else "–"


def _figure(card: Scorecard | None, name: str) -> str:
    value = getattr(card, name) if card else None
    return "–" if value is None else f"{value:.3f}"
