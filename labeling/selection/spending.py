"""How the budget of a selection is spent: gold, then each reason's share, then what the model is least sure of."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import polars as pl

from labeling.selection.novelty import find_far, measure_novelty, measure_rejection
from labeling.selection.picks import Picks
from labeling.selection.policy import SelectionPolicy
from labeling.selection.pool import Pool
from labeling.selection.ranking import draw_ties, find_distinct, find_highest
from labeling.selection.strategy import count_typical, is_cold, pick_batch
from labeling.selection.uncertainty import read_doubt
from labeling.settling.label_errors import SUSPICIOUS

_LOOKED: Final = 20
"""How many rows of a reason are looked at for each that is wanted, because near-duplicates are passed over."""
_LEAST_LOOKED: Final = 500
_FILLING: Final = 50_000
"""How many rows are looked at to fill a budget that near-duplicates and caps left open."""
_WIDER: Final = 4
"""Candidates are those that no rejected text is near to, of so many times as many"""
_WIDEST: Final = 12_000
"""and of no more than so many where that is enough, because nearness costs."""
_NOVEL_AMONG: Final = 100_000
"""Novel texts are looked for among so many rows drawn alike; all of a smaller pool."""


@dataclass(frozen=True)
class Choice:
    """One case: a row of the waiting or, where ``is_labelled``, of the labelled; why, and how strongly."""

    row: int
    reason: str
    score: float | None
    is_labelled: bool = False


class Spending:
    """One selection's budget while it is spent; ``choices`` are the cases so far.

    Args:
        pool: what to choose from.
        is_open: (n,) which of the waiting may be chosen.
        policy: the shares and caps.
        budget: how many cases (>= 1).
        ties: (n,) the order of equal scores.
        rng: the only source of chance.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        is_open: np.ndarray,
        policy: SelectionPolicy,
        budget: int,
        ties: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self.choices: list[Choice] = []
        self._pool, self._is_open, self._policy, self._budget = pool, is_open, policy, budget
        self._ties, self._rng = ties, rng
        self._copies, self._doubt = pool.waiting["copy_key"].to_numpy(), read_doubt(pool.waiting)
        cap = max(policy.cap_per_intent, 1 / pool.classes)
        self._picks = Picks(
            pool.features,
            np.concatenate([pool.known, pool.asked]),
            pool.waiting["predicted"],
            similarity=policy.duplicate_similarity,
            limit=ceil(cap * budget),
        )

    @property
    def duplicates(self) -> int:
        """Return how many rows were passed over as near-duplicates."""
        return self._picks.duplicates

    @property
    def capped(self) -> int:
        """Return how many rows were passed over because their predicted label had its share."""
        return self._picks.capped

    @property
    def left(self) -> int:
        """Return how many cases may still be picked."""
        return self._budget - len(self.choices)

    def spend(self) -> None:
        """Spend the whole budget, as far as there are rows that differ."""
        self._ask_what_is_known(int(self._budget * self._policy.gold_share))
        left, shares = self.left, self._policy.shares
        self._ask_again(int(left * shares.label_error))
        self._serve_requests(int(left * shares.gate_request))
        for reason in ("disagreement", "handoff"):
            self._take_scored(reason, int(left * getattr(shares, reason)))
        self._take_novel(int(left * shares.novelty))
        self._take_uncertain()

    def _ask_what_is_known(self, count: int) -> None:
        """Ask ``count`` gold cases, those asked least often first; a drawn score puts them anywhere in the queue."""
        labelled = self._pool.labelled
        asked = np.where(labelled["is_gold"].to_numpy(), -labelled["gold_asked"].to_numpy().astype(float), np.nan)
        rows = find_highest(asked, draw_ties(labelled["interaction_id"], self._rng), count)
        self.choices += [Choice(row, "gold", float(self._rng.random()), is_labelled=True) for row in rows.tolist()]

    def _ask_again(self, count: int) -> None:
        """Ask again for ``count`` labels that are likely errors."""
        labelled, chosen = self._pool.labelled, [choice.row for choice in self.choices]
        scores = labelled["suspicion"].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
        scores[scores < SUSPICIOUS] = np.nan
        scores[chosen] = np.nan
        best = find_highest(scores, draw_ties(labelled["interaction_id"], self._rng), max(_LEAST_LOOKED, 4 * count))
        known, nothing = self._pool.known, self._pool.known[:0]
        apart = Picks(known, nothing, None, similarity=self._policy.duplicate_similarity, limit=0)
        taken = apart.take(best, min(count, self.left))
        self.choices += [Choice(row, "label_error", float(scores[row]), is_labelled=True) for row in taken]

    def _serve_requests(self, room: int) -> None:
        """Take the least sure rows of each gate request, the oldest request first."""
        asked = self._pool.waiting["request"].fill_null(-1).to_numpy()
        for place, needed in enumerate(self._pool.needed if room else ()):
            wanted = min(room, needed, self.left)
            scores = np.where((asked == place) & self._is_open, self._doubt, np.nan)
            room -= self._take("gate_request", scores, wanted)

    def _take_scored(self, reason: str, wanted: int) -> None:
        scores = self._pool.waiting[reason].fill_null(np.nan).to_numpy()
        self._take(reason, np.where(self._is_open, scores, np.nan), wanted)

    def _take_novel(self, wanted: int) -> None:
        known = self._pool.known
        if not len(known) or not wanted:
            return
        drawn = find_highest(np.where(self._is_open, 0.0, np.nan), self._ties, _NOVEL_AMONG)
        far = find_far(self._pool.features, drawn, known, self._pool.targets, max(_LEAST_LOOKED, _LOOKED * wanted))
        scores = np.full(len(self._is_open), np.nan)
        scores[far] = measure_novelty(self._pool.features[far], known)
        self._take("novelty", scores, wanted)

    def _take(self, reason: str, scores: np.ndarray, wanted: int) -> int:
        """Take the ``wanted`` rows of the highest scores; return how many there were."""
        wanted = min(wanted, self.left)
        if wanted <= 0:
            return 0
        best = find_distinct(scores, self._ties, self._copies, max(_LEAST_LOOKED, _LOOKED * wanted))
        taken = self._picks.take(best, wanted)
        self.choices += [Choice(row, reason, float(scores[row])) for row in taken]
        return len(taken)

    def _take_uncertain(self) -> None:
        """Spread what is left over the least sure rows; before labels are enough, over typical ones."""
        if self.left <= 0:
            return
        pool = self._pool
        cold = is_cold(pool.targets, pool.classes)
        worth = self._weigh(np.ones_like(self._doubt) if cold else self._doubt)
        candidates = find_highest(worth, self._ties, self._breadth(cold=cold))
        if not len(candidates):
            return
        count = min(self.left, len(candidates))
        order = pick_batch(
            pool.features[candidates],
            worth[candidates],
            labelled=pool.known,
            targets=pool.targets,
            classes=pool.classes,
            count=count,
            rng=self._rng,
        )
        typical = count_typical(pool.targets, pool.classes, count)
        for reason, rows in self._in_turn(candidates[order], candidates, typical=typical, cold=cold):
            taken = self._picks.take(rows, self.left)
            self.choices += [Choice(row, reason, float(self._doubt[row])) for row in taken]

    def _breadth(self, *, cold: bool) -> int:
        """Return how many rows the uncertain ones are chosen from; more while doubt says little."""
        breadth = ceil(self._policy.breadth * self.left)
        return max(breadth, min(_WIDER * breadth, _WIDEST)) if cold else breadth

    def _weigh(self, doubt: np.ndarray) -> np.ndarray:
        """Return what a label of each row is worth, (n,), not-a-number but for the most doubtful open texts.

        A text that looks like what people put outside every label teaches little: they would put it there too.
        """
        free = self._is_open.copy()
        free[self._picks.rows] = False
        scores = np.where(free, doubt, np.nan)
        wide = find_distinct(scores, self._ties, self._copies, self._breadth(cold=True))
        rejection = measure_rejection(self._pool.features[wide], self._pool.known, self._pool.targets)
        worth = np.full(len(doubt), np.nan)
        worth[wide] = doubt[wide] * (1 - rejection)
        return worth

    def _in_turn(
        self, picked: np.ndarray, candidates: np.ndarray, *, typical: int, cold: bool
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield a reason and rows in turn: those picked, the other candidates, then the least sure of all."""
        reason = "typical" if cold else "uncertainty"
        yield "typical", picked[:typical]
        yield reason, picked[typical:]
        yield reason, candidates
        if self.left:
            scores = np.where(self._is_open, self._doubt, np.nan)
            yield reason, find_distinct(scores, self._ties, self._copies, min(_FILLING, len(scores)))
