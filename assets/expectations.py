"""What every arriving row must be, as Great Expectations suites: the only file that imports Great Expectations.

No text enters a validation: Great Expectations sees its length only, so nothing of it can stand in a result.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from labeling.sources.refusals import Sifted, refuse
from labeling.tables import (
    CLOCK_TOLERANCE,
    CONTEXT_FEEDBACK,
    CORRECTIONS,
    ESCALATIONS,
    FIELD_LIMIT,
    INTERACTIONS,
    PREDICTIONS,
    REVIEWS,
    TEXT_LIMIT,
    TIME,
    Table,
)
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import HANDLERS, HELPED, LOTS, NOTHING, PACKAGE_PARTS, PARTS, TRIGGERS

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition

_TEXTS: Final = ("text", "reason", "note")

_REQUIRED: Final = {
    INTERACTIONS.name: (
        "interaction_id",
        "conversation_id",
        "turn",
        "occurred_at",
        "updated_at",
        "text",
        "handled_by",
        "lot",
    ),
    CORRECTIONS.name: ("correction_id", "interaction_id", "task", "label", "agent_id", "corrected_at"),
    ESCALATIONS.name: ("escalation_id", "conversation_id", "escalated_at", "trigger"),
    CONTEXT_FEEDBACK.name: ("feedback_id", "interaction_id", "given_at", "helped", "missing"),
    PREDICTIONS.name: ("interaction_id", "task", "label", "confidence", "model_version", "predicted_at"),
    REVIEWS.name: ("review_id", "interaction_id", "task", "label", "annotator_id", "answered_at"),
}
_VALUES: Final = {
    "handled_by": HANDLERS,
    "trigger": TRIGGERS,
    "lot": LOTS,
    "part": PARTS,
    "helped": HELPED,
    "missing": (*PACKAGE_PARTS, NOTHING),
}
_RANGES: Final[dict[str, tuple[float | None, float | None]]] = {
    "turn": (0, None),
    "confidence": (0, 1),
    "csat": (1, 5),
    "handle_seconds": (0, None),
    "lead_seconds": (0, None),
}
_ORDER: Final = (
    "missing",
    "bad_id",
    "unknown_task",
    "unknown_label",
    "text_empty",
    "text_too_long",
    "too_long",
    "unknown_value",
    "out_of_range",
    "in_the_future",
    "closed_before_opened",
)


class Rule(NamedTuple):
    """One expectation (its Great Expectations name and arguments) and the reason code of rows that do not meet it."""

    code: str
    reason: str
    expectation: str
    arguments: dict[str, Any]


def sift(frame: pl.DataFrame, *, table: Table, taxonomy: Taxonomy, now: datetime) -> Sifted:
    """Cut ``frame`` into the rows that meet every expectation of ``table`` and refusals of the others.

    Args:
        frame: the columns of ``table`` and ``position``, unique.
        table: interactions, predictions, corrections, escalations, context_feedback or reviews.
        taxonomy: which tasks and labels there are.
        now: nothing may have happened later than this, but for the clocks' tolerance.

    Returns:
        Good rows as they came, ``position`` included, and one refusal for each of the others.
    """
    if frame.is_empty():
        return Sifted(frame, ())
    rules = sorted(_rules(table, taxonomy, now), key=lambda rule: _ORDER.index(rule.code))
    seen = _visible(frame, table)
    faults = [
        pl.DataFrame({"position": frame["position"].gather(rows)}).with_columns(
            code=pl.lit(rule.code), reason=pl.lit(rule.reason)
        )
        for rule, rows in zip(rules, find_unmet(seen, rules), strict=True)
        if rows
    ]
    refusals = refuse(faults)
    return Sifted(frame.filter(~pl.col("position").is_in([refusal.position for refusal in refusals])), refusals)


def _visible(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return what Great Expectations may see: lengths instead of texts, and the columns that rules compare."""
    texts = [column for column in _TEXTS if column in table.schema]
    seen = frame.with_columns(pl.col(column).str.strip_chars().str.len_chars().alias(column) for column in texts)
    if "task" in table.schema:
        seen = seen.with_columns(answer=pl.concat_str("task", "label", separator="/"))
    if "closed_at" in table.schema:
        seen = seen.with_columns(open_seconds=(pl.col("closed_at") - pl.col("escalated_at")).dt.total_seconds())
    return seen


def _rules(table: Table, taxonomy: Taxonomy, now: datetime) -> list[Rule]:
    rules = [
        Rule("missing", f"{column} is missing", "expect_column_values_to_not_be_null", {"column": column})
        for column in _REQUIRED[table.name]
    ]
    for column, kind in table.schema.items():
        if kind == TIME:
            rules.append(_between("in_the_future", f"{column} lies in the future", column, None, now + CLOCK_TOLERANCE))
        elif column in _RANGES:
            low, high = _RANGES[column]
            reason = f"{column} is not between {low} and {high if high is not None else 'any'}"
            rules.append(_between("out_of_range", reason, column, low, high))
        elif kind == pl.String:
            rules += _string_rules(column)
    if "task" in table.schema:
        rules += _answer_rules(table, taxonomy)
    if "closed_at" in table.schema:
        reason = "closed_at is earlier than escalated_at"
        rules.append(_between("closed_before_opened", reason, "open_seconds", 0, None))
    return rules


def _string_rules(column: str) -> list[Rule]:
    if column in _TEXTS:
        reason = f"{column} is longer than {TEXT_LIMIT:,} characters"
        longest = _between("text_too_long", reason, column, None, TEXT_LIMIT)
        return [longest, _between("text_empty", "text is empty", column, 1, None)] if column == "text" else [longest]
    if column in _VALUES:
        return [_in_set("unknown_value", f"{column} is none of {', '.join(_VALUES[column])}", column, _VALUES[column])]
    if column.endswith("_id"):
        reason = f"{column} is empty, over {FIELD_LIMIT} characters or has control characters"
        regex = rf"\A[^\x00-\x1f\x7f\ufffd]{{1,{FIELD_LIMIT}}}\Z"
        return [Rule("bad_id", reason, "expect_column_values_to_match_regex", {"column": column, "regex": regex})]
    reason = f"{column} is longer than {FIELD_LIMIT} characters"
    arguments = {"column": column, "max_value": FIELD_LIMIT}
    return [Rule("too_long", reason, "expect_column_value_lengths_to_be_between", arguments)]


def _answer_rules(table: Table, taxonomy: Taxonomy) -> list[Rule]:
    """A reviewer may answer that they cannot tell; an agent corrects only to a label. Former labels are accepted."""
    answers = [
        f"{task.name}/{label}"
        for task in taxonomy.tasks
        for label in (*(task.answers if table == REVIEWS else task.trainable), *taxonomy.former(task.name))
    ]
    known = ", ".join(taxonomy.task_names)
    return [
        _in_set("unknown_task", f"task is none of {known}: add it to taxonomy.yaml", "task", taxonomy.task_names),
        _in_set("unknown_label", "label is none of its task's: add it to taxonomy.yaml", "answer", answers),
    ]


def _between(code: str, reason: str, column: str, low: Any, high: Any) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule(code, reason, "expect_column_values_to_be_between", arguments)


def _in_set(code: str, reason: str, column: str, values: Sequence[str]) -> Rule:
    return Rule(code, reason, "expect_column_values_to_be_in_set", {"column": column, "value_set": list(values)})


def find_unmet(seen: pl.DataFrame, rules: Sequence[Rule]) -> list[list[int]]:
    """Validate in one pass and return, for each rule, the rows (from 0) that do not meet it; null always does."""
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    suite = ExpectationSuite(
        name="arrivals",
        expectations=[
            ExpectationConfiguration(
                type=rule.expectation, kwargs=rule.arguments, meta={"place": place}
            ).to_domain_obj()
            for place, rule in enumerate(rules)
        ],
    )
    batch = _batch_definition().get_batch(batch_parameters={"dataframe": seen.to_pandas()})
    unmet: dict[int, list[int]] = {}
    for result in batch.validate(suite, result_format={"result_format": "COMPLETE"}).results:
        configuration = result.expectation_config
        if configuration is None or (result.exception_info or {}).get("raised_exception"):
            raise RuntimeError(
                f"{configuration and configuration.type} cannot be evaluated: mend assets/expectations.py"
            )
        unmet[(configuration.meta or {})["place"]] = list(result.result.get("unexpected_index_list") or [])
    return [unmet[place] for place in range(len(rules))]


def _batch_definition() -> "BatchDefinition":
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("arrivals").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("whole")
