"""Corrections to store, and what of them is found on disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable

from labeling.delta import Tables
from labeling.tables import CORRECTIONS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANARY = "canary-7731"


def correction(name: str, *, age: int = 0, label: str | None = None) -> dict:
    """A correction whose content follows from its id and age, as that of a real event does."""
    at = NOW + timedelta(minutes=age)
    return {"correction_id": name, "label": label or f"{name} at {age}", "corrected_at": at}


def frame(*rows: dict) -> pl.DataFrame:
    return CORRECTIONS.frame(list(rows))


def stored(tables: Tables) -> list[dict]:
    return tables.read(CORRECTIONS).sort("correction_id").to_dicts()


def places(tables: Tables) -> list[Path]:
    """The files of the corrections as of now."""
    return [Path(file) for file in DeltaTable(tables.root / "corrections").file_uris()]


def traces(folder: Path) -> list[str]:
    """The files under ``folder`` that hold the canary: as they are, or in any column, or in a file's own statistics."""
    found = []
    for file in sorted(place for place in folder.rglob("*") if place.is_file()):
        held = file.read_bytes()
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as parquet:
                held += parquet.read().to_pandas().to_json(default_handler=str).encode()
        if CANARY.encode() in held:
            found.append(file.name)
    return found
