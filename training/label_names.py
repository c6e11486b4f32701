"""What the names of labels teach: a name counts as one labelled text, as long as names say something of the texts."""

import re
from typing import Final

import numpy as np

_TELLING: Final = 0.1
"""How far beyond chance, on a scale from chance 0 to always right 1, answers by names alone must be right."""

_WORDS: Final = re.compile(r"[^\W_]+")
_INNER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def spell_out(name: str) -> str:
    """Return a label's name as a person would write it: ``ReportLostCard`` and ``report_lost_card`` alike."""
    return " ".join(_WORDS.findall(_INNER.sub(" ", name))).lower() or name


def are_telling(guesses: np.ndarray, targets: np.ndarray, classes: int) -> bool:
    """Return whether names are worth hearing, by how often they alone were right about what is labelled by now.

    Answering by names alone is dataless classification (Chang, Ratinov, Roth and Srikumar, AAAI 2008). Names are
    trusted while nothing is labelled; names like ``17`` are found out by the first batch.

    Args:
        guesses: (m,) int label numbers that a model of names alone gave to the labelled texts.
        targets: (m,) int label numbers of those, -1 outside every label.
        classes: how many labels there are (>= 2).
    """
    right = (np.count_nonzero(guesses == targets) + 1) / (len(targets) + 1)
    chance = 1 / classes
    return (right - chance) / (1 - chance) >= _TELLING
