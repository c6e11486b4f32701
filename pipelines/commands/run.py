"""``cxloop run``: one job, here and now."""

import re
import threading
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

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


_NEXT = {
    Job.COLLECT: ("`cxloop run review` chooses what a person should read and sends it to Label Studio",),
    Job.REVIEW: (
        "`cxloop up`, label in Label Studio, and `cxloop run review` again fetches the answers",
        "`cxloop run retrain` where enough labels have settled",
    ),
    Job.RETRAIN: ("`cxloop status` shows the challenger, if there is one, and the command that promotes it",),
    Job.RECONCILE: ("`cxloop status`",),
    Job.MAINTAIN: ("`cxloop status`",),
}
_LOOK_SECONDS = 0.5
_DIGEST_LENGTH = 12
_FACT_LENGTH = 60


def run(
    job: Annotated[Job, typer.Argument(help="Which job.", show_choices=True)],
    home: HomeOption = None,
) -> None:
    """Run one job here and now; it stands among the runs on Dagster's page.

    collect takes in what lies in the inbox. review fetches answers, settles labels and sends the next cases out.
    retrain trains models and judges them. reconcile puts right a registry that was changed by hand. maintain compacts
    the tables. Every job can be stopped at any point and run again.
    """
    from assets.settings import load_settings
    from pipelines.running import Runner, open_instance, told_when_full
    from pipelines.terminal import console, say, say_next

    folder = open_home(home)
    settings = load_settings(folder.configs)
    with (
        told_when_full(folder),
        folder.lock(),
        open_instance(folder) as instance,
        console(stderr=True).status(f"{job}: starting") as shown,
        _desk(job, folder, settings, shown),
        _Watch(job, instance, shown),
    ):
        done = Runner(folder, instance).run(f"{job}_job")
    for asset, facts in _facts(done):
        say(f"{asset:<24} {facts}")
    say_next(*_NEXT[job])


def _desk(job: Job, home: "Home", settings: "Settings", shown: "Status") -> AbstractContextManager[object]:
    """Return what keeps a Label Studio running for a job that needs one, where the settings place none elsewhere."""
    from pipelines.services import embedded_label_studio

    if job is not Job.REVIEW or settings.services.label_studio.url:
        return nullcontext()
    return embedded_label_studio(home, port=None, tell=lambda line: shown.update(f"{job}: {line}"))


class _Watch:
    """Shows the steps of the run that began last, for as long as the block lasts."""

    def __init__(self, job: Job, instance: "dg.DagsterInstance", shown: "Status") -> None:
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
            runs = self._instance.get_runs(limit=1)
            steps = [found.step_key for found in self._instance.get_run_step_stats(runs[0].run_id)] if runs else []
            if steps:
                self._shown.update(f"{self._job}: {steps[-1]}")


def _facts(done: "dg.ExecuteInProcessResult") -> list[tuple[str, str]]:
    """Return what each asset said of what it made: its name and its figures; longer texts stand on Dagster's page."""
    events = (event for event in done.all_events if event.is_step_materialization)
    made = [event.step_materialization_data.materialization for event in events]
    return [
        (
            asset.asset_key.to_user_string(),
            ", ".join(
                f"{name.replace('_', ' ')} {fact}"
                for name, value in asset.metadata.items()
                if (fact := _brief(value.value))
            ),
        )
        for asset in made
    ]


def _brief(value: object) -> str:
    """Return a figure or a word in a few characters, "" where that cannot be done."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    if re.fullmatch(r"[0-9a-f]{32,}", text):
        return text[:_DIGEST_LENGTH]
    return text if len(text) <= _FACT_LENGTH and "\n" not in text else ""
