"""A feed from any labelled file: CSV, JSON Lines, Parquet, or a data set of the Hugging Face hub."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import polars as pl

from labeling.errors import ConfigError
from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE
from pipelines.replay.chance import chance
from pipelines.replay.feed import Feed, Message, Week, draw_opening, week_bounds

_SENTIMENTS: Final = ("negative", "neutral", "positive")
_BEYOND: Final = (NONE_OF_THESE, "oos", "out_of_scope")
"""Labels that say that a text is outside every label."""
HELD_OUT: Final = ("test", "validation", "valid", "dev", "eval")
"""Splits that are never sent as messages."""
_READERS: Final = {".csv": "csv", ".jsonl": "lines", ".ndjson": "lines", ".parquet": "parquet"}
_LAYOUTS: Final = {
    "csv": "a row of names first, commas between columns, and quotes around a text that holds one",
    "lines": "one JSON object a line, with the same names in each",
    "parquet": "a whole Parquet file",
}


@dataclass(frozen=True)
class LabelledText:
    """One row: ``label`` is one of the file's names, made safe, or NONE_OF_THESE; ``ratings`` in [-4, 4], or none."""

    text: str
    label: str
    split: str
    ratings: tuple[float, ...] = ()


@dataclass(frozen=True)
class LabelledFile:
    """Every row of one source, in its order, and what its labels are called there (``titles``, by safe name)."""

    task: str
    rows: tuple[LabelledText, ...]
    titles: Mapping[str, str]


@dataclass(frozen=True)
class FileRates:
    """How a file is played: ``history`` rows of each file first, then ``weekly`` rows of each a week.

    ``weekly`` None spreads all that is left evenly over the ``weeks``. ``held_out`` is the share of a file without a
    test split that is never sent, so that there is something to measure on.
    """

    weeks: int = 3
    history: int = 500
    weekly: int | None = None
    held_out: float = 0.2


@dataclass
class _Rows:
    """The raw columns of one source."""

    texts: list[str | None]
    labels: list[str | None]
    splits: list[str] = field(default_factory=list)
    ratings: list[tuple[float, ...]] = field(default_factory=list)


def read_labelled(source: str, *, task: str, text_column: str = "text", label_column: str = "label") -> LabelledFile:
    """Read ``source`` as labels of ``task``.

    Needs the columns ``text`` and ``label``; uses ``split`` (rows of test, validation and the like are held out) and
    ``ratings`` (numbers in [-4, 4], a list or joined by ``|``) where they are.

    Args:
        source: a path that ends in .csv, .jsonl, .ndjson or .parquet, or the id of a data set on the hub.
        task: the task that the labels answer.
        text_column: what the column of texts is called, where not text.
        label_column: the same for labels.

    Raises:
        ConfigError: the source is missing, unreadable, lacks a column, or has rows without text or label; says which.
    """
    path = Path(source)
    if path.suffix.lower() in _READERS or path.exists():
        frame, name = _read_file(path), path.name
    else:
        frame, name = _read_hub(source), source
    rows = _columns(_rename(frame, name, {text_column: "text", label_column: "label"}), name)
    _require_filled(rows, source)
    names = _safe_names(sorted({label for label in rows.labels if label is not None}))
    found = [names[label] for label in rows.labels if label is not None]
    is_rated = set(found) <= set(_SENTIMENTS)
    texts = tuple(
        LabelledText(text or "", label, split, ratings if is_rated else ())
        for text, label, split, ratings in zip(rows.texts, found, rows.splits, rows.ratings, strict=True)
    )
    titles = {safe: raw for raw, safe in names.items() if safe not in (NONE_OF_THESE, CANNOT_TELL)}
    if len(titles) < 2:
        raise ConfigError([f"{source}: label: needs two different labels at least, found {len(titles)}"])
    return LabelledFile(task, texts, titles)


def derive_taxonomy(files: Sequence[LabelledFile]) -> Taxonomy:
    """Return the taxonomy of ``files``: a task each, its labels named and grouped as in the file.

    A task of the three sentiments does not reject; any other may be answered "none of these", because texts of
    another file, or of the world, belong to none of its labels.
    """
    return Taxonomy(schema_version=1, version=1, tasks=tuple(_derive_task(file) for file in files))


def play_files(files: Sequence[LabelledFile], *, rates: FileRates, seed: int, start: datetime) -> Feed:
    """Play ``files`` as messages: a history, then weeks, in an order drawn by ``seed``; every row once at most.

    A row's truth for another file's task is NONE_OF_THESE where that task rejects, else CANNOT_TELL. The rows of a
    file's test split, or a share of ``rates.held_out`` drawn by ``seed`` where it has none, are never sent: they are
    in ``held_out``, with the truth of their own task alone.

    Raises:
        ConfigError: a file has too few rows for the history and the weeks.
    """
    taxonomy = derive_taxonomy(files)
    sealed = [_hold_out(file, rates.held_out, seed) for file in files]
    dealt = [_deal(file, rates, rows, seed) for file, rows in zip(files, sealed, strict=True)]
    weeks = [
        _play_week(
            number, [(file, rows[number]) for file, rows in zip(files, dealt, strict=True)], taxonomy, seed, start
        )
        for number in range(rates.weeks + 1)
    ]
    held_out = tuple(
        _message(file, row, derive_taxonomy([file]), start)
        for file, rows in zip(files, sealed, strict=True)
        for row in sorted(rows)
    )
    return Feed(history=weeks[0], weeks=tuple(weeks[1:]), held_out=held_out)


def _hold_out(file: LabelledFile, share: float, seed: int) -> set[int]:
    """Return the rows of the file's own test split, or ``share`` of all rows where it has none."""
    own = {row for row, held in enumerate(file.rows) if held.split in HELD_OUT}
    drawn = chance(seed, "held out", file.task).permutation(len(file.rows))[: int(share * len(file.rows))]
    return own or {int(row) for row in drawn}


def _deal(file: LabelledFile, rates: FileRates, sealed: set[int], seed: int) -> list[list[int]]:
    """Return the rows of the history and of each week, none twice, none of ``sealed``."""
    rows = [row for row in range(len(file.rows)) if row not in sealed]
    order = [rows[place] for place in chance(seed, "deal", file.task).permutation(len(rows))]
    left = len(order) - rates.history
    weekly = max(left // rates.weeks, 0) if rates.weekly is None else rates.weekly
    if weekly < 1 or left < weekly * rates.weeks:
        needed = rates.history + max(weekly, 1) * rates.weeks
        raise ConfigError(
            [f"{file.task}: needs {needed} labelled texts outside its test split, found {len(order)}: play fewer"]
        )
    cuts = [0, *(rates.history + weekly * week for week in range(rates.weeks + 1))]
    return [order[begin:end] for begin, end in pairwise(cuts)]


def _play_week(
    number: int, dealt: Sequence[tuple[LabelledFile, list[int]]], taxonomy: Taxonomy, seed: int, start: datetime
) -> Week:
    starts_at, ends_at = week_bounds(start, number)
    messages = [
        _message(file, row, taxonomy, draw_opening(chance(seed, "opening", file.task, str(row)), starts_at))
        for file, rows in dealt
        for row in rows
    ]
    messages.sort(key=lambda message: (message.occurred_at, message.interaction_id))
    return Week(number, starts_at, ends_at, tuple(messages))


def _message(file: LabelledFile, row: int, taxonomy: Taxonomy, at: datetime) -> Message:
    held = file.rows[row]
    name = f"{file.task}-{row:06d}"
    event = {
        "interaction_id": name,
        "conversation_id": name,
        "turn": 1,
        "occurred_at": at.isoformat(),
        "channel": "file",
        "language": "en",
        "customer_id": name,
        "segment": "file",
        "text": held.text,
        "handled_by": "ai",
    }
    truth = {task.name: NONE_OF_THESE if task.rejects else CANNOT_TELL for task in taxonomy.tasks}
    return Message(
        event=event, truth=truth | {file.task: held.label}, ratings={file.task: held.ratings} if held.ratings else {}
    )


def _derive_task(file: LabelledFile) -> Task:
    is_sentiment = set(file.titles) <= set(_SENTIMENTS)
    names = [name for name in _SENTIMENTS if name in file.titles] if is_sentiment else sorted(file.titles)
    domains = _domains(names)
    return Task(
        name=file.task,
        question=f"Which {file.task} does the text show?",
        labels=tuple(Label(name=name, title=_title(file.titles[name]), domain=domains[name]) for name in names),
        rejects=not is_sentiment,
    )


def _domains(names: Sequence[str]) -> dict[str, str]:
    """Group names by the first word that two of them at least share; all in one group where that says nothing."""
    words = {name: name.split("_")[0] for name in names}
    shared = {word for word, times in Counter(words.values()).items() if times > 1}
    if len(shared) < 2:
        return dict.fromkeys(names, "General")
    return {name: word.capitalize()[:40] if word in shared else "Other" for name, word in words.items()}


def _title(raw: str) -> str:
    return " ".join(raw.replace("_", " ").split())[:80].capitalize() or "Unnamed"


def _safe_names(raw: Sequence[str]) -> dict[str, str]:
    """Return a name that the taxonomy allows for every label, none twice."""
    names: dict[str, str] = {}
    for label in raw:
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label)
        name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:56].rstrip("_")
        if name in _BEYOND:
            names[label] = NONE_OF_THESE
            continue
        name = name if re.match(r"[a-z]", name) else f"label_{name}".rstrip("_")
        taken = set(names.values())
        repeats = (f"{name}_{number}" for number in range(2, len(raw) + 2))
        names[label] = name if name not in taken or name == CANNOT_TELL else next(r for r in repeats if r not in taken)
    return names


def _read_file(path: Path) -> pl.DataFrame:
    kind = _READERS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError([f"{path.name}: needs to end in {', '.join(_READERS)}, found {path.suffix or 'no ending'}"])
    try:
        if kind == "csv":
            return pl.read_csv(path, infer_schema=False)
        return pl.read_ndjson(path) if kind == "lines" else pl.read_parquet(path)
    except FileNotFoundError:
        raise ConfigError([f"{path.name}: needed, but there is no such file in {path.absolute().parent}"]) from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        fault = f"{path.name}: cannot be read as {kind} in UTF-8 ({type(error).__name__}): needs {_LAYOUTS[kind]}"
        raise ConfigError([fault]) from None


def _read_hub(source: str) -> pl.DataFrame:
    """Return a hub data set's rows with names for labels; every split in one frame."""
    from datasets import ClassLabel, load_dataset
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # without a network it would tell of each of its retries
    try:
        splits = load_dataset(source)
    except Exception as error:  # the hub's client raises many kinds, and none of them is ours
        fault = f"{source}: no such file here, and the hub does not give it ({type(error).__name__})"
        raise ConfigError(
            [f"{fault}: check the name and the network, or pass a .csv, .jsonl or .parquet file"]
        ) from error
    frames: list[pl.DataFrame] = []
    for split, rows in dict(splits).items():
        frame = pl.DataFrame({name: rows[name] for name in ("text", "label", "ratings") if name in rows.column_names})
        kind = rows.features.get("label")
        if isinstance(kind, ClassLabel):
            frame = frame.with_columns(pl.Series("label", [kind.int2str(int(number)) for number in frame["label"]]))
        frames.append(frame.with_columns(split=pl.lit(str(split))))
    return pl.concat(frames, how="diagonal_relaxed")


def _rename(frame: pl.DataFrame, name: str, wanted: Mapping[str, str]) -> pl.DataFrame:
    """Return ``frame`` with the columns of ``wanted`` under their new names, whatever had those before dropped."""
    changed = {old: new for old, new in wanted.items() if old != new}
    lacking = [column for column in changed if column not in frame.columns]
    if lacking:
        found = ", ".join(frame.columns[:12])
        raise ConfigError([f"{name}: column {column}: needed, found {found}: name another" for column in lacking])
    return frame.drop([new for new in changed.values() if new in frame.columns]).rename(changed)


def _columns(frame: pl.DataFrame, name: str) -> _Rows:
    lacking = [column for column in ("text", "label") if column not in frame.columns]
    if lacking:
        found = ", ".join(frame.columns[:12])
        raise ConfigError([f"{name}: column {column}: needed, found {found}: rename one" for column in lacking])
    texts, labels = (frame[column].cast(pl.String).to_list() for column in ("text", "label"))
    splits = (
        frame["split"].cast(pl.String).fill_null("").str.to_lowercase().to_list() if "split" in frame.columns else []
    )
    raw = frame["ratings"].to_list() if "ratings" in frame.columns else []
    try:
        ratings = [_parse_ratings(value) for value in raw]
    except ValueError:
        raise ConfigError([f"{name}: column ratings: needs numbers joined by |, found something else"]) from None
    return _Rows(texts, labels, splits or [""] * len(texts), ratings or [()] * len(texts))


def _parse_ratings(value: str | Sequence[float] | None) -> tuple[float, ...]:
    parts = value.split("|") if isinstance(value, str) else value
    return tuple(float(part) for part in parts or () if part != "")


def _require_filled(rows: _Rows, source: str) -> None:
    if not rows.texts:
        raise ConfigError([f"{source}: needs labelled texts, found no rows"])
    empty = [
        number
        for number, (text, label) in enumerate(zip(rows.texts, rows.labels, strict=True), start=1)
        if not (text or "").strip() or not (label or "").strip()
    ]
    if empty:
        fault = f"{source}: {len(empty)} rows have no text or no label, the first is row {empty[0]}"
        raise ConfigError([f"{fault}: fill or remove them"])
