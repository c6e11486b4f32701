"""How a case is written for the desk, and how an answer is read back: the same for every desk."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from labeling.desk.desk import NOTE, SECOND, Case
from labeling.desk.interface import DIALOGUE
from labeling.desk.page_keys import page_keys, typed_as
from labeling.desk.page_tasks import HANDOFF_TASK, answer_titles, find_task
from labeling.taxonomy import Task, Taxonomy
from labeling.vocabulary import HANDOFF, NEEDED, NOT_NEEDED

_WORDS: Final = ((0.9, "very sure"), (0.7, "fairly sure"), (0.4, "unsure"), (0.0, "a guess"))
_HAPPENED: Final = {
    True: "This went to a person. Was that right?",
    False: "The AI answered this. Was that right?",
}
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_STAND_IN: Final = "\N{REPLACEMENT CHARACTER}"
_LONGEST_NOTE: Final = 2000


@dataclass(frozen=True)
class GivenLabels:
    """What a person answered, sorted.

    ``labels``: question → label, the handoff's among them; ``refused``: question → ``unknown_task``,
    ``unknown_label`` or ``not_one_label``; ``second_labels``: task → second label; ``note``: "" where there is none.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    second_labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def shown_suggestions(case: Case, taxonomy: Taxonomy) -> dict[str, str]:
    """Return question → answer that the page selects beforehand: none for a blind case, and none that the page lacks.

    What is selected for the handoff is what happened, so that leaving it says "that was right".
    """
    if case.blind:
        return {}
    happened = {} if case.handed_off is None else {HANDOFF: NEEDED if case.handed_off else NOT_NEEDED}
    return _shown_of_model(case, taxonomy) | happened


def shown_confidence(case: Case, taxonomy: Taxonomy) -> float | None:
    """Return the least confidence of what the model suggests on the page, None where it suggests nothing."""
    return min((case.suggestions[name].confidence for name in _shown_of_model(case, taxonomy)), default=None)


def suggestion_in_words(case: Case, taxonomy: Taxonomy) -> str:
    """Return the line that tells a person what the model thinks and how sure it is."""
    shown = _shown_of_model(case, taxonomy)
    if case.answers:
        return _ask_which(case, taxonomy)
    if not shown:
        return "Please read and answer; there is no suggestion for this case."
    parts = []
    for name, label in shown.items():
        confidence = case.suggestions[name].confidence
        words = next((words for least, words in _WORDS if confidence >= least), _WORDS[-1][1])
        parts.append(f"{answer_titles(taxonomy.task(name))[label]} ({words}, {confidence:.0%})")
    return "The model suggests: " + " · ".join(parts)


def _ask_which(case: Case, taxonomy: Taxonomy) -> str:
    """Return what asks which of two answers is right: a line for each task, the answers with their keys."""
    lines = ["Which is right?"]
    for task in taxonomy.tasks:
        if asked := case.answers.get(task.name):
            now = dict.fromkeys(taxonomy.current(task.name, label) or label for label in asked)
            lines.append(" or ".join(_name_with_key(task, label, page_keys(taxonomy)[task.name]) for label in now))
    if taxonomy.tasks[0].name in case.answers:
        lines.append("Both: give one, and the other as the second answer.")
    return "\n".join([*lines, "Neither: give what is right."])


def _name_with_key(task: Task, label: str, keys: Mapping[str, str]) -> str:
    title = answer_titles(task).get(label, label)
    return f"{title} [{keys[label]}]" if label in keys else title


def page_data(case: Case, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return what the page shows of a case, the newest line first.

    Nothing of the model or of what happened goes along with a blind one.
    """
    happened = None if case.blind else case.handed_off
    known = [f"{name}: {value}" for name, value in case.context.items()]
    earlier = ["Earlier:", *case.history] if case.history else []
    return {
        DIALOGUE: [{"author": turn.author, "text": visible(turn.text)} for turn in reversed(case.conversation)],
        "suggested": suggestion_in_words(case, taxonomy),
        "about": visible("\n".join([*known, *earlier])) or " ",
        "handoff_question": HANDOFF_TASK.question if happened is None else _HAPPENED[happened],
    }


def _shown_of_model(case: Case, taxonomy: Taxonomy) -> dict[str, str]:
    if case.blind:
        return {}
    said = {
        task.name: taxonomy.current(task.name, case.suggestions[task.name].label)
        for task in taxonomy.tasks
        if task.name in case.suggestions
    }
    return {name: label for name, label in said.items() if label in taxonomy.task(name).trainable}


def visible(text: str) -> str:
    """Return ``text`` with every character that hides, reorders or breaks (controls, surrogates) made visible."""
    return "".join(_STAND_IN if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in {"Cc", "Cs"}


def read_answer(given: Mapping[str, object], taxonomy: Taxonomy) -> GivenLabels:
    """Sort a person's answers into what is known, and the others with a reason.

    A label of an older version of the taxonomy is kept as it was given. A second label that repeats the first one
    says nothing and is left out, as is a field that was left with a blank or a dash.

    Args:
        given: question → what the desk stored; desks check nothing, so it can be anything.
        taxonomy: what may be answered now.
    """
    labels: dict[str, str] = {}
    refused: dict[str, str] = {}
    second: dict[str, str] = {}
    for name, said in given.items():
        if name == NOTE or (name.endswith(SECOND) and _is_blank(said)):
            continue
        read = _read_second(name, said, taxonomy) if name.endswith(SECOND) else _read_label(name, said, taxonomy)
        if isinstance(read, _Refusal):
            refused[_plain(name)] = read.reason
        elif name.endswith(SECOND):
            second[name.removesuffix(SECOND)] = read
        else:
            labels[name] = read
    others = {name: label for name, label in second.items() if label != labels.get(name)}
    return GivenLabels(labels, refused, others, _read_note(given.get(NOTE)))


@dataclass(frozen=True)
class _Refusal:
    reason: str


def _read_label(name: str, said: object, taxonomy: Taxonomy) -> "str | _Refusal":
    task = find_task(taxonomy, name)
    if task is None:
        return _Refusal("unknown_task")
    if not isinstance(said, str):
        return _Refusal("not_one_label")
    return said if said in task.answers or taxonomy.accepts(name, said) else _Refusal("unknown_label")


def _read_second(name: str, said: object, taxonomy: Taxonomy) -> "str | _Refusal":
    task = name.removesuffix(SECOND)
    if task not in taxonomy.task_names:
        return _Refusal("unknown_task")
    if not isinstance(said, str):
        return _Refusal("not_one_label")
    if said in taxonomy.former(task):
        return said
    return find_label(taxonomy.task(task), said, page_keys(taxonomy)[task]) or _Refusal("unknown_label")


def find_label(task: Task, typed: str, keys: Mapping[str, str]) -> str | None:
    """Return the label of ``task`` that a person means by what they typed, None where that is none or several.

    In turn: its name or its title; its key, as the page shows it or as it types ("Q" for "shift+q"); a part of one
    title alone. Reserved answers are no second label.
    """
    text, words = typed.strip(), typed.strip().casefold()
    titles = {name: title.casefold() for name, title in answer_titles(task).items() if name in task.label_names}
    meant = [name for name, title in titles.items() if words in {name, title}]
    meant = meant or [name for name in titles if name in keys and text in {keys[name], typed_as(keys[name])}]
    meant = meant or [name for name, title in titles.items() if words in title]
    return meant[0] if len(meant) == 1 else None


def _is_blank(said: object) -> bool:
    """Say whether a field was only left again, with a blank or a dash."""
    return isinstance(said, str) and said.strip() in {"", "-"}


def _read_note(said: object) -> str:
    lines = [line for line in (said if isinstance(said, list) else [said]) if isinstance(line, str)]
    lines = [line for line in lines if not _is_blank(line)]
    return visible("\n".join(lines)).strip()[:_LONGEST_NOTE]


def _plain(name: str) -> str:
    """Return a task's name, or a stand-in for anything that is not a name (it could be a customer's text)."""
    return name if re.fullmatch(rf"[a-z][a-z0-9_]{{0,63}}({SECOND})?", name) else "unreadable"
