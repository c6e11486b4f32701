"""The label-quality report: what the tables say of the labels, and the pages for the reviewer and each annotator."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from assets.review_plots import render_ages, render_agreement, render_days, render_reasons, waiting_cases
from labeling import tables as t
from labeling.delta import Tables
from labeling.digests import keyed_digest
from labeling.quality.agreement import Agreement, bound_agreement, count_mixed_up
from labeling.settling.anchoring import measure_anchoring
from labeling.settling.consensus import newest_answers
from labeling.taxonomy import Taxonomy

FOLDER: Final = "label-quality"
PAGE: Final = "reviewers.html"
_PEOPLE: Final = "people"
_PAIRS: Final = 15
_ERRORS: Final = 50
_NOTES: Final = 50
_SUSPECT: Final = 0.5
"""From this suspicion on, a label is more likely wrong than right."""


@dataclass(frozen=True)
class Person:
    """One annotator: ANNOTATORS rows as ``figures``, own answers against labels as ``differences``, own ``page``."""

    annotator_id: str
    page: str
    figures: Sequence[Mapping[str, Any]]
    differences: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class QualityReport:
    """Everything on the reviewers' page; ``people`` in the order of the alphabet, never ranked."""

    agreements: Sequence[Agreement]
    mixed: Mapping[str, Sequence[Mapping[str, Any]]]
    errors: Sequence[Mapping[str, Any]]
    more_errors: int
    anchoring: Sequence[Mapping[str, Any]]
    gold: Sequence[Mapping[str, Any]]
    notes: Sequence[Mapping[str, Any]]
    people: Sequence[Person]
    waiting: int


def read_quality(tables: Tables, *, taxonomy: Taxonomy, key: bytes, rng: np.random.Generator) -> QualityReport:
    """Read what the tables say of the quality of the labels.

    Args:
        tables: the loop's tables; texts come from INTERACTIONS, redacted as they are stored.
        taxonomy: what labels of older versions are called now.
        key: the home's key; names each annotator's page.
        rng: draws the bootstrap's samples.
    """
    reviews, labels = (taxonomy.translate(tables.read(table)) for table in (t.REVIEWS, t.LABELS))
    queue = tables.read(t.REVIEW_QUEUE)
    agreements = bound_agreement(reviews, rng=rng)
    asked = reviews["interaction_id"].unique()
    said = tables.read(t.PREDICTIONS, where=pl.col("interaction_id").is_in(asked.implode()))
    predictions = taxonomy.translate(said)
    errors = labels.filter(pl.col("suspicion") >= _SUSPECT)
    return QualityReport(
        agreements=agreements,
        mixed={one.task: count_mixed_up(reviews, task=one.task).head(_PAIRS).to_dicts() for one in agreements},
        errors=_with_texts(tables, errors),
        more_errors=max(0, errors.height - _ERRORS),
        anchoring=measure_anchoring(reviews, predictions, queue).to_dicts(),
        gold=_count_gold(reviews, queue, labels),
        notes=_newest_notes(tables, reviews),
        people=_read_people(tables.read(t.ANNOTATORS), newest_answers(reviews), labels, key),
        waiting=waiting_cases(queue, reviews, tables.read(t.REVIEW_TASKS)).height,
    )


def draw_plots(tables: Tables, agreements: Sequence[Agreement], *, now: datetime) -> dict[str, str]:
    """Return the pictures of the queue and of agreement, SVG by name."""
    queue, reviews = tables.read(t.REVIEW_QUEUE), tables.read(t.REVIEWS)
    waiting = waiting_cases(queue, reviews, tables.read(t.REVIEW_TASKS))
    return {
        "queue_by_reason": render_reasons(waiting),
        "age_of_waiting_cases": render_ages(waiting, now=now),
        "answers_a_day": render_days(reviews, now=now),
        "agreement": render_agreement(agreements),
    }


def write_pages(report: QualityReport, plots: Mapping[str, str], folder: Path, *, now: datetime) -> Path:
    """Write the reviewers' page and one page a person into ``folder``; return the former's path.

    Pages need nothing else and no script. Only the owner of the home can read them; those written before are replaced,
    so that a text that was erased is on none of them.
    """
    drop_pages(folder)
    (folder / _PEOPLE).mkdir(parents=True)
    for part in (folder, folder / _PEOPLE):
        part.chmod(0o700)
    for person in report.people:
        title = f"Answers of {person.annotator_id}"
        write_page(folder / person.page, render("annotator.html.j2", title=title, made_at=now, person=person))
    shown = render("label_quality.html.j2", title="Label quality", made_at=now, report=report, plots=plots.values())
    write_page(folder / PAGE, shown)
    return folder / PAGE


def drop_pages(folder: Path) -> None:
    """Remove every page of ``folder``, because a text on one of them was erased."""
    if folder.exists():
        shutil.rmtree(folder)


def render(template: str, **values: Any) -> str:
    """Return a page as HTML; every value is escaped."""
    from jinja2 import Environment, PackageLoader

    return Environment(loader=PackageLoader("assets", ""), autoescape=True).get_template(template).render(**values)


def write_page(path: Path, page: str) -> None:
    """Write a page that only the owner of the home can read."""
    path.touch(mode=0o600)
    path.write_text(page, encoding="utf-8")


def _with_texts(tables: Tables, errors: pl.DataFrame) -> list[dict[str, Any]]:
    shown = errors.sort(["suspicion", "interaction_id", "task"], descending=[True, False, False]).head(_ERRORS)
    return _join_texts(tables, shown)


def _newest_notes(tables: Tables, reviews: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the newest notes, each with what its writer answered to the first task; nobody is named."""
    noted = reviews.filter(pl.col("note").is_not_null())
    return _join_texts(tables, noted.sort(["answered_at", "review_id"], descending=[True, False]).head(_NOTES))


def _join_texts(tables: Tables, shown: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows whose message is still there, with its ``text``."""
    names = shown["interaction_id"].implode()
    texts = tables.read(t.INTERACTIONS, columns=["interaction_id", "text"], where=pl.col("interaction_id").is_in(names))
    return shown.join(texts, on="interaction_id", maintain_order="left").to_dicts()


def _count_gold(reviews: pl.DataFrame, queue: pl.DataFrame, labels: pl.DataFrame) -> list[dict[str, Any]]:
    """Return, by task, how many answers to gold cases there are and how many say what the label says."""
    gold = queue.filter(pl.col("gold").fill_null(value=False)).select("case_id")
    answers = newest_answers(reviews).join(gold, on="case_id", how="semi")
    known = answers.join(labels.select("interaction_id", "task", known="label"), on=["interaction_id", "task"])
    right = (pl.col("label") == pl.col("known")).sum()
    return known.group_by("task").agg(answers=pl.len(), right=right).sort("task").to_dicts()


def _read_people(annotators: pl.DataFrame, answers: pl.DataFrame, labels: pl.DataFrame, key: bytes) -> list[Person]:
    pair = ["interaction_id", "task"]
    shared = answers.filter(pl.len().over(pair) > 1)
    settled = labels.filter(pl.col("source") == "review").select(*pair, settled="label")
    differing = shared.join(settled, on=pair).filter(pl.col("label") != pl.col("settled"))
    counted = differing.group_by("annotator_id", "task", said="label", label="settled").agg(times=pl.len())
    rows = counted.sort(["task", "times", "said", "label"], descending=[False, True, False, False])
    names = sorted(annotators["annotator_id"].drop_nulls().unique(), key=lambda name: (name.casefold(), name))
    return [
        Person(
            name,
            f"{_PEOPLE}/{keyed_digest(key, 'annotator', name)[:20]}.html",
            annotators.filter(pl.col("annotator_id") == name).sort("task").to_dicts(),
            rows.filter(pl.col("annotator_id") == name).to_dicts(),
        )
        for name in names
    ]
