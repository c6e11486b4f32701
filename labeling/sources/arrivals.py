"""Raw rows become rows of a table: typed, redacted, keyed and put into their lot."""

import re
from typing import Any, Final

import polars as pl

from labeling.digests import keyed_digest
from labeling.sources.lots import LotPolicy, assign_lots
from labeling.sources.redaction import RedactionRules, redact_texts
from labeling.sources.refusals import Sifted, refuse
from labeling.sources.table_map import event_columns
from labeling.tables import INTERACTIONS, REVIEWS, TIME, Table

_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_ERASABLE: Final = "customer:"
"""Stands before a customer's key where a row was kept without the customer's id."""


def type_rows(rows: pl.DataFrame, *, table: Table, rules: RedactionRules, lots: LotPolicy, key: bytes) -> Sifted:
    """Turn the strings of ``rows`` into the columns of ``table``.

    Times are ISO 8601 with a zone; an empty string in a time, number or flag is null. Every string but the ids is
    cleaned and redacted. A customer is known by a keyed digest of their id, never by the id; so is everything else
    whose id is an e-mail address.

    Args:
        rows: ``event_columns(table)`` as strings, and ``position``.
        table: what the rows are.
        rules: what is personal data.
        lots: the shares of the lots (interactions only).
        key: the key of the home.

    Returns:
        The typed rows (the columns of ``table`` and ``position``), and the refusals of those that have no type.
    """
    typed = rows.select("position", *(_typed(column, kind) for column, kind in _event_schema(table).items()))
    broken = [
        typed.filter(typed[column].is_null() & rows[column].str.strip_chars().str.len_chars().gt(0)).select(
            "position", code=pl.lit(_CODES[kind]), reason=pl.lit(f"{column} {_NEEDS[kind]}")
        )
        for column, kind in _event_schema(table).items()
        if kind in _CODES
    ]
    refusals = refuse(broken)
    kept = ~typed["position"].is_in([refusal.position for refusal in refusals])
    complete = _complete(rows.filter(kept), typed.filter(kept), table=table, lots=lots, key=key)
    plain = [column for column, kind in table.schema.items() if kind == pl.String and not column.endswith("_id")]
    redacted = complete.with_columns(
        *(redact_texts(complete[column], rules) for column in plain),
        *(_safe_ids(complete[column], key) for column in table.schema if column.endswith("_id")),
    )
    return Sifted(redacted.select("position", *table.schema), refusals)


_CODES: Final[dict[Any, str]] = {
    TIME: "bad_time",
    pl.Int32: "bad_number",
    pl.Float64: "bad_number",
    pl.Boolean: "bad_flag",
}
_NEEDS: Final[dict[Any, str]] = {
    TIME: "needs an ISO 8601 time with a zone, or one of the form and zone that its map names (an hour that is there)",
    pl.Int32: "needs a whole number",
    pl.Float64: "needs a number",
    pl.Boolean: "needs true or false",
}


def _event_schema(table: Table) -> dict[str, Any]:
    return {column: table.schema[column] for column in event_columns(table) if column in table.schema}


def _typed(column: str, kind: Any) -> pl.Expr:
    text = pl.col(column).str.strip_chars()
    if kind == TIME:
        return text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if kind == pl.Boolean:
        return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None).alias(column)
    if kind in {pl.Int32, pl.Float64}:
        number = text.cast(pl.Float64, strict=False)
        is_fit = number.is_finite() if kind == pl.Float64 else number.round() == number
        return pl.when(is_fit).then(number).cast(kind, strict=False).alias(column)
    return pl.col(column)


def _complete(rows: pl.DataFrame, typed: pl.DataFrame, *, table: Table, lots: LotPolicy, key: bytes) -> pl.DataFrame:
    """Add the columns that we make ourselves."""
    if table == INTERACTIONS:
        return typed.with_columns(
            pl.col("updated_at").fill_null(pl.col("occurred_at")),
            _customer_keys(rows["customer_id"], key),
            *assign_lots(typed["conversation_id"], policy=lots, key=key),
        )
    if table == REVIEWS:
        of_the_desk = [name for name in table.schema if name not in event_columns(table)]
        return typed.with_columns(pl.lit(None, table.schema[name]).alias(name) for name in of_the_desk).with_columns(
            blind=pl.lit(value=True)
        )
    return typed


def safe_id(key: bytes, name: str) -> str:
    """Return ``name``, or a keyed digest where an e-mail address stands in it: ids are stored as they come."""
    return f"id-{keyed_digest(key, 'id', name)[:32]}" if _ADDRESS.search(name) else name


def _safe_ids(names: pl.Series, key: bytes) -> pl.Series:
    addresses = names.str.contains("@", literal=True).fill_null(value=False).arg_true()
    if addresses.is_empty():
        return names
    return names.scatter(addresses, [safe_id(key, name) for name in names.gather(addresses)])


def customer_mark(key: bytes, customer_id: str) -> str:
    """Return what stands for ``customer_id`` in a row that is kept for later: ``customer:`` and the customer's key."""
    return customer_id if _is_mark(customer_id) else _ERASABLE + keyed_digest(key, "customer", customer_id)


def customer_key(key: bytes, customer_id: str) -> str:
    """Return the keyed digest by which a customer is known; that of a mark is the one it holds."""
    return customer_mark(key, customer_id).removeprefix(_ERASABLE)


def _is_mark(text: str) -> bool:
    digest = text.removeprefix(_ERASABLE)
    return len(text) == len(_ERASABLE) + 64 and len(digest) == 64 and set(digest) <= set("0123456789abcdef")


def _customer_keys(customer_ids: pl.Series, key: bytes) -> pl.Series:
    known = {name: customer_key(key, name) for name in customer_ids.drop_nulls().unique()}
    return pl.Series("customer_key", [None if name is None else known[name] for name in customer_ids], pl.String)
