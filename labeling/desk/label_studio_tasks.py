"""A case as a task of Label Studio, and its annotations as answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from labeling.desk.case_form import page_data, read_answer, shown_confidence, shown_suggestions
from labeling.desk.desk import Answer, Case
from labeling.desk.page_result import read_result, write_result
from labeling.taxonomy import Taxonomy

KEY: Final = "case_id"
"""Where a task's data holds the key of its case."""

SUGGESTER: Final = "cxloop"
"""The one name under which suggestions go out."""

SIMULATED_DOMAIN: Final = "@simulated.invalid"
"""Where simulated annotators have their addresses; in their ids it is left out."""


def write_task(case: Case, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return a case as Label Studio imports it; nothing of the model goes along with a blind one."""
    shown = shown_suggestions(case, taxonomy)
    task: dict[str, Any] = {
        "data": {
            **page_data(case, taxonomy),
            KEY: case.case_id,
            "interaction_id": case.interaction_id,
            "reason": case.reason,
            "blind": case.blind,
            "suggestions": shown,
        }
    }
    if shown:
        score = shown_confidence(case, taxonomy)
        task["predictions"] = [{"model_version": SUGGESTER, "score": score, "result": write_result(shown)}]
    return task


def read_answers(task: Mapping[str, Any], taxonomy: Taxonomy, people: Mapping[int, str]) -> list[Answer]:
    """Return the answers of one task of Label Studio; none where the task is not one of our cases.

    An answer's id holds when it was made, because Label Studio's own numbers start again with a new database.
    """
    data = task["data"]
    if not isinstance(data.get(KEY), str) or not isinstance(data.get("interaction_id"), str):
        return []
    answers = []
    for annotation in task["annotations"] or ():
        skipped = bool(annotation["was_cancelled"])
        given = read_answer({} if skipped else read_result(annotation["result"]), taxonomy)
        made = datetime.fromisoformat(annotation["created_at"])
        answers.append(
            Answer(
                answer_id=f"ls-{annotation['id']}-{made.timestamp() * 1_000_000:.0f}",
                case_id=data[KEY],
                interaction_id=data["interaction_id"],
                annotator_id=people.get(annotation["completed_by"], "unknown").removesuffix(SIMULATED_DOMAIN),
                labels=given.labels,
                refused=given.refused,
                suggestions=dict(data.get("suggestions") or {}),
                is_blind=bool(data.get("blind")),
                is_skipped=skipped,
                answered_at=datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC),
                lead_seconds=annotation["lead_time"],
                second_labels=given.second_labels,
                note=given.note,
            )
        )
    return answers
