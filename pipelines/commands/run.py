"""``cxloop run``: one job, here and now."""

import re
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    import dagster as dg
    from rich.status import Status

    from assets.settings import Settings
    from labeling.home import Home


class Job(StrEnum):
    """The jobs, which schedules and sensors start as well."""

    COLLECT = "collect"
    REVIEW = "review"
    RETRAIN = "retrain"
    RECONCILE = "reconcile"
    MAINTAIN = "maintain"
    NOTIFY = "notify"


_NEXT = {
    Job.COLLECT: ("`cxloop run review` chooses what a person should read and sends it to Label Studio",),
    Job.REVIEW: (
        "`cxloop up`, label in Label Studio, and `cxloop run review` again fetches the answers",
        "`cxloop run retrain` where enough labels have settled",
    ),
    Job.RETRAIN: ("`cxloop challengers` shows what waits for a person's decision",),
    Job.RECONCILE: ("`cxloop status`",),
    Job.MAINTAIN: ("`cxloop status`",),
    Job.NOTIFY: ("`cxloop status` shows what could not be delivered",),
}
_OPS = {Job.NOTIFY: {"send_notices": {"config": {"retry": True}}}}
"""Who gives the command wants dead letters tried again; the sensor leaves them."""
_REFRESH = {"release_challenger": {"config": {"request": "refresh"}}}
_LOOK_SECONDS = 0.5
_NEWEST = 5
_DIGEST_LENGTH = 12
_FACT_LENGTH = 60


def run(
    job: Annotated[Job, typer.Argument(help="Which job.", show_choices=True)],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="For retrain: the challenger must only be no worse, not better.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Run one job here and now; it stands among the runs on Dagster's page.

    collect takes in what lies in the inbox. review fetches answers, settles labels and sends the next cases out.
    retrain trains models and judges them. reconcile puts right a registry that was changed by hand. maintain compacts
    the tables. notify sends notices, dead letters again. Every job can be stopped at any point and run again.
    """
    from pipelines.terminal import say, say_next

    if refresh and job != Job.RETRAIN:
        raise typer.BadParameter(f"--refresh belongs to retrain, not to {job}: leave it out")
    ops = _REFRESH if refresh else _OPS.get(job)
    for asset, facts in run_here(job, open_home(home), ops=ops).items():
        told = {name.replace("_", " "): _brief(value) for name, value in facts.items()}
        say(f"{asset:<24} {', '.join(f'{name} {fact}' for name, fact in told.items() if fact)}")
    say_next(*_NEXT[job])


def run_here(
    job: str, home: "Home", *, ops: dict[str, Any] | None = None, assets: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Run one job in this process, shown on standard error while it runs; return each asset's facts by name.

    Args:
        job: its name without ``_job``.
        home: whose loop; held for as long as the job runs.
        ops: configuration by op.
        assets: which of its assets to make, all by default.
    """
    from assets.authors import STARTED_BY, name_user
    from assets.settings import load_settings
    from pipelines.running import Runner, facts_of, open_instance, told_when_full
    from pipelines.terminal import console

    settings = load_settings(home.configs)
    with (
        told_when_full(home),
        home.lock(),
        open_instance(home) as instance,
        console(stderr=True).status(f"{job}: starting") as shown,
        _desk(job, home, settings, shown),
        _Watch(job, instance, shown),
    ):
        done = Runner(home, instance).run(f"{job}_job", tags={STARTED_BY: name_user()}, ops=ops, assets=assets)
    return facts_of(done.all_events)


def _desk(job: str, home: "Home", settings: "Settings", shown: "Status") -> AbstractContextManager[object]:
    """Return what keeps a Label Studio running for a job that needs one, where the settings place none elsewhere."""
    from pipelines.services import embedded_label_studio

    if job != Job.REVIEW or settings.services.label_studio.url:
        return nullcontext()
    return embedded_label_studio(home, port=None, tell=lambda line: shown.update(f"{job}: {line}"))


class _Watch:
    """Shows the step of the run that began last, and what it says of its progress, for as long as the block lasts."""

    def __init__(self, job: str, instance: "dg.DagsterInstance", shown: "Status") -> None:
        self._job, self._instance, self._shown = job, instance, shown
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            for run in self._instance.get_runs(limit=1):
                newest = self._instance.get_records_for_run(run.run_id, limit=_NEWEST, ascending=False).records
                self._show([record.event_log_entry for record in newest if record.event_log_entry.step_key])

    def _show(self, entries: "list[dg.EventLogEntry]") -> None:
        """Show the step of the newest of ``entries``, and what a step said last."""
        if entries:
            told = next((entry.user_message for entry in entries if not entry.is_dagster_event), "")
            self._shown.update(f"{self._job}: {entries[0].step_key}{told and f' · {told}'}")


def _brief(value: object) -> str:
    """Return a figure or a word in a few characters, "" for a longer text (it stands on Dagster's page)."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    if re.fullmatch(r"[0-9a-f]{32,}", text):
        return text[:_DIGEST_LENGTH]
    return text if len(text) <= _FACT_LENGTH and "\n" not in text else ""
