"""Texts that people labelled before cxloop came, and how to read them from a CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from labeling.errors import SourceError

UNKNOWN_ANNOTATOR: Final = "import"
"""Who gave labels of which it is not known who gave them."""


@dataclass(frozen=True)
class LabelledText:
    """One text and what one person said of it.

    ``key`` names the text where it came from; ``labels`` maps task to label as it was written there.
    """

    key: str
    text: str
    labels: Mapping[str, str]
    annotator_id: str
    answered_at: datetime


@dataclass(frozen=True)
class CsvColumns:
    """Which column holds the text, and which one holds the labels of each task."""

    text: str
    tasks: Mapping[str, str]


def find_columns(path: Path, *, text: str, tasks: Mapping[str, str]) -> CsvColumns:
    """Return the columns to read: ``tasks`` where given, else those called intent and sentiment, else label as intent.

    Raises:
        SourceError: the file cannot be read, or lacks a column; names those that it has.
    """
    with _reading(path) as lines:
        header = next(csv.reader(lines), [])
    found = dict(tasks) or {name: name for name in ("intent", "sentiment") if name in header}
    if not found and "label" in header:
        found = {"intent": "label"}
    missing = [name for name in (text, *found.values()) if name not in header]
    if missing or not found:
        needed = ", ".join(missing) or "of labels"
        raise SourceError(
            f"{path} needs the columns {needed}, found {', '.join(header) or 'none'}: "
            "name yours with --text-column COLUMN and --task TASK=COLUMN"
        )
    return CsvColumns(text, found)


def read_labelled_csv(path: Path, columns: CsvColumns, *, now: datetime) -> list[LabelledText]:
    """Return the labelled rows of a CSV with a header; rows without a text or without any label are left out.

    Raises:
        SourceError: the file cannot be read as CSV in UTF-8.
    """
    with _reading(path) as lines:
        rows = enumerate(csv.DictReader(lines, strict=True), 1)
        return [labelled for number, row in rows if (labelled := _labelled(number, row, columns, now))]


def _labelled(number: int, row: Mapping[str, str | None], columns: CsvColumns, now: datetime) -> LabelledText | None:
    text = (row[columns.text] or "").strip()
    labels = {task: label for task, column in columns.tasks.items() if (label := (row[column] or "").strip())}
    return LabelledText(str(number), text, labels, UNKNOWN_ANNOTATOR, now) if text and labels else None


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except FileNotFoundError:
        raise SourceError(f"{path} is needed, and there is no such file: check the path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"{path} cannot be read as CSV in UTF-8 ({type(error).__name__}): "
            "save it as UTF-8, comma-separated, with a header line"
        ) from error


def count_tasks(rows: Sequence[LabelledText]) -> dict[str, int]:
    """Return how many labels each task has, in the order in which the tasks are met."""
    counts: dict[str, int] = {}
    for row in rows:
        for task in row.labels:
            counts[task] = counts.get(task, 0) + 1
    return counts
