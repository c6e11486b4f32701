"""How likely an answer would be wrong if it were kept: the signals, combined so that none can lower the risk."""

from typing import Final

import numpy as np
from pydantic import Field

from labeling.config import Config
from serving.handoff.signals import DOUBT, SIGNALS

_STIFFNESS: Final = 10.0
"""How firmly a weight is held to where it starts: as if by so many cases' worth of curvature. A few dozen cases hardly
move it, a few hundred do."""

_LEVEL_STIFFNESS: Final = 1.0


class Level(Config):
    """A straight line between log odds: what cases say of the risk as a whole."""

    slope: float = Field(default=1.0, ge=0)
    offset: float = 0.0

    def risk(self, log_odds: np.ndarray) -> np.ndarray:
        """Return the chance of a wrong answer, in (0, 1)."""
        return expit(self.slope * log_odds + self.offset)


class RiskModel(Config):
    """A logistic regression of "wrong if kept" on the signals, with weights that are never negative.

    Attributes:
        weights: of each signal, in the order of ``SIGNALS``, >= 0.
        bias: the log odds where all are 0.
        usual: what each signal usually is; reasons count from there.
        cases: how many it was shaped on; 0 where it is the one to begin with.
    """

    weights: tuple[float, ...] = Field(min_length=len(SIGNALS), max_length=len(SIGNALS))
    bias: float
    usual: tuple[float, ...] = Field(min_length=len(SIGNALS), max_length=len(SIGNALS))
    cases: int = Field(ge=0)

    def log_odds(self, signals: np.ndarray) -> np.ndarray:
        """Return the log odds of a wrong answer, (n,), of ``signals`` (n, signals)."""
        return signals @ np.array(self.weights) + self.bias

    def contributions(self, signals: np.ndarray) -> np.ndarray:
        """Return how much each signal adds to the usual log odds, (n, signals)."""
        return (signals - np.array(self.usual)) * np.array(self.weights)


def start_risk() -> RiskModel:
    """Return the risk without any case: 1 less the confidence, which is calibrated."""
    weights = tuple(float(name == DOUBT) for name in SIGNALS)
    return RiskModel(weights=weights, bias=0.0, usual=(0.0,) * len(SIGNALS), cases=0)


def fit_risk(signals: np.ndarray, wrong: np.ndarray) -> RiskModel:
    """Return the likeliest risk, held to ``start_risk`` where the cases say little.

    Args:
        signals: (n, signals), of cases on which no threshold is tested; n >= 1.
        wrong: (n,) bool.
    """
    start = start_risk()
    columns = np.hstack([signals, np.ones((len(signals), 1))])
    centre = np.array([*start.weights, start.bias])
    stiffness = np.array([_STIFFNESS] * len(SIGNALS) + [_LEVEL_STIFFNESS])
    found = _fit_logistic(columns, wrong, centre, stiffness, lowest=[0.0] * len(SIGNALS) + [None])
    usual = tuple(float(value) for value in np.median(signals, axis=0))
    return RiskModel(
        weights=tuple(float(value) for value in found[:-1]), bias=float(found[-1]), usual=usual, cases=len(wrong)
    )


def fit_level(log_odds: np.ndarray, wrong: np.ndarray) -> Level:
    """Return the line that suits all cases best: it changes no order, and so may be fitted to any.

    Args:
        log_odds: of each case, (n,); none give the line that changes nothing.
        wrong: (n,) bool.
    """
    columns = np.column_stack([log_odds, np.ones(len(log_odds))])
    stiffness = np.array([_STIFFNESS, _LEVEL_STIFFNESS])
    slope, offset = _fit_logistic(columns, wrong, np.array([1.0, 0.0]), stiffness, lowest=[0.0, None])
    return Level(slope=float(slope), offset=float(offset))


def expit(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log odds."""
    from scipy.special import expit as of

    return of(log_odds)


def _fit_logistic(
    columns: np.ndarray, wrong: np.ndarray, centre: np.ndarray, stiffness: np.ndarray, *, lowest: list[float | None]
) -> np.ndarray:
    """Return the weights of ``columns`` that are likeliest under a normal prior of that centre and precision."""
    from scipy.optimize import minimize

    signs = np.where(wrong, -1.0, 1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (columns @ weights)
        off = weights - centre
        value = np.logaddexp(0, margins).sum() + 0.5 * float(stiffness @ off**2)
        return value, columns.T @ (signs * expit(margins)) + stiffness * off

    bounds = [(low, None) for low in lowest]
    return np.asarray(minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds).x)
