"""The desk: cases go out to people, their answers come back."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from assets.feedback import collected, take_in
from assets.resources import Loop
from assets.review import live_champion
from assets.selecting import review_queue
from labeling import tables as t
from labeling.desk.asking import MOST_SKIPS, count_answers, share_unanswered
from labeling.desk.cases import build_cases
from labeling.desk.fetching import fetch_answers
from labeling.desk.sending import Dispatch
from labeling.selection.stale import stale_cases
from labeling.sources.redaction import redact_texts


@dg.asset(group_name="review", kinds={"deltalake", "labelstudio"}, deps=["interactions"])
def reviews(loop: Loop) -> dg.MaterializeResult:
    """Answers that people gave: fetched from the desk since the last time, and taken in from files."""
    imported = take_in(loop, t.REVIEWS)
    from_files = collected(imported.tables[t.REVIEWS.name], imported.unread)
    if loop.tables.read(t.REVIEW_TASKS, columns=["case_id"]).is_empty():
        return dg.MaterializeResult(metadata=from_files)
    desk, taxonomy = loop.open_desk(), loop.settings.taxonomy
    desk.open_project(taxonomy)
    fetched = fetch_answers(loop.tables, desk, taxonomy=taxonomy, redact=_redact(loop))
    merged = loop.tables.merge(t.REVIEWS, fetched.rows)
    return dg.MaterializeResult(
        metadata={
            **from_files,
            "answers": merged.inserted,
            "amended": merged.updated,
            "skipped": fetched.skipped,
            "refused": fetched.refused,
            "withdrawn": fetched.withdrawn,
        }
    )


@dg.asset(group_name="review", kinds={"deltalake", "labelstudio"}, deps=[review_queue])
def review_tasks(loop: Loop) -> dg.MaterializeResult:
    """Where each case stands at the desk: stale ones come off, disputed ones are asked again, new ones go out."""
    if loop.tables.read(t.REVIEW_QUEUE, columns=["case_id"]).is_empty():
        return dg.MaterializeResult(metadata={"sent": 0, "waiting": 0})
    desk, taxonomy = loop.open_desk(), loop.settings.taxonomy
    dispatch = Dispatch(loop.tables, desk, desk.open_project(taxonomy), loop.now())
    lost = dispatch.recount()
    champion = live_champion(loop)
    withdrawn = dispatch.withdraw(_stale(loop, champion))
    third = dispatch.ask_again(taxonomy)
    cases = build_cases(loop.tables, project=dispatch.project, champion=champion, topic=taxonomy.task_names[0])
    sent = dispatch.send(cases)
    return dg.MaterializeResult(
        metadata={
            "sent": sent,
            "waiting": desk.count_waiting(),
            **_answers(loop),
            "withdrawn": withdrawn,
            "sent_again": lost,
            "third_opinions": third,
            "project": dispatch.project,
        }
    )


def _redact(loop: Loop) -> Callable[[str], str]:
    """Return what takes personal data out of one text, by the home's rules."""
    return lambda text: redact_texts(pl.Series([text]), loop.settings.redaction).item() or ""


def _stale(loop: Loop, champion: str | None) -> list[str]:
    queue = loop.tables.read(t.REVIEW_QUEUE)
    tasks = loop.tables.read(t.REVIEW_TASKS, columns=["case_id", "state"])
    answers = loop.tables.read(t.REVIEWS, columns=["interaction_id", "case_id"])
    return stale_cases(queue, tasks, answers, champion=champion).to_list()


def _answers(loop: Loop) -> dict[str, int | float]:
    """Return what became of all cases: how many were answered, passed on, and given up."""
    counts = count_answers(loop.tables.read(t.REVIEWS), tasks=())
    passed = counts.filter(pl.col("answers") == 0)
    return {
        "answered": counts.height - passed.height,
        "skipped": passed.filter(pl.col("skips") < MOST_SKIPS).height,
        "non_response": round(share_unanswered(counts), 4),
    }
