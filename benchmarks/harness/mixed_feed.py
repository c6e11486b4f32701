"""A feed of every kind of file and a database, in which much is wrong: bad rows, repeats, late and amended events.

Interactions come as JSON Lines (with predictions) and from SQLite, corrections as CSV, escalations as Parquet. Sources
are read in that order, the database last, so that corrections and escalations of its interactions wait for them.
"""

import csv
import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

_START = datetime(2024, 3, 1, 9, tzinfo=UTC)
_LABELS = ("bill_higher", "refund_status", "cancel_contract")
_BAD_SHARE, _AGAIN_SHARE = 0.05, 0.1
_FILES = 3


def write_feed(home: Path, database: Path, *, rows: int, rng: np.random.Generator) -> None:
    """Fill the inbox of ``home`` and ``database``, and point the home's sources.yaml at them.

    Args:
        home: a home that was made and has collected nothing.
        database: where the SQLite file goes; outside of the home, which may be copied.
        rows: interactions, half of them in files and half in the database; a third as many of the other events.
        rng: the only source of chance.
    """
    known = [_interaction(number, rng) for number in range(rows)]
    in_files, in_database = known[: rows // 2], known[rows // 2 :]
    _write_lines(home / "inbox" / "interactions", in_files, rng)
    _write_database(database, in_database, rng)
    ids = [row["interaction_id"] for row in known] + ["never-came-1", "never-came-2"]
    _write_corrections(home / "inbox" / "corrections", _corrections(ids, rows // 3, rng))
    _write_escalations(home / "inbox" / "escalations", _escalations(ids, rows // 3, rng))
    sources = {"schema_version": 2, "sources": _sources(database)}
    (home / "configs" / "sources.yaml").write_text(yaml.safe_dump(sources, sort_keys=False), encoding="utf-8")


def _sources(database: Path) -> list[dict[str, Any]]:
    columns = (
        "interaction_id",
        "conversation_id",
        "turn",
        "occurred_at",
        "updated_at",
        "customer_id",
        "text",
        "handled_by",
    )
    said = {column: f"said.{column}" for column in ("label", "confidence", "model_version")}
    said_of = [{"task": "intent", "columns": {name: {"from": path, "optional": True} for name, path in said.items()}}]
    plain = {column: column for column in columns}
    lines = {"table": "interactions", "columns": plain, "predictions": said_of}
    stored = {"kind": "sql", "url": f"sqlite:///{database}", "table": "messages", "cursor": "changed", "overlap": 0}
    return [
        {"name": "lines", "kind": "files", "path": "inbox/interactions/*.jsonl", "maps": [lines]},
        {"name": "sheets", "kind": "files", "path": "inbox/corrections/*.csv", "maps": [{"table": "corrections"}]},
        {"name": "exports", "kind": "files", "path": "inbox/escalations/*.parquet", "maps": [{"table": "escalations"}]},
        {"name": "database", **stored, "maps": [{"table": "interactions", "columns": plain}]},
    ]


def _interaction(number: int, rng: np.random.Generator) -> dict[str, Any]:
    at = _START + timedelta(minutes=number)
    return {
        "interaction_id": f"i{number}",
        "conversation_id": f"c{number // 2}",
        "turn": number % 2,
        "occurred_at": at.isoformat(),
        "updated_at": at.isoformat(),
        "customer_id": f"customer-{rng.integers(100)}",
        "text": f"Message {number}: write to person{number}@example.com, please",
        "handled_by": str(rng.choice(["ai", "agent"])),
    }


def _amend(row: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return a row that comes again: as it was, newer, or older than it was."""
    hours = int(rng.choice([0, 5, -5]))
    moved = datetime.fromisoformat(row["updated_at"]) + timedelta(hours=hours)
    return {**row, "updated_at": moved.isoformat(), "text": row["text"] + (f" ({hours:+} h)" if hours else "")}


def _spoil(row: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    faults = ({"occurred_at": "01/03/2024 09:00"}, {"handled_by": "robot"}, {"text": ""}, {"turn": -1})
    return {**row, "interaction_id": f"bad-{row['interaction_id']}", **faults[int(rng.integers(len(faults)))]}


def _arriving(rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return ``rows`` out of order, some of them spoilt copies, some twice."""
    again = [_amend(row, rng) for row in rows if rng.random() < _AGAIN_SHARE]
    bad = [_spoil(row, rng) for row in rows if rng.random() < _BAD_SHARE]
    arriving = [*rows, *again, *bad]
    return [arriving[place] for place in rng.permutation(len(arriving))]


def _write_lines(folder: Path, rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> None:
    arriving = _arriving(rows, rng)
    for row in arriving:
        if rng.random() < 0.5:
            confidence = float(round(rng.random() * 1.03, 3))  # some above 1
            row["said"] = {"label": str(rng.choice(_LABELS)), "confidence": confidence, "model_version": "old-1"}
    for number in range(_FILES):
        lines = [json.dumps(row).encode() for row in arriving[number::_FILES]]
        lines += [b'{"interaction_id": "cut', b"\xff\xfe not utf-8", b"[1, 2]"]
        (folder / f"part-{number}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def _write_database(path: Path, rows: Sequence[dict[str, Any]], rng: np.random.Generator) -> None:
    arriving = _arriving(rows, rng)
    with sqlite3.connect(path) as connection:
        names = ", ".join(arriving[0])
        connection.execute(f"create table messages ({names}, changed integer)")
        for number, row in enumerate(arriving):
            values = [*row.values(), None if number % 40 == 39 else number // 3]
            marks = ", ".join("?" * len(values))
            connection.execute(f"insert into messages values ({marks})", values)  # noqa: S608
        connection.execute("insert into messages (interaction_id, text, changed) values ('x', cast(x'ff' as text), 1)")
    connection.close()


def _corrections(ids: Sequence[str], count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    made = []
    for number in range(count):
        at = _START + timedelta(days=30, minutes=int(rng.integers(10_000)))
        label = "no_such_label" if rng.random() < _BAD_SHARE else str(rng.choice(_LABELS))
        made.append(
            {
                "correction_id": f"k{rng.integers(count)}",  # some come again, newer or older
                "interaction_id": str(rng.choice(ids[-2:] if number % 25 == 0 else ids)),
                "task": "intent",
                "label": label,
                "agent_id": f"agent{number % 5}",
                "corrected_at": at.isoformat(),
                "reason": 'said "no", then\nleft' if number % 10 == 0 else "",
            }
        )
    return made


def _write_corrections(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    for part in range(2):
        with (folder / f"part-{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows[part::2])
            file.write("ragged,row\r\n")


def _escalations(ids: Sequence[str], count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    made = []
    for number in range(count):
        at = _START + timedelta(days=20, minutes=int(rng.integers(10_000)))
        made.append(
            {
                "escalation_id": f"e{rng.integers(count)}",
                "conversation_id": f"c{number}",
                "interaction_id": str(rng.choice(ids[-2:] if number % 25 == 0 else ids)),
                "escalated_at": at,
                "trigger": "handoff" if rng.random() > _BAD_SHARE else "nobody",
                "csat": int(rng.integers(1, 6)) if rng.random() > _BAD_SHARE else 9,
                "closed_at": at + timedelta(hours=int(rng.integers(-1, 48))),
            }
        )
    return made


def _write_escalations(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    for part in range(2):
        pl.DataFrame(rows[part::2]).write_parquet(folder / f"part-{part}.parquet")
