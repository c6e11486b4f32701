"""Refusals become rows of the quarantine: what was refused, where it stands, and why; never anyone's data."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from labeling.digests import canonical_json, digest, keyed_digest
from labeling.sources.arrivals import customer_key, customer_mark
from labeling.sources.records import POSITION, ROW_POSITION, Batch, raw_frame
from labeling.sources.redaction import RedactionRules, redact_texts
from labeling.sources.refusals import Refusal
from labeling.sources.source import FilesSource, Source
from labeling.sources.table_map import TableMap
from labeling.tables import QUARANTINE, Table

ROW_LIMIT: Final = 50_000
"""Characters of the longest row that is kept as JSON; of a longer one only the pointer and the digest."""
PAST_RETENTION: Final = "past_retention"
KEPT_OUT: Final = ("erased", PAST_RETENTION)
"""Codes of rows that are refused for what we promised, not for a fault of theirs; nothing of them is kept."""


def quarantine_rows(
    refusals: Sequence[Refusal],
    *,
    raw: pl.DataFrame,
    table: Table,
    source: Source,
    origin: str,
    rules: RedactionRules,
    key: bytes,
    now: datetime,
) -> pl.DataFrame:
    """Describe ``refusals`` for the QUARANTINE table.

    A row is kept, so that it can be replayed, as the source's own fields: texts redacted, a customer known by their
    key. It is not kept where personal data stands in a field that must stay as it is (an id, a time), or where it
    belongs to somebody who was erased, or is older than rows are kept.

    Args:
        refusals: of one batch, at most one a position.
        raw: the batch's rows.
        table: where the rows were meant to go.
        source: where they came from.
        origin: the place in it.
        rules: what is personal data.
        key: the key of the home; digests of rows and of customer ids are keyed.
        now: when they were refused.

    Returns:
        One QUARANTINE row a refusal; the same refusal of the same row always has the same id.
    """
    if not refusals:
        return QUARANTINE.empty()
    kept = _kept_rows(raw, [refusal.position for refusal in refusals], source, rules, key)
    described = []
    for refusal in refusals:
        row, content = kept.get(refusal.position, (None, refusal.content_digest))
        row = None if refusal.code in KEPT_OUT else row
        row_digest = keyed_digest(key, "row", content)
        place = [origin, refusal.position] if isinstance(source, FilesSource) else []  # others count anew in each run
        described.append(
            {
                "quarantine_id": f"q-{digest([table.name, source.name, *place, row_digest])[:32]}",
                "table": table.name,
                "source": source.name,
                "origin": origin,
                "position": refusal.position,
                "reason_code": refusal.code,
                "reason": refusal.reason,
                "row": None if row is None else canonical_json(row).decode(),
                "row_digest": row_digest,
                "quarantined_at": now,
                **(_whose(row, source, table, key) if row else {}),
            }
        )
    return QUARANTINE.frame(described)


def replay_batch(rows: pl.DataFrame, *, source: Source) -> Batch:
    """Return quarantined ``rows`` of one origin of ``source`` as the batch that they came in."""
    paths = source.paths
    raw = [
        (position, *(json.loads(row).get(path) for path in paths))
        for position, row in rows.select(POSITION, "row").iter_rows()
    ]
    return Batch(rows["origin"][0], "", raw_frame(raw, paths))


def _kept_rows(
    raw: pl.DataFrame, positions: list[int], source: Source, rules: RedactionRules, key: bytes
) -> dict[int, tuple[dict[str, str] | None, str]]:
    """Return, by position, the row as it may be kept (None: not at all) and its content, to be digested only."""
    refused = raw.filter(pl.col(ROW_POSITION).is_in(positions))
    paths = [path for path in refused.columns if path != ROW_POSITION]
    redacted = refused.with_columns(redact_texts(refused[path], rules) for path in paths)
    customers, exact = _paths_of(source, "customer_id"), _exact_paths(source)
    kept = {}
    for plain, clean in zip(refused.iter_rows(named=True), redacted.iter_rows(named=True), strict=True):
        content = canonical_json({path: plain[path] for path in paths}).decode()
        row = {path: clean[path] for path in paths if plain[path] is not None}
        row |= {path: customer_mark(key, plain[path]) for path in customers & row.keys()}
        is_safe = all(clean[path] == plain[path].strip() for path in (exact - customers) & row.keys())
        is_short = sum(map(len, row.values())) <= ROW_LIMIT
        kept[plain[ROW_POSITION]] = (row if is_safe and is_short else None, content)
    return kept


def _exact_paths(source: Source) -> set[str]:
    """Return the fields of which something must stay as it is: they become ids, times, numbers or flags."""
    return {
        origin.from_
        for table_map in source.maps
        for column, origin in table_map.origins.items()
        if origin.from_ and (column.endswith("_id") or table_map.to.schema.get(column) != pl.String)
    }


def _paths_of(source: Source, column: str) -> set[str]:
    origins = [table_map.origins.get(column) for table_map in source.maps]
    return {origin.from_ for origin in origins if origin and origin.from_}


def _whose(row: Mapping[str, str], source: Source, table: Table, key: bytes) -> dict[str, str | None]:
    """Return whose row it is, so that it goes when they are erased."""
    maps = sorted(source.maps, key=lambda one: one.table != table.name)
    owner = _read(row, maps, "customer_id")
    return {
        "interaction_id": _read(row, maps, "interaction_id"),
        "customer_key": None if owner is None else customer_key(key, owner),
    }


def _read(row: Mapping[str, str], maps: Sequence[TableMap], column: str) -> str | None:
    """Return what the first of ``maps`` that names an origin for ``column`` finds there."""
    origins = [table_map.origins[column] for table_map in maps if column in table_map.origins]
    found = [origin.prefix + row[origin.from_] for origin in origins if origin.from_ in row]
    return found[0] if found else None
