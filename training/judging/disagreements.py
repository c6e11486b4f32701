"""Judging on disagreements: people read only fresh cases on which champion and challenger differ.

Where both say the same, both are right or both are wrong, and reading it tells nothing of which is better. So both
answer fresh traffic, and a uniform sample of the cases *on which they differ* goes to people. The difference of their
accuracies is the share of traffic on which they differ, times the mean paired difference among those: +1 where the
challenger alone is right, -1 where the champion alone is, 0 where both or neither are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor

import numpy as np
import polars as pl

from labeling.vocabulary import CANNOT_TELL
from training.judging.paired import cases_to_show, difference_interval, mcnemar

_FOR_THE_SHARE = 0.1
"""The part of an interval's error that goes to the share of disagreements, which far more cases tell of."""


@dataclass(frozen=True)
class DisagreementSample:
    """What became of a uniform sample of the disagreements.

    Attributes:
        fresh: the fresh cases that both models answered.
        differing: those on which they differ.
        asked: those that were drawn for people to read.
        challenger: of these, answered so that the challenger alone is right; ``champion`` likewise.
        both: answered with both, the second as a second label.
        neither: answered with something else.
        unsure: people could not tell.
    """

    fresh: int
    differing: int
    asked: int
    challenger: int = 0
    champion: int = 0
    both: int = 0
    neither: int = 0
    unsure: int = 0

    @property
    def answered(self) -> int:
        """The cases of which people said who is right."""
        return self.challenger + self.champion + self.both + self.neither

    @property
    def missing_share(self) -> float:
        """The share of drawn cases without a usable answer (waiting, skipped, cannot tell), in [0, 1]; 0 of none."""
        return 1 - self.answered / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class AccuracyDifference:
    """By how much the challenger's accuracy exceeds the champion's on fresh traffic, with its interval, in [-1, 1].

    ``p_better`` is the chance of so many cases for the challenger were both equally good (exact, one-sided).
    """

    value: float
    low: float
    high: float
    p_better: float


def find_disagreements(fresh: pl.DataFrame, *, cut_offs: Sequence[datetime]) -> tuple[pl.DataFrame, int]:
    """Return the fresh cases on which both models differ, and the number of all fresh cases.

    Fresh are those that occurred after every cut-off: neither model can have learnt from them, nor from what became of
    them.

    Args:
        fresh: ``interaction_id``, ``occurred_at``, ``challenger`` and ``champion``, the label that each gives; a case
            without one of the two answers is left out.
        cut_offs: the last time that each model's training has seen; at least one.

    Returns:
        The rows on which they differ, by ``interaction_id``, and how many rows are fresh.
    """
    after = fresh.filter(pl.col("occurred_at") > max(cut_offs)).drop_nulls(["challenger", "champion"])
    return after.filter(pl.col("challenger") != pl.col("champion")).sort("interaction_id"), after.height


def draw_sample(disagreements: pl.DataFrame, *, size: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return ``size`` of the disagreements, drawn uniformly, by ``interaction_id``; all where they are no more."""
    if disagreements.height <= size:
        return disagreements
    rows = np.sort(rng.choice(disagreements.height, size=size, replace=False))
    return disagreements[rows.tolist()]


def plan_sample(fresh: int, differing: int, *, alpha: float, gain: float, power: float) -> int | None:
    """Return how many disagreements people must read to show a true gain, all of them where they are fewer.

    Planned for the hardest case, that on every disagreement exactly one of the two is right: where often neither is,
    the same sample shows the gain more often.

    Args:
        fresh: the fresh cases that both answered.
        differing: those on which they differ.
        alpha: the level of the test on the sample, in (0, 1).
        gain: the smallest gain of accuracy on all traffic that is worth showing, in (0, 1].
        power: the chance that it is shown, in (0, 1).

    Returns:
        The size, at most ``differing``; None where the two differ on so few that no such gain is possible.
    """
    if not differing or differing / fresh < gain:
        return None
    mean = round(gain * fresh / differing, 3)
    return min(differing, cases_to_show(mean, (1 - mean) / 2, alpha, power))


def count_answers(
    sampled: pl.DataFrame, *, fresh: int, differing: int, new_labels: Collection[str] = ()
) -> DisagreementSample:
    """Count what people said of the sampled disagreements.

    Args:
        sampled: ``challenger`` and ``champion``, the labels they gave; ``truth``, the settled label (null where there
            is none yet); ``second``, a second label that people gave, null where they gave one alone.
        fresh: the fresh cases that both models answered.
        differing: those on which they differ.
        new_labels: labels that the champion does not know; cases of theirs count as neither, for or against nobody.
    """
    said = [pl.col("truth"), pl.col("second")]

    def is_right(name: str) -> pl.Expr:
        return pl.any_horizontal([(answer == pl.col(name)).fill_null(value=False) for answer in said])

    told = sampled.filter(pl.col("truth").is_not_null(), pl.col("truth") != CANNOT_TELL)
    known = ~pl.col("truth").is_in(list(new_labels))
    right = told.select(now=is_right("challenger") & known, was=is_right("champion") & known)
    now, was = right["now"], right["was"]
    return DisagreementSample(
        fresh=fresh,
        differing=differing,
        asked=sampled.height,
        challenger=int((now & ~was).sum()),
        champion=int((was & ~now).sum()),
        both=int((now & was).sum()),
        neither=int((~now & ~was).sum()),
        unsure=int((sampled["truth"] == CANNOT_TELL).sum()),
    )


def estimate_difference(sample: DisagreementSample, *, confidence: float = 0.95) -> AccuracyDifference:
    """Estimate the difference of accuracies on fresh traffic from a sample of the disagreements.

    The interval holds every product of a share and a mean difference that their own intervals hold (Wilson's, 1927, and
    Tango's, 1998). A tenth of the error goes to the share and the rest to the mean, so that together they err no
    more often than one interval may (Bonferroni).

    Args:
        sample: what people said.
        confidence: of the two-sided interval, in (0, 1).
    """
    from statsmodels.stats.proportion import proportion_confint

    if not sample.fresh:
        return AccuracyDifference(0.0, -1.0, 1.0, 1.0)
    share, error = sample.differing / sample.fresh, 1 - confidence
    ends = proportion_confint(sample.differing, sample.fresh, alpha=_FOR_THE_SHARE * error, method="wilson")
    shares = np.asarray(ends, dtype=np.float64)
    means = difference_interval(
        sample.challenger, sample.champion, sample.answered, confidence=1 - (1 - _FOR_THE_SHARE) * error
    )
    products = np.multiply.outer(shares, means)
    mean = (sample.challenger - sample.champion) / sample.answered if sample.answered else 0.0
    chance = float(mcnemar(sample.challenger, sample.champion))
    return AccuracyDifference(share * mean, float(products.min()), float(products.max()), chance)


def is_settled(sample: DisagreementSample, *, most_missing: float) -> bool:
    """Return whether enough of the sample was answered to judge by it: no more than ``most_missing`` of it lacks."""
    return sample.asked > 0 and sample.answered >= floor((1 - most_missing) * sample.asked)
