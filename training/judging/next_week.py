"""What the coming week would look like under each model: handoffs, and wrong answers that nobody catches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, Self

import numpy as np
import polars as pl

_WEEK: Final = timedelta(days=7)
_LEAST_TEST: Final = 30
"""Fewer test cases than this say nothing of errors."""

Expected = tuple[float, float, float]
"""A count of messages next week with its 95% prediction interval."""


@dataclass(frozen=True)
class NextWeek:
    """What is to be expected of next week's messages, by model (champion, challenger).

    Attributes:
        messages: as many as in a mean week of the traffic.
        handoffs: how many of them each model hands to a person.
        errors: how many wrong answers of the task each model gives and keeps from people; without the models of which
            too few test cases are known.
        labels_to_decide: how many labels more an inconclusive verdict would cost; None where there is a verdict.
    """

    messages: float
    handoffs: dict[str, Expected]
    errors: dict[str, Expected]
    labels_to_decide: int | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the week as it stands in a case file."""
        return asdict(self)

    @classmethod
    def from_document(cls, said: dict[str, Any]) -> Self:
        """Return the week that a case file holds."""
        handoffs, errors = (
            {who: (float(value), float(low), float(high)) for who, (value, low, high) in said[name].items()}
            for name in ("handoffs", "errors")
        )
        return cls(said["messages"], handoffs, errors, said["labels_to_decide"])


def forecast_week(
    traffic: pl.DataFrame, test: pl.DataFrame, *, who: Sequence[str], labels_to_decide: int | None = None
) -> NextWeek:
    """Say what next week would bring were its messages like those of the last weeks.

    A model's wrong answers are told by its confidence on the traffic, put right by the test cases, on which it is
    known who was wrong (prediction-powered: Angelopoulos et al., 2023). Test cases are drawn at random from all
    traffic, so they stand for it. The intervals hold the doubt about the share, the spread between weeks and the
    chance within one; that next week differs in kind they cannot hold.

    Args:
        traffic: all messages of one or more whole weeks that both models answered: ``occurred_at``, and for each of
            ``who`` ``_handoff`` (bool) and ``_confidence`` in the task's answer.
        test: the test cases of the task: ``truth``, and for each of ``who`` the answer, ``_handoff``, ``_confidence``.
        who: champion, challenger, or one of them.
        labels_to_decide: as of ``NextWeek``.

    Raises:
        ValueError: there is no traffic.
    """
    if traffic.is_empty():
        raise ValueError("a forecast of next week needs messages that the models answered, found none")
    mean, spread = _weekly(traffic["occurred_at"])
    handoffs = {one: _expect(*_handoff_share(traffic[f"{one}_handoff"]), mean, spread) for one in who}
    errors = {one: _expect(*_error_share(traffic, test, one), mean, spread) for one in who if len(test) >= _LEAST_TEST}
    return NextWeek(mean, handoffs, errors, labels_to_decide)


def _weekly(times: pl.Series) -> tuple[float, float]:
    """Return the messages of a mean week and the standard deviation of one week, by weeks that end with the newest.

    A week at the beginning that is not whole is left out, where there is another.
    """
    seconds = times.dt.epoch("us").to_numpy() / 1e6
    ago = (seconds.max() - seconds) / _WEEK.total_seconds()
    kept = np.bincount(ago.astype(np.int64))[: max(1, round(ago.max()))]
    mean = float(kept.mean())
    return mean, float(max(np.sqrt(mean), kept.std(ddof=1) if len(kept) > 1 else 0.0))


def _handoff_share(handed: pl.Series) -> tuple[float, float]:
    """Return the share and its standard error."""
    share = float(handed.cast(pl.Float64).mean() or 0.0)  # pyright: ignore[reportArgumentType]
    return share, float(np.sqrt(share * (1 - share) / len(handed)))


def _error_share(traffic: pl.DataFrame, test: pl.DataFrame, who: str) -> tuple[float, float]:
    """Return the share of messages that ``who`` answers wrongly and keeps, and its standard error."""
    from training.judging.prediction_powered import shift_mean

    predicted, elsewhere = (
        np.where(frame[f"{who}_handoff"].to_numpy(), 0.0, 1 - frame[f"{who}_confidence"].to_numpy())
        for frame in (test, traffic)
    )
    kept = ~test[f"{who}_handoff"].to_numpy()
    wrong = (kept & (test[who] != test["truth"]).to_numpy()).astype(np.float64)
    if not (np.ptp(predicted) and np.ptp(elsewhere)):  # it hands everything over, say: confidences tell nothing then
        share = float(wrong.mean())
        return share, float(np.sqrt(share * (1 - share) / len(wrong)))
    share, error = shift_mean(wrong, predicted, elsewhere, weights=np.ones(len(wrong)), sizes=np.ones(len(elsewhere)))
    return min(1.0, max(0.0, share)), error


def _expect(share: float, error: float, messages: float, spread: float) -> Expected:
    """Return the expected count of next week, and in what range it lies 95 times of 100."""
    from scipy.stats import norm

    variance = (messages * error) ** 2 + (share * spread) ** 2 + messages * share * (1 - share)
    reach = float(norm.ppf(0.975) * np.sqrt(variance))
    value = messages * share
    return value, max(0.0, value - reach), min(value + reach, messages + 2 * spread)
