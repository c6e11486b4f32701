"""How a case is written for the desk, and how an answer is read back: the same for every desk."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from labeling.desk.desk import Case
from labeling.desk.interface import answer_titles
from labeling.taxonomy import Taxonomy

_WORDS: Final = ((0.9, "very sure"), (0.7, "fairly sure"), (0.4, "unsure"), (0.0, "a guess"))
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_STAND_IN: Final = "\N{REPLACEMENT CHARACTER}"


def shown_suggestions(case: Case, taxonomy: Taxonomy) -> dict[str, str]:
    """Return task → label that the page proposes: none for a blind case, and none that the page lacks."""
    if case.blind:
        return {}
    return {
        task.name: case.suggestions[task.name].label
        for task in taxonomy.tasks
        if task.name in case.suggestions and case.suggestions[task.name].label in task.trainable
    }


def suggestion_in_words(case: Case, taxonomy: Taxonomy) -> str:
    """Return the line that tells a person what the model thinks and how sure it is."""
    shown = shown_suggestions(case, taxonomy)
    if not shown:
        return "Please read and answer; there is no suggestion for this case."
    parts = []
    for name, label in shown.items():
        confidence = case.suggestions[name].confidence
        words = next((words for least, words in _WORDS if confidence >= least), _WORDS[-1][1])
        parts.append(f"{answer_titles(taxonomy.task(name))[label]} ({words}, {confidence:.0%})")
    return "The model suggests: " + " · ".join(parts)


def visible(text: str) -> str:
    """Return ``text`` with every character that hides, reorders or breaks (controls, surrogates) made visible."""
    return "".join(_STAND_IN if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in {"Cc", "Cs"}


def read_labels(given: Mapping[str, object], taxonomy: Taxonomy) -> tuple[dict[str, str], dict[str, str]]:
    """Sort a person's answers into those that the taxonomy knows, and the others with a reason.

    Args:
        given: task → what the desk stored; desks check nothing, so it can be anything.
        taxonomy: what may be answered now.

    Returns:
        task → label, and task → reason: ``unknown_task``, ``unknown_label`` or ``not_one_label``.
    """
    labels: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, label in given.items():
        if name not in taxonomy.task_names:
            refused[_plain(name)] = "unknown_task"
        elif not isinstance(label, str):
            refused[name] = "not_one_label"
        elif label not in taxonomy.task(name).answers:
            refused[name] = "unknown_label"
        else:
            labels[name] = label
    return labels, refused


def _plain(name: str) -> str:
    """Return a task's name, or a stand-in for anything that is not a name (it could be a customer's text)."""
    return name if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) else "unreadable"
