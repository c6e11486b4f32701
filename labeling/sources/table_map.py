"""How a source's fields become the columns of a table, as configs/sources.yaml describes it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, Self
from zoneinfo import available_timezones

import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config
from labeling.sources.path import check_path
from labeling.tables import CONTEXT_FEEDBACK, CORRECTIONS, ESCALATIONS, INTERACTIONS, REVIEWS, TABLES, Table

FEEDBACK: Final = (INTERACTIONS, CORRECTIONS, ESCALATIONS, CONTEXT_FEEDBACK)
"""The tables that are collected together."""
COLLECTED: Final = (*FEEDBACK, REVIEWS)
"""Every table that sources may fill."""

_DERIVED: Final = {
    INTERACTIONS.name: ("customer_key", "lot", "part"),
    REVIEWS.name: ("suggestion", "blind", "lead_seconds", "case_id", "second_label", "note", "unanswered"),
}
"""Columns that no event carries, because we make them."""
_PREDICTED: Final = ("task", "label", "confidence", "margin", "model_version", "shown", "handoff", "predicted_at")
"""Columns of a prediction that may come along with an interaction."""


def event_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that an event of ``table`` may carry."""
    derived = _DERIVED.get(table.name, ())
    columns = tuple(column for column in table.schema if column not in derived)
    return (*columns, "customer_id") if table == INTERACTIONS else columns


class Split(Config):
    """Cut a list or a text at ``by`` and take one item.

    It is the one at place ``item`` (from 1), or the first that starts with ``prefix``, without it. A list in JSON is
    cut already, whatever ``by`` says.
    """

    by: str = Field(default=",", min_length=1)
    item: int = Field(default=0, ge=0)
    prefix: str = ""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if bool(self.item) == bool(self.prefix):
            raise ValueError("split needs either item (a place, from 1) or prefix")
        return self


class ColumnMap(Config):
    """Where one column comes from: a field of the source's rows (``from``), or one value for all (``constant``).

    A field passes, in this order, through ``split``, ``values`` and ``prefix``.

    Attributes:
        from_: the field's path, such as ``via.channel`` or ``custom_fields[id=7].value``; written ``from`` in YAML.
        constant: the value of every row.
        prefix: put before the value, to keep the ids of several sources apart.
        values: the source's words and ours for them.
        others: what becomes of words that ``values`` does not name: they are kept, or dropped (the value is missing).
        time: how a time is written: ``unix``, ``unix_ms`` or a strptime format; ISO 8601 where empty.
        zone: the IANA zone of times that carry none; where empty, such a time is refused.
        split: picks one of several values in a field.
        optional: the source may lack this field (a file without this column is not refused).
    """

    from_: str = Field(default="", alias="from")
    constant: str | None = None
    prefix: str = ""
    values: Mapping[str, str | None] = Field(default_factory=dict)
    others: Literal["keep", "drop"] = "keep"
    time: str = ""
    zone: str = ""
    split: Split | None = None
    optional: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.from_) == (self.constant is not None):
            raise ValueError("a column needs either from (a field of the source) or constant")
        if self.from_:
            check_path(self.from_)
        if self.zone and self.zone not in available_timezones():
            raise ValueError(f"zone needs an IANA name such as Europe/Berlin, found {self.zone!r}")
        if self.time not in {"", "unix", "unix_ms"}:
            _check_time(self.time)
        return self


class PredictionMap(Config):
    """A prediction that comes along with each interaction: the columns of ``predictions``; ``task`` names whose."""

    task: str
    columns: Mapping[str, ColumnMap]

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        _check_names(self.columns, _PREDICTED[1:], "predictions")
        if missing := {"label", "confidence", "model_version"} - set(self.columns):
            raise ValueError(
                f"predictions need the columns label, confidence, model_version; missing: {sorted(missing)}"
            )
        return self


class TableMap(Config):
    """How a source's rows become events of one table.

    Attributes:
        table: which one.
        columns: column to its origin; where empty, the source's fields have the table's own names. Columns that are not
            named are missing.
        needs: a field; rows without it make no event of this table, and are not refused either.
        predictions: what models said of the same message (interactions only).
    """

    table: Literal["interactions", "corrections", "escalations", "context_feedback", "reviews"]
    columns: Mapping[str, ColumnMap] = Field(default_factory=dict)
    needs: str = ""
    predictions: tuple[PredictionMap, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_names(self.columns, event_columns(self.to), self.table)
        if self.needs:
            check_path(self.needs)
        if self.predictions and self.to != INTERACTIONS:
            raise ValueError(f"predictions come along with interactions only, found them at {self.table}")
        return self

    @cached_property
    def to(self) -> Table:
        """The table."""
        return next(table for table in TABLES if table.name == self.table)

    @cached_property
    def origins(self) -> Mapping[str, ColumnMap]:
        """Column to its origin, the table's own names included."""
        if self.columns:
            return self.columns
        return {
            column: ColumnMap.model_validate({"from": column, "optional": True}) for column in event_columns(self.to)
        }

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The fields that this map reads."""
        maps = [*self.origins.values(), *(one for said in self.predictions for one in said.columns.values())]
        return tuple(dict.fromkeys([one.from_ for one in maps if one.from_] + ([self.needs] if self.needs else [])))


def gateway_maps(tasks: Sequence[str]) -> tuple[TableMap, ...]:
    """Return how the lines of the gateway's log become events, with the predictions of ``tasks``."""
    tables = ((INTERACTIONS, "interaction"), (CORRECTIONS, "correction"), (ESCALATIONS, "escalation"))
    tables += ((CONTEXT_FEEDBACK, "feedback"),)
    return tuple(
        TableMap.model_validate(
            {
                "table": table.name,
                "needs": f"{part}.{table.key[0]}",
                "columns": {column: f"{part}.{column}" for column in event_columns(table)},
                "predictions": [
                    _gateway_predictions(task, said) for task in tasks for said in ("champion", "challenger")
                ]
                if table == INTERACTIONS
                else [],
            }
        )
        for table, part in tables
    )


def _gateway_predictions(task: str, said: str) -> dict[str, Any]:
    """Return where a line holds what one release said of a message; only the champion's answer was shown."""
    figures = {column: f"{said}.predictions.{task}.{column}" for column in ("label", "confidence", "margin")}
    about = {"model_version": f"{said}.version", "handoff": f"{said}.handoff"}
    return {"task": task, "columns": {**figures, **about, "shown": {"constant": str(said == "champion").lower()}}}


def _check_time(form: str) -> None:
    try:
        pl.Series(["x"]).str.to_datetime(form, time_unit="us", strict=False)
    except pl.exceptions.PolarsError:
        raise ValueError(
            f"time needs unix, unix_ms or a strptime format of a date and a time, found {form!r}"
        ) from None


def _check_names(columns: Mapping[str, ColumnMap], known: tuple[str, ...], table: str) -> None:
    if unknown := sorted(set(columns) - set(known)):
        raise ValueError(f"{table} has no column {', '.join(unknown)}; it has {', '.join(known)}")
