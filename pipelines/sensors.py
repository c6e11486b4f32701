"""What starts a job because something happened: labels settled, an alias moved by hand, a notice to send."""

import os
from typing import Final

import dagster as dg
import polars as pl

from assets.lineage import metadata_of
from assets.registry import TRAINING_SETS
from assets.resources import Loop
from assets.sealed_test import release_used
from labeling import tables as t
from labeling.errors import DeskError
from labeling.vocabulary import CANNOT_TELL, SILENCE

ENOUGH_ANSWERS: Final = 25
"""So many answered cases are fetched without waiting for the hour."""


def count_new_labels(loop: Loop, task: str, *, learnt: str) -> int:
    """Return how many labels of ``task`` may train and do not stand, in that form, in the training set ``learnt``."""
    mine = (pl.col("task") == task) & (pl.col("label") != CANNOT_TELL) & (pl.col("source").ne_missing(SILENCE))
    stored = loop.tables.read(t.LABELS, columns=["interaction_id", "task", "label"], where=mine)
    settled = loop.settings.taxonomy.translate(stored).drop("task")
    columns = ["interaction_id", "conversation_id", "occurred_at", "lot", "part"]
    lots = release_used(loop.tables.read(t.INTERACTIONS, columns=columns), loop).filter(pl.col("lot") == "open")
    frozen = loop.tables.read(
        t.TRAINING_SETS, columns=["interaction_id", "label"], where=pl.col("training_set_id") == learnt
    )
    return settled.join(lots, on="interaction_id").join(frozen, on=["interaction_id", "label"], how="anti").height


@dg.sensor(
    job_name="retrain_job",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a retrain when enough labels have settled that no judged release has learnt from.",
)
def labels_settled_sensor(context: dg.SensorEvaluationContext, loop: Loop) -> dg.SensorResult | dg.SkipReason:
    """Ask for one retrain each time enough labels have settled.

    A retrain that was stopped between its training sets and its release has taught nothing: it is asked for again.
    """
    needed = loop.settings.services.retrain.min_new_labels
    learnt = metadata_of(context.instance, "release_challenger").get(TRAINING_SETS, {})
    found = {
        task: count_new_labels(loop, task, learnt=learnt.get(task, "")) for task in loop.settings.taxonomy.task_names
    }
    told = ", ".join(f"{count} {task}" for task, count in found.items())
    if max(found.values()) < needed:
        return dg.SkipReason(f"{needed} new labels of one task are needed, found {told}")
    state = f"labels-{loop.tables.version(t.LABELS)}"
    return dg.SensorResult([dg.RunRequest(run_key=state, tags={"cxloop/new_labels": told})])


@dg.sensor(
    job_name="review_job",
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a review when many cases were answered since the last one, or none waits any more.",
)
def answers_waiting_sensor(context: dg.SensorEvaluationContext, loop: Loop) -> dg.SensorResult | dg.SkipReason:
    """Ask for a review before its hour where enough answers stand unfetched, or the last case was answered.

    One number is asked of the desk: how many cases wait now. What is fewer than after the last review was answered.
    """
    if _is_running(context.instance, "review_job"):
        return dg.SkipReason("a review is under way")
    made = metadata_of(context.instance, "review_tasks")
    then = int(made.get("waiting") or 0)
    if not then:
        return dg.SkipReason("no case waited after the last review")
    try:
        now = _count_waiting(loop)
    except DeskError:
        return dg.SkipReason("the desk does not answer")
    answered = then - now
    if now and answered < ENOUGH_ANSWERS:
        return dg.SkipReason(f"{ENOUGH_ANSWERS} answered cases are needed, found {answered}; {now} wait")
    return dg.SensorResult(
        [dg.RunRequest(run_key=_last_made(context.instance), tags={"cxloop/answered": str(answered)})]
    )


def _is_running(instance: dg.DagsterInstance, job: str) -> bool:
    """Say whether ``job`` runs or is about to: two reviews at once would send the same cases."""
    status = dg.DagsterRunStatus
    open_ones = [status.QUEUED, status.NOT_STARTED, status.STARTING, status.STARTED]
    return bool(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=open_ones), limit=1))


def _count_waiting(loop: Loop) -> int:
    desk = loop.open_desk()
    desk.open_project(loop.settings.taxonomy)
    return desk.count_waiting()


def _last_made(instance: dg.DagsterInstance) -> str:
    """Return a name of the last review, so that one review is asked for once after each."""
    event = instance.get_latest_materialization_event(dg.AssetKey("review_tasks"))
    return f"after-{event.run_id}-{event.timestamp:.0f}" if event else "first"


@dg.sensor(
    job_name="reconcile_job",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Raises the alarm when the registry is not what the ledger says; asks for a reconciliation.",
)
def aliases_sensor(context: dg.SensorEvaluationContext, loop: Loop) -> dg.SensorResult | dg.SkipReason:
    """Record what was moved by hand; ask for a reconciliation where that, or a decision, can be completed.

    By ``registry.put_right`` of settings.yaml, what was moved is put right or only recorded.
    """
    from training.registry.alarm import watch_registry
    from training.registry.standing import read_standing

    ledger = loop.open_ledger()
    wrong = watch_registry(ledger, loop.open_registry(), now=loop.now())
    told = "; ".join(f"{found.where}: {found.told}" for found in wrong)
    is_mended = loop.settings.services.registry.put_right and any(found.can_be_put_right for found in wrong)
    if not is_mended and not read_standing(ledger.entries()).unsettled:
        return dg.SkipReason(f"alarm, nothing is put right: {told}" if wrong else "registry and ledger agree")
    if _is_running(context.instance, "reconcile_job"):
        return dg.SkipReason("a reconciliation is under way")
    return dg.SensorResult([dg.RunRequest(tags={"cxloop/apart": told or "a decision half applied"})])


@dg.sensor(
    job_name="notify_job",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for notices to be sent when the ledger holds some that a channel has not got yet.",
)
def notices_sensor(context: dg.SensorEvaluationContext, loop: Loop) -> dg.SensorResult | dg.SkipReason:
    """Ask for notices to be sent where some are due."""
    from assets.notifying import now
    from serving.outbox import is_due

    config = loop.settings.notices
    if not config.channels:
        return dg.SkipReason("notices.yaml names no channel")
    if _is_running(context.instance, "notify_job"):
        return dg.SkipReason("notices are being sent")
    if not is_due(loop.open_ledger().entries(), config, loop.tables, environment=os.environ, now=now):
        return dg.SkipReason("no notice is due")
    return dg.SensorResult([dg.RunRequest()])
