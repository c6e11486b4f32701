"""What a refused row is: where it stands in its source, why it was refused, and nothing of what it says."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Refusal:
    """One row that goes to quarantine.

    ``position`` is its place in its origin, from 1; 0 stands for the whole of a file. ``code`` is one of the reason
    codes below; ``reason`` says it in words, names columns only, and never holds a value. ``content_digest`` is the
    SHA-256 of the undecodable line, empty where the row was decoded (its content then travels in the frame that it came
    in).

    Codes of reading: ``broken_encoding``, ``broken_json``, ``broken_quoting``, ``broken_value``, ``broken_file``,
    ``cut_short``, ``nul_bytes``, ``not_an_object``, ``nested_value``, ``ragged_row``, ``missing_column``,
    ``repeated_column``, ``line_too_long`` (a row, or a line), ``field_too_long``, ``file_too_large``. Of typing:
    ``bad_time``, ``bad_number``, ``bad_flag``. Of expectations: ``missing``, ``bad_id``, ``too_long``,
    ``unknown_task``, ``unknown_label``, ``unknown_value``, ``in_the_future``, ``out_of_range``, ``text_empty``,
    ``text_too_long``, ``closed_before_opened``. And ``erased`` (somebody asked for that),
    ``past_retention``, ``interaction_never_came``.
    """

    position: int
    code: str
    reason: str
    content_digest: str = ""


@dataclass(frozen=True)
class Sifted:
    """A frame cut in two: the rows that meet every expectation, and why each of the others does not."""

    good: pl.DataFrame
    refusals: tuple[Refusal, ...]


def refuse(faults: list[pl.DataFrame]) -> tuple[Refusal, ...]:
    """Make one refusal of all faults of a row, so that rows and refusals add up: the first fault gives the code.

    Args:
        faults: frames of ``position`` (Int64), ``code`` and ``reason``, the gravest kind of fault first.

    Returns:
        One refusal a position, by position; its reason joins the different reasons.
    """
    if not faults:
        return ()
    rows = (
        pl.concat(faults)
        .group_by("position", maintain_order=True)
        .agg(pl.col("code").first(), pl.col("reason").unique(maintain_order=True).str.join("; "))
        .sort("position")
    )
    return tuple(Refusal(*row) for row in rows.iter_rows())
