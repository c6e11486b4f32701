"""Refusals become rows of the quarantine: what was refused, where it stands, and why; never anyone's data."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from labeling.digests import canonical_json, digest, keyed_digest
from labeling.sources.redaction import RedactionRules, redact_texts
from labeling.sources.refusals import Refusal
from labeling.tables import QUARANTINE, Table

ROW_LIMIT: Final = 4_000
"""Characters of the longest row that is kept as JSON; of a longer one only the pointer and the digest."""


def quarantine_rows(
    refusals: Sequence[Refusal],
    *,
    raw: pl.DataFrame,
    table: Table,
    source: str,
    rules: RedactionRules,
    key: bytes,
    now: datetime,
) -> pl.DataFrame:
    """Describe ``refusals`` for the QUARANTINE table.

    Args:
        refusals: of one file, at most one a position.
        raw: the decoded rows of that file, with ``position``.
        table: where the rows were meant to go.
        source: the file's name.
        rules: what is personal data; applied to every value of a kept row.
        key: the key of the home; digests of rows and of customer ids are keyed.
        now: when they were refused.

    Returns:
        One QUARANTINE row a refusal; the same refusal of the same file always has the same id.
    """
    contents = _redacted_contents(raw, {refusal.position for refusal in refusals}, rules, key)
    described = []
    for refusal in refusals:
        row, content = contents.get(refusal.position, (None, refusal.content_digest))
        row_digest = keyed_digest(key, "row", content)
        described.append(
            {
                "quarantine_id": f"q-{digest([table.name, source, refusal.position, row_digest])[:32]}",
                "table": table.name,
                "source": source,
                "position": refusal.position,
                "reason_code": refusal.code,
                "reason": refusal.reason,
                "row": row if row is not None and len(row) <= ROW_LIMIT else None,
                "row_digest": row_digest,
                "quarantined_at": now,
            }
        )
    return QUARANTINE.frame(described)


def _redacted_contents(
    raw: pl.DataFrame, positions: set[int], rules: RedactionRules, key: bytes
) -> dict[int, tuple[str, str]]:
    """Return, by position, the row as redacted JSON and as plain JSON (to be digested only)."""
    refused = raw.filter(pl.col("position").is_in(list(positions)))
    columns = [column for column in raw.columns if column != "position"]
    redacted = refused.with_columns(redact_texts(refused[column], rules) for column in columns)
    pairs = zip(refused.iter_rows(named=True), redacted.iter_rows(named=True), strict=True)
    contents = {}
    for plain, clean in pairs:
        if plain.get("customer_id") is not None:
            clean["customer_id"] = keyed_digest(key, "customer", plain["customer_id"])
        position = plain.pop("position")
        del clean["position"]
        contents[position] = (canonical_json(clean).decode(), canonical_json(plain).decode())
    return contents
