"""What became of customers: handoffs that were missed or made for nothing, and how conversations ended."""

from dataclasses import dataclass
from typing import Any, Final, Self

import polars as pl

from training.judging.intervals import CONFIDENCE, Rate, measure_rate

LEAST: Final = 10
"""Fewer cases than this bear no figure."""


@dataclass(frozen=True)
class Mean:
    """The mean CSAT (1 to 5) of ``cases`` conversations with its 95% interval, which may reach beyond the scale."""

    cases: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcomes:
    """What escalations say of one model's answers; None, or a label left out, where there are fewer than ten cases.

    Attributes:
        missed: of the escalations that needed a person, the share in which the model did not step aside.
        for_nothing: of the escalations in which the model steps aside, the share that needed nobody.
        first_contact: of the conversations that this model answered live, the share resolved at first contact.
        csat: mean CSAT of those, by what the model answered.
    """

    missed: Rate | None
    for_nothing: Rate | None
    first_contact: Rate | None
    csat: dict[str, Mean]

    @classmethod
    def from_document(cls, said: dict[str, Any]) -> Self:
        """Return the outcomes that a scorecard's JSON holds."""
        rates = {name: None if found is None else Rate(**found) for name, found in said.items() if name != "csat"}
        return cls(csat={label: Mean(**found) for label, found in said["csat"].items()}, **rates)


def measure_outcomes(escalations: pl.DataFrame, predictions: pl.DataFrame) -> Outcomes | None:
    """Hold one model's answers against what became of the conversations that went to a person.

    Whether a person was needed is known whoever answered, so ``missed`` and ``for_nothing`` are told of a model that
    was never live, too. How a conversation ended hangs on what the customer was shown: ``first_contact`` and ``csat``
    count only answers that were. Conversations that nobody escalated are not among them: neither figure is of all
    traffic.

    Args:
        escalations: ESCALATIONS rows; of several of one interaction the last closed counts, and what is null of it
            is not known.
        predictions: ``interaction_id, label, handoff, shown`` of one model and task, one row an interaction; a null
            flag is false.

    Returns:
        None where none of the escalated interactions was answered by this model.
    """
    last = escalations.sort("closed_at", "escalation_id", nulls_last=False).unique("interaction_id", keep="last")
    flags = pl.col("handoff", "shown").fill_null(value=False)
    told = last.join(predictions.with_columns(flags), on="interaction_id")
    if told.is_empty():
        return None
    needed = told.filter(pl.col("needed"))
    aside = told.filter(pl.col("handoff"), pl.col("needed").is_not_null())
    live = told.filter(pl.col("shown"))
    ended = live["first_contact"].drop_nulls()
    return Outcomes(
        missed=measure_rate(int((~needed["handoff"]).sum()), needed.height, least=LEAST),
        for_nothing=measure_rate(int((~aside["needed"]).sum()), aside.height, least=LEAST),
        first_contact=measure_rate(int(ended.sum()), len(ended), least=LEAST),
        csat=_mean_by_label(live.drop_nulls("csat")),
    )


def _mean_by_label(live: pl.DataFrame) -> dict[str, Mean]:
    """Return the mean CSAT of each label with its interval by Student's t (1908)."""
    from scipy.stats import t

    counted = live.group_by("label").agg(cases=pl.len(), mean=pl.col("csat").mean(), spread=pl.col("csat").std())
    found = {}
    for label, cases, mean, spread in counted.filter(pl.col("cases") >= LEAST).sort("label").iter_rows():
        reach = float(t.ppf((1 + CONFIDENCE) / 2, cases - 1)) * spread / cases**0.5
        found[label] = Mean(cases, mean, mean - reach, mean + reach)
    return found
