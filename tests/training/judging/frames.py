"""Answers frames whose right and wrong answers are given."""

from pathlib import Path

import numpy as np
import polars as pl

from labeling.config import load_config
from training.judging.answers import MODELS
from training.judging.evidence import Evidence
from training.judging.gates import GatePolicy, ProtectedSlice
from training.judging.judge import judge
from training.judging.sequence import spend_alpha

POLICY = load_config(Path(__file__).parents[3] / "configs" / "gates.yaml", GatePolicy)
EVIDENCE = Evidence(task="intent", alpha=spend_alpha(POLICY.alpha, 1), personal_data=(), parity=True)


def frame(truth, challenger, champion=None, reference=None, **columns):
    """Return an answers frame; each model is the truth where it is right, and wrong elsewhere, 0.8 sure."""
    found = {"interaction_id": [f"case-{row}" for row in range(len(truth))], "truth": list(truth)}
    found |= dict.fromkeys(("language", "channel", "segment"))
    for name, right in zip(MODELS, (challenger, champion, reference), strict=True):
        has = right is not None
        chance = np.where(right, 0.8, 0.1).tolist() if has else None
        found[name] = [label if one else "wrong" for label, one in zip(truth, right, strict=True)] if has else None
        found[f"{name}_confidence"] = 0.8 if has else None
        found[f"{name}_truth_chance"] = chance
        found[f"{name}_brier"] = [1.2 * (1 - one) ** 2 for one in chance] if has else None
        found[f"{name}_novelty"] = None
    texts = ("truth", "language", "channel", "segment", *MODELS)
    parts = ("confidence", "truth_chance", "brier", "novelty")
    kinds = dict.fromkeys(texts, pl.String) | {f"{name}_{part}": pl.Float64 for name in MODELS for part in parts}
    rows = len(truth)
    filled = {name: value if isinstance(value, list) else [value] * rows for name, value in (found | columns).items()}
    return pl.DataFrame(filled).cast(kinds)


def right(cases, *, losses=0, wins=0, both_wrong=0):
    """Return of the champion and of the challenger which of so many cases each has right: losses, then wins, first."""
    place = np.arange(cases)
    lost, won = place < losses, (place >= losses) & (place < losses + wins)
    neither = (place >= losses + wins) & (place < losses + wins + both_wrong)
    return ~won & ~neither, ~lost & ~neither


def counted(cases, *, losses=0, wins=0, both_wrong=0, truth=None, **columns):
    """Return a frame of so many losses and wins, those first."""
    champion, challenger = right(cases, losses=losses, wins=wins, both_wrong=both_wrong)
    labels = truth or [f"label_{row % 5}" for row in range(cases)]
    return frame(labels, challenger, champion, **columns)


def protect(*slices):
    """Return the packaged policy with these (slice, value, task) protected."""
    named = [ProtectedSlice(slice=name, value=value, task=task) for name, value, task in slices]
    return POLICY.model_copy(update={"protected": tuple(named)})


def judged(answers, policy=POLICY, **evidence):
    """Return the verdict on an answers frame."""
    known = {name: getattr(EVIDENCE, name) for name in EVIDENCE.__dataclass_fields__}
    return judge(answers, Evidence(**(known | evidence)), policy, rng=np.random.default_rng(0))


def gate(verdict, name):
    """Return the one gate called ``name``."""
    (found,) = [one for one in verdict.gates if one.name == name]
    return found
