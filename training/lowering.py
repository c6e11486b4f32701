"""A model that answers faster, in fewer bits or by a first reader, and only where its answers stay what they were."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from labeling.errors import ModelError
from training.calibration import fit_temperature
from training.first_reader import fit_first_reader
from training.model_folder import FIRST_READER, ModelDescription, describe_model, load_description
from training.quantised import quantise
from training.recipe import Precision
from training.scoring import Scorer

MOST_CHANGED: Final = 0.03
"""The largest share of answers that may become others; int8 changes about 0.011 on BANKING77, bf16 0.001."""

MOST_LOST: Final = 0.005
"""The largest share of right answers that may be lost, in accuracy; chance alone makes it 0.003 of 1,500 cases."""

_MIN_CASES: Final = 30


@dataclass(frozen=True)
class Lowered:
    """What fewer bits did to a model's answers.

    ``changed_share`` in [0, 1] of ``cases`` answers are others; ``accuracy_lost`` in [-1, 1] is the accuracy before
    less the one after.
    """

    cases: int
    changed_share: float
    accuracy_lost: float


def lower_precision(
    folder: Path, precision: Precision, *, texts: Sequence[str], labels: Sequence[str]
) -> tuple[ModelDescription, Lowered]:
    """Let the model in ``folder`` answer in ``precision`` from now on, with a temperature fitted to those answers.

    The temperature changes as it does on these cases, so that they may be ones that the final model was refitted on.
    Thresholds that are fitted to a model's confidences later (serving.handoff) are fitted to these. A refused model
    stays in ``folder`` as it was.

    Args:
        folder: a model folder whose model answers in fp32.
        precision: bf16 or int8.
        texts: cases that the model was not trained on, or at most refitted on.
        labels: their true labels; those that the model does not know are left out.

    Raises:
        ModelError: there are fewer than 30 cases, too many answers change or are lost, or the model cannot be
            quantised here.
    """
    about = load_description(folder)
    known = [row for row, label in enumerate(labels) if label in about.labels]
    if len(known) < _MIN_CASES:
        raise ModelError(
            f"answers in {precision} need {_MIN_CASES} labelled cases to be held against fp32, found {len(known)}: "
            "review more, or set answers_in to fp32 in the recipe"
        )
    cases = [texts[row] for row in known]
    targets = np.array([about.labels.index(labels[row]) for row in known])
    whole = Scorer.load(folder)
    before = whole.logits(cases)
    files = [*about.files, *(quantise(folder, whole.encoder) if precision == "int8" else ())]
    changed = about.model_copy(update={"precision": precision})
    describe_model(folder, changed, files=files)
    after = Scorer.load(folder).logits(cases)
    found = _compare(before, after, targets)
    if fault := _find_fault(found):
        describe_model(folder, about, files=list(about.files))
        _remove(folder, set(files) - set(about.files))
        raise ModelError(f"answers in {precision} need {fault}: set answers_in to bf16 or fp32 in the recipe")
    ratio = fit_temperature(after, targets) / fit_temperature(before, targets)
    fitted = changed.model_copy(update={"temperature": about.temperature * ratio})
    return describe_model(folder, fitted, files=files), found


def add_first_reader(
    folder: Path, *, learnt: tuple[Sequence[str], Sequence[str]], held_out: tuple[Sequence[str], Sequence[str]]
) -> bool:
    """Give the model in ``folder`` a first reader; to be done last, because it is fitted to the model's answers.

    Args:
        folder: a model folder.
        learnt: texts and labels that the model was trained on.
        held_out: texts and labels that it was not, or at most refitted on.

    Returns:
        Whether it has one now: without enough held-out cases to show that answers stay, it has none.
    """
    from safetensors.numpy import save_file

    scorer = Scorer.load(folder)
    about = scorer.about
    cases = [(text, about.labels.index(label)) for text, label in zip(*held_out, strict=True) if label in about.labels]
    if not cases:
        return False
    texts = [text for text, _ in cases]
    reader = fit_first_reader(
        learnt[0],
        np.array([about.labels.index(label) for label in learnt[1]]),
        held_out=texts,
        answers=scorer.logits(texts).argmax(axis=1),
        truth=np.array([target for _, target in cases]),
    )
    if reader is None:
        return False
    save_file(reader.arrays(), folder / FIRST_READER)
    describe_model(folder, about, files=[*about.files, FIRST_READER])
    return True


def _compare(before: np.ndarray, after: np.ndarray, targets: np.ndarray) -> Lowered:
    was, now = before.argmax(axis=1), after.argmax(axis=1)
    lost = (was == targets).mean() - (now == targets).mean()
    return Lowered(len(targets), float((was != now).mean()), float(lost))


def _find_fault(found: Lowered) -> str:
    """Return what was needed and found instead, "" where all is well; one case more or less is chance."""
    changed, lost = (round(share * found.cases) for share in (found.changed_share, found.accuracy_lost))
    if changed <= math.ceil(MOST_CHANGED * found.cases) and lost <= math.ceil(MOST_LOST * found.cases):
        return ""
    return (
        f"at most {MOST_CHANGED:.1%} of answers changed and {MOST_LOST:.1%} lost, found {found.changed_share:.1%} "
        f"changed and {found.accuracy_lost:.1%} lost of {found.cases} cases"
    )


def _remove(folder: Path, files: set[str]) -> None:
    for name in files:
        (folder / name).unlink()
        if not any((folder / name).parent.iterdir()):
            (folder / name).parent.rmdir()
