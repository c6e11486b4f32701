"""How often do the gates say what is true of a challenger, and how many labels does that take?

Protocol, fixed before the run. A pair (`benchmarks/harness/judged_pairs.py`): a sealed test of 3,000 cases of 77
intents (frequency 1 / rank ** 0.7), 3% of them out of scope, in four languages, three channels and three segments; a
champion of 90% accuracy; a reference of 88%; a challenger that wins and loses at random at stated shares of all
cases, 3% together, and is like the champion in confidence, novelty, speed and behaviour. People read a sample of the
disagreements among 8,000 fresh messages, planned for a gain of 1 point with 90% power; on three of four disagreements
exactly one model is right, and 5% of the sample stays unanswered. All gates of the packaged gates.yaml are on, and the
commonest intent and the smallest segment (5%) are protected. 1,000 pairs each, each as the first challenger of a reign:

- *better*: wins 2%, loses 1%. *equal*: 1.5% each. *worse*: wins 0.5%, loses 2.5%.
- *harmed*: as *better*, but an unprotected intent of 40 test cases loses half of its cases and wins none.
- *few*: the same with 5 test cases, the intent protected.

Sequences: 1,000 champions, each faced by 30 equal challengers; the test is drawn anew after every 10 judgings. A false
*better* is any night on which the gate of that name passes; nights on which neither the test nor the sample shows a
gain are judged no further, because no gate can then pass it.

Labels: what the sample asks people to read in *better*, as a share of the fresh cases, labelled all, on which the exact
test at the same level would show a gain of 1 point at 3% discordance as often as the samples did here.

Peers, on the same tests: *higher accuracy* (two numbers compared); *0.05 each night* (exact McNemar); *unpaired* (the
two-proportion test at 0.05, as if the two had answered different cases).

    python -m benchmarks.judging
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from math import erfc, sqrt
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.harness.judged_pairs import (
    Difference,
    Test,
    describe_answers,
    draw_evidence,
    draw_right,
    draw_test,
    protect,
)
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.config import load_config
from training.judging.disagreements import estimate_difference
from training.judging.evidence import Evidence
from training.judging.gates import BETTER, GatePolicy
from training.judging.judge import judge
from training.judging.paired import cases_to_show, mcnemar
from training.judging.sequence import spend_alpha

POLICY: Final = load_config(Path(__file__).parents[1] / "configs" / "gates.yaml", GatePolicy)
BLOCKS: Final = 20
A_BLOCK: Final = 50
NIGHTS: Final = 30
PAIRS: Final = {
    "better": Difference(won=0.02, lost=0.01),
    "equal": Difference(won=0.015, lost=0.015),
    "worse": Difference(won=0.005, lost=0.025),
    "harmed": Difference(won=0.02, lost=0.01, harmed=40),
    "few": Difference(won=0.02, lost=0.01, harmed=5, is_protected=True),
}
PROTOCOL: Final = {"blocks": BLOCKS, "a_block": A_BLOCK, "nights": NIGHTS, "rule": 1}
_GOALS: Final = {
    "better_promoted": ("better", "promote", "higher", "at least 0.85, aim 0.9"),
    "equal_better": ("equal", "better", "lower", "at most 0.05"),
    "equal_promoted": ("equal", "promote", "lower", ""),
    "worse_better": ("worse", "better", "lower", "at most 0.01"),
    "worse_promoted": ("worse", "promote", "lower", "at most 0.01"),
    "harmed_not_promoted": ("harmed", "not promote", "higher", "at least 0.95"),
    "few_slice_undecided": ("few", "undecided protected_slice", "higher", "Inconclusive"),
    "few_inconclusive": ("few", "inconclusive", "higher", ""),
    "few_promoted": ("few", "promote", "lower", ""),
    "difference_covered": ("covered", "covered", "higher", "at least 0.95"),
}


def main() -> None:
    """Run every block that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="how often the gates say what is true")
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--pairs-only", action="store_true", help="leave the sequences out, for a quick look")
    asked = parser.parse_args()
    kept = SeedResults("judging", PROTOCOL)
    blocks = list(range(asked.blocks))
    for block in blocks:
        if not asked.pairs_only:
            rng = np.random.default_rng([block, len(PAIRS)])
            _once(kept, block, "sequences", lambda rng=rng: run_sequences(rng))
        for number, (name, difference) in enumerate(PAIRS.items()):
            rng = np.random.default_rng([block, number])
            _once(kept, block, name, lambda rng=rng, difference=difference: run_pairs(rng, difference))
    if not asked.pairs_only:
        _write(kept, blocks)


def run_pairs(rng: np.random.Generator, difference: Difference) -> dict[str, int]:
    """Judge a block of pairs; return how often what was said, and the labels that people were asked for."""
    policy, alpha = protect(POLICY, difference), spend_alpha(POLICY.alpha, 1)
    counts: Counter[str] = Counter()
    for _ in range(A_BLOCK):
        test = draw_test(rng, difference)
        right = draw_right(test, difference, rng)
        answers = describe_answers(test, right, rng)
        evidence = draw_evidence(difference, rng, alpha=alpha, policy=policy)
        verdict = judge(answers, evidence, policy, rng=rng)
        counts[verdict.name] += 1
        counts.update(gate.name for gate in verdict.gates if gate.verdict == "passed" and gate.name == BETTER)
        counts.update(
            f"{gate.verdict} {gate.name}" for gate in verdict.gates if gate.verdict not in ("passed", "waived")
        )
        sample = evidence.disagreements
        found = estimate_difference(sample)
        counts["asked"] += sample.asked
        counts["sample shows"] += found.p_better <= alpha / 2
        counts["covered"] += found.low <= difference.won - difference.lost <= found.high
        counts.update(_ask_peers(test, right))
    return dict(counts)


def run_sequences(rng: np.random.Generator) -> dict[str, int]:
    """Let equal challengers face their champions night by night; return in how many sequences something was false."""
    difference = PAIRS["equal"]
    policy = protect(POLICY, difference)
    counts: Counter[str] = Counter()
    for _ in range(A_BLOCK):
        false: set[str] = set()
        for night in range(NIGHTS):
            if night % POLICY.test_uses == 0:
                test = draw_test(rng, difference)
            right, alpha = draw_right(test, difference, rng), spend_alpha(POLICY.alpha, night + 1)
            evidence = draw_evidence(difference, rng, alpha=alpha, policy=policy)
            false |= set(_ask_peers(test, right))
            if not _may_be_better(test, right, evidence):
                continue
            verdict = judge(describe_answers(test, right, rng), evidence, policy, rng=rng)
            false |= {name for name in ("promote",) if verdict.name == name}
            false |= {gate.name for gate in verdict.gates if gate.name == BETTER and gate.verdict == "passed"}
        counts.update(false)
    return dict(counts)


def _may_be_better(test: Test, right: np.ndarray, evidence: Evidence) -> bool:
    """Return whether the test or the sample shows a gain; where neither does, no gate calls the challenger better."""
    wins, losses = int((right & ~test.right).sum()), int((test.right & ~right).sum())
    sampled = mcnemar(evidence.disagreements.challenger, evidence.disagreements.champion)
    return min(float(mcnemar(wins, losses)), float(sampled)) <= evidence.alpha / 2


def _ask_peers(test: Test, right: np.ndarray) -> list[str]:
    """Return the peers that call the challenger better."""
    wins, losses, cases = int((right & ~test.right).sum()), int((test.right & ~right).sum()), len(right)
    mean = (right.mean() + test.right.mean()) / 2
    score = (wins - losses) / cases / sqrt(2 * mean * (1 - mean) / cases)
    said = {
        "higher accuracy": wins > losses,
        "0.05 each night": float(mcnemar(wins, losses)) <= 0.05,
        "unpaired": erfc(score / sqrt(2)) / 2 <= 0.05,
    }
    return [name for name, is_better in said.items() if is_better]


def _once(kept: SeedResults, seed: int, arm: str, run: Callable[[], dict[str, int]]) -> None:
    if kept.find(seed, arm) is None:
        began = time.monotonic()
        found = run()
        kept.keep(seed, arm, found)
        print(f"block {seed}, {arm}: {time.monotonic() - began:.0f} s", found, flush=True)


def _write(kept: SeedResults, blocks: list[int]) -> None:
    sums: dict[str, Counter[str]] = {}
    for name in (*PAIRS, "sequences"):
        sums[name] = sum((Counter(kept.find(block, name)) for block in blocks), Counter())
    pairs = A_BLOCK * len(blocks)
    for counts in sums.values():
        counts["not promote"] = pairs - counts["promote"]
    sums["covered"] = Counter({"covered": sum(sums[name]["covered"] for name in ("better", "equal", "worse"))})
    figures = {
        name: _share(sums[scenario][what], 3 * pairs if scenario == "covered" else pairs, better, goal)
        for name, (scenario, what, better, goal) in _GOALS.items()
    }
    figures["sequences_with_false_better"] = _share(sums["sequences"][BETTER], pairs, "lower", "at most 0.1")
    figures |= _label_figures(sums["better"], pairs)
    peers = {
        peer: {
            "better_called_better": sums["better"][peer] / pairs,
            "equal_called_better": sums["equal"][peer] / pairs,
            "sequences_with_false_better": sums["sequences"][peer] / pairs,
        }
        for peer in ("higher accuracy", "0.05 each night", "unpaired")
    }
    peers["gates that did not pass"] = {
        name: {what: count for what, count in sorted(counts.items()) if what.split()[0] in ("failed", "undecided")}
        for name, counts in sums.items()
        if name in PAIRS
    }
    write_result("judging", command="python -m benchmarks.judging", seeds=blocks, figures=figures, peers=peers)
    kept.drop()


def _label_figures(counts: Counter[str], pairs: int) -> dict[str, Figure]:
    """Return the labels asked for, what a fresh test of equal power takes, and the one as a share of the other."""
    from statsmodels.stats.proportion import proportion_confint

    asked, level = counts["asked"] / pairs, spend_alpha(POLICY.alpha, 1) / 2
    ends = np.asarray(proportion_confint(counts["sample shows"], pairs, method="wilson"), dtype=np.float64)
    power, low, high = counts["sample shows"] / pairs, *ends
    fresh = [cases_to_show(0.01, 0.01, level, float(chance)) for chance in (power, low, high)]
    return {
        "sample_power": Figure(power, float(low), float(high), "share", "higher", ""),
        "labels_asked": Figure(asked, asked, asked, "labels", "lower", ""),
        "labels_of_fresh_test": Figure(*(float(count) for count in fresh), "labels", "lower", ""),
        "labels_share": Figure(asked / fresh[0], asked / fresh[2], asked / fresh[1], "share", "lower", "at most 0.1"),
    }


def _share(count: int, of: int, better: str, goal: str) -> Figure:
    from statsmodels.stats.proportion import proportion_confint

    low, high = np.asarray(proportion_confint(count, of, method="beta"), dtype=np.float64)
    return Figure(count / of, float(low), float(high), "share", better, goal)


if __name__ == "__main__":
    main()
