"""Labels that people gave before cxloop came: a taxonomy made from them, and the events that carry them in.

They travel as reviews, through the inbox, like all that is said later; see docs/decisions/003-imported-labels.md.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from labeling.digests import digest
from labeling.errors import SourceError
from labeling.sources.labelled import LabelledText, count_tasks
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

_KEPT: Final = (NONE_OF_THESE, CANNOT_TELL)
_WITHOUT_REJECT: Final = ("sentiment",)
"""Tasks in which every message has one of the labels; in others a person may answer "none of these"."""

Names = Mapping[str, Mapping[str, str]]
"""Per task, the taxonomy's name of each label as it was written."""


def name_labels(written: Iterable[str]) -> dict[str, str]:
    """Return a name that a taxonomy can hold for each label as written; different labels get different names."""
    names: dict[str, str] = {}
    for label in sorted(set(written)):
        name = _plain_name(label)
        others, number = set(names.values()), 1
        unique = name
        while unique in others and name not in _KEPT:
            number += 1
            unique = f"{name}_{number}"
        names[label] = unique
    return names


def derive_taxonomy(rows: Sequence[LabelledText]) -> tuple[dict[str, Any], Names]:
    """Return the taxonomy of ``rows`` as its YAML holds it, and the names of the labels.

    Raises:
        SourceError: there are no rows, or a task has fewer than two labels.
    """
    if not rows:
        raise SourceError("labelled texts are needed, found none: check which columns hold the text and the labels")
    names = {task: name_labels(row.labels[task] for row in rows if task in row.labels) for task in count_tasks(rows)}
    tasks = [_derive_task(task, written) for task, written in names.items()]
    return {"schema_version": 1, "version": 1, "tasks": tasks}, names


def write_inbox(inbox: Path, rows: Sequence[LabelledText], names: Names, *, origin: str) -> None:
    """Write ``rows`` as events for the tables interactions and reviews.

    Args:
        inbox: the home's inbox.
        rows: the labelled texts; several may be of one text, by different people.
        names: what the labels are called in the taxonomy.
        origin: one word for where the texts come from; it opens each id and is their channel.
    """
    interactions: dict[str, dict[str, Any]] = {}
    reviews: list[dict[str, Any]] = []
    for row in rows:
        interaction_id = f"{origin}-{digest([row.key, row.text])[:20]}"
        if interaction_id not in interactions:
            interactions[interaction_id] = _interaction(interaction_id, row, origin)
        reviews.extend(_reviews(interaction_id, row, names))
    _write_lines(inbox / "interactions" / f"{origin}.jsonl", interactions.values())
    _write_lines(inbox / "reviews" / f"{origin}.jsonl", reviews)


def _plain_name(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:50] or "label"
    return name if name[0].isalpha() else f"label_{name}"


def _title(written: str) -> str:
    words = written.strip().replace("_", " ")[:80]
    return words[:1].upper() + words[1:]


def _derive_task(task: str, names: Mapping[str, str]) -> dict[str, Any]:
    labels = [{"name": name, "title": _title(written)} for written, name in names.items() if name not in _KEPT]
    if len(labels) < 2:
        raise SourceError(f"task {task} needs two labels or more, found {len(labels)}: check which column holds them")
    question = f"What is the {task.replace('_', ' ')} of the customer's message?"
    return {"name": task, "question": question, "rejects": task not in _WITHOUT_REJECT, "labels": labels}


def _interaction(interaction_id: str, row: LabelledText, origin: str) -> dict[str, Any]:
    return {
        "interaction_id": interaction_id,
        "conversation_id": interaction_id,
        "turn": 1,
        "occurred_at": row.answered_at.isoformat(),
        "channel": origin,
        "language": "und",
        "customer_id": interaction_id,
        "segment": "unknown",
        "text": row.text,
        "handled_by": "agent",
    }


def _reviews(interaction_id: str, row: LabelledText, names: Names) -> list[dict[str, Any]]:
    return [
        {
            "review_id": f"{interaction_id}-{digest(row.annotator_id)[:8]}",
            "interaction_id": interaction_id,
            "annotator_id": row.annotator_id,
            "task": task,
            "label": names[task][written],
            "answered_at": row.answered_at.isoformat(),
        }
        for task, written in row.labels.items()
    ]


def _write_lines(path: Path, events: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events)
