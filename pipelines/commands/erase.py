"""``cxloop erase``: a person's data, or single messages, out of everything, with a receipt."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, NoteOption, ReviewerOption, open_home

if TYPE_CHECKING:
    from assets.erasing import Erasure
    from assets.resources import Loop
    from labeling.desk.desk import ReviewDesk
    from labeling.home import Home
    from pipelines.services import Tell

CustomerOption = Annotated[
    list[str] | None, typer.Option("--customer", metavar="ID", help="A customer's id as the source has it; repeatable.")
]
InteractionOption = Annotated[
    list[str] | None, typer.Option("--interaction", metavar="ID", help="An interaction's id; repeatable.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")]
_FILES_SHOWN = 20


def erase(
    *,
    customer: CustomerOption = None,
    interaction: InteractionOption = None,
    reviewer: ReviewerOption = "",
    note: NoteOption = "",
    dry_run: DryRunOption = False,
    home: HomeOption = None,
) -> None:
    """Erase a customer's data, or single interactions, for good.

    Tables, features, Label Studio and the files behind them; what was erased does not come back from any source. Names
    the models that learnt from it, and writes a receipt into the ledger. Can be stopped at any point: the same command
    completes it.
    """
    from assets.erasing import ErasureRequest
    from assets.erasing import erase as erase_all
    from assets.erasing import look as look_only
    from assets.resources import FAKE_DESK, Loop
    from pipelines.running import told_when_full
    from pipelines.terminal import console, say, say_next

    folder = open_home(home)
    loop = Loop(home=str(folder.path), desk="fake" if (folder.path / FAKE_DESK).exists() else "label_studio")
    request = ErasureRequest(tuple(customer or ()), tuple(interaction or ()), reviewer, note)
    if dry_run:
        found = look_only(loop, request)
        say("Nothing is stored of it." if found.is_nothing else "This would go; nothing was changed.", style="bold")
        _show(found)
        return
    request.check()
    request.check_words()
    with told_when_full(folder), folder.lock(), console(stderr=True).status("looking") as shown:
        _require_quiet(folder)

        def tell(line: str) -> None:
            shown.update(line)

        done = erase_all(loop, request, open_desk=lambda: _desk(loop, folder, tell), tell=tell)
    if done.entry is None:
        say("Nothing is left to erase.", style="green")
        _show_files(done)
        _show_desk(done)
        return
    say(f"Erased. The receipt is ledger entry {done.entry.number} ({done.receipt}).", style="green")
    _show(done)
    _show_desk(done)
    if done.affected.needs_retraining:
        say_next("`cxloop run retrain` makes a challenger without it, `cxloop promote` puts it in the champion's place")
    else:
        say_next("`cxloop status`")


@contextmanager
def _desk(loop: "Loop", home: "Home", tell: "Tell") -> "Iterator[ReviewDesk | None]":
    """Open the desk; where the settings place it nowhere else, run Label Studio over the home meanwhile."""
    from labeling.desk.database import DATABASE
    from pipelines.services import embedded_label_studio

    if loop.desk == "fake" or loop.settings.services.label_studio.url:
        yield loop.open_desk()
    elif (home.label_studio / DATABASE).exists():
        with embedded_label_studio(home, port=None, tell=tell):
            yield loop.open_desk()
    else:
        yield None


def _require_quiet(home: "Home") -> None:
    """Refuse while a job is at work on this home: what it has read already it could write again.

    Raises:
        HomeError: names the job.
    """
    import dagster as dg

    from labeling.errors import HomeError
    from pipelines.running import close_dead_runs, open_instance

    if not home.dagster.exists():
        return
    with open_instance(home) as instance:
        close_dead_runs(instance)
        working = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
        if runs := instance.get_runs(filters=dg.RunsFilter(statuses=working)):
            raise HomeError(
                f"{runs[0].job_name} is at work on home {home.path}, and could write again what it has read: "
                "wait for it, or stop it on Dagster's page, and give the same command again"
            )


def _show(found: "Erasure") -> None:
    from pipelines.terminal import say, say_table

    if found.is_nothing:
        _show_files(found)
        return
    if found.is_unfinished:
        say("An earlier command began this erasure; the counts are those of what it found.")
    say_table("Rows", ("table", "rows"), [(name, str(rows)) for name, rows in found.rows.items()])
    say(f"Desk       {found.desk_cases} cases, those of others included that show one of the messages")
    affected = found.affected
    say(f"Training   {len(affected.training_sets)} frozen sets hold it; they keep ids and digests, and stay verifiable")
    if found.case_files:
        say(f"Judging    {len(found.case_files)} case files hold its ids and digests; they stay verifiable")
    for one in affected.versions:
        part_of = f"in release {', '.join(one.releases)}" if one.releases else "in no release"
        what = "needs retraining: `cxloop run retrain`" if one.needs_retraining else "answers nobody: no retraining"
        say(f"Model      {one.name} {one.version} ({part_of}) was trained on it; {what}")
    for name in affected.unknown:
        say(f"Model      {name}: nobody can say what it was trained on, its files are gone or damaged", style="yellow")
    _show_files(found)


def _show_files(found: "Erasure") -> None:
    from pipelines.terminal import say

    if not found.mentions:
        return
    say(f"Files      {len(found.mentions)} files of the sources may still hold rows of it:", style="yellow")
    for name in found.mentions[:_FILES_SHOWN]:
        say(f"             {name}")
    if len(found.mentions) > _FILES_SHOWN:
        say(f"             … and {len(found.mentions) - _FILES_SHOWN} more")
    say("           They are yours: remove the rows there, and at sources that are no files (a database, a helpdesk).")


def _show_desk(done: "Erasure") -> None:
    from pipelines.terminal import say

    if not done.is_desk_shrunk:
        say(
            "Desk       Label Studio runs, so its database file may still hold what was deleted in it: "
            "stop `cxloop up` and give the same command again",
            style="yellow",
        )
