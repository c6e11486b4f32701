"""The frames of a case file as JSON: a list of rows, one a line."""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from training.judging.answers import MODELS

_OF_MODEL: Final = {"": pl.String} | dict.fromkeys(("_confidence", "_truth_chance", "_brier", "_novelty"), pl.Float64)
_NAMED: Final = ("interaction_id", "text_digest", "truth", "language", "channel", "segment")
ANSWERS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_NAMED, pl.String),
    **{f"{who}{figure}": kind for who in MODELS for figure, kind in _OF_MODEL.items()},
}
CONFUSION: Final[Mapping[str, Any]] = {
    "truth": pl.String, "answered": pl.String, "champion": pl.Int64, "challenger": pl.Int64,
}  # fmt: skip
TRAINING_ROWS: Final[Mapping[str, Any]] = {
    "interaction_id": pl.String, "label": pl.String, "weight": pl.Float64, "text_digest": pl.String,
}  # fmt: skip


def read_frame(raw: bytes, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of a JSON list as a frame of ``schema``; columns that a row lacks are null."""
    return pl.DataFrame(json.loads(raw), schema=pl.Schema(schema), orient="row")


def write_frame(frame: pl.DataFrame, schema: Mapping[str, Any]) -> str:
    """Return the columns of ``schema`` as a JSON list, one row a line; what ``frame`` lacks is null."""
    rows = ",\n".join(write_lines(frame, schema))
    return f"[\n{rows}\n]\n"


def write_lines(frame: pl.DataFrame, schema: Mapping[str, Any]) -> list[str]:
    """Return each row as a line of JSON."""
    absent = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in frame.columns]
    rows = frame.with_columns(absent).select(list(schema)).cast(pl.Schema(schema)).fill_nan(None)
    return [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows.iter_rows(named=True)]
