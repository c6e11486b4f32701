"""``cxloop init``: a home folder of one's own."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, name_home

if TYPE_CHECKING:
    from pipelines.new_home import Imported


def init(
    *,
    home: HomeOption = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="local: all on this machine. production: names servers of your own."),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--from", help="A labelled CSV to start from: one column of texts, one of labels a task."),
    ] = None,
    text_column: Annotated[str, typer.Option(help="The CSV's column of texts.")] = "text",
    task: Annotated[
        list[str] | None,
        typer.Option(help="TASK=COLUMN of the CSV, repeatable; by itself: the columns intent and sentiment, or label."),
    ] = None,
    label_studio: Annotated[
        str | None,
        typer.Option(help="A Label Studio server to start from and work with; its token in CXLOOP_LABEL_STUDIO_TOKEN."),
    ] = None,
    project: Annotated[int | None, typer.Option(help="The number of its project whose answers become labels.")] = None,
) -> None:
    """Make a home folder with its settings: from flags or, in a terminal, from a few questions.

    Labels that you have already (a CSV, a Label Studio project) become the taxonomy and the first training set: they
    wait in the inbox for `cxloop collect`, `cxloop run review` and `cxloop run retrain`. A home that exists is
    never overwritten.
    """
    from assets.settings import load_settings
    from pipelines.new_home import make_home, refuse_existing

    folder = name_home(home)
    refuse_existing(folder)
    if profile is None and csv_file is None and label_studio is None and sys.stdin.isatty():
        profile, csv_file, label_studio, project = _ask()
    imported = _read_labels(csv_file, text_column, task or [], label_studio, project)
    make_home(
        folder,
        profile=_check_profile(profile or "local"),
        imported=imported,
        desk_url=label_studio or "",
        check=load_settings,
    )
    _tell(folder.path, imported)


def _ask() -> tuple[str, Path | None, str | None, int | None]:
    """Ask for the profile and what to start from: a CSV, else a project of a Label Studio server, else nothing."""
    profile = typer.prompt("Profile: local (all on this machine) or production (servers of your own)", default="local")
    if path := typer.prompt("A labelled CSV to start from (empty: none)", default="", show_default=False):
        return profile, Path(path), None, None
    server = typer.prompt("A Label Studio server to start from (empty: none)", default="", show_default=False)
    if not server:
        return profile, None, None, None
    return profile, None, server, typer.prompt("The number of its project", type=int)


def _check_profile(profile: str) -> str:
    from pipelines.packaged import PROFILES

    if profile not in PROFILES:
        raise typer.BadParameter(f"needs one of {', '.join(PROFILES)}, found {profile!r}", param_hint="--profile")
    return profile


def _read_labels(
    csv_file: Path | None, text_column: str, tasks: Sequence[str], server: str | None, project: int | None
) -> "Imported | None":
    if csv_file and server:
        raise typer.BadParameter("give --from or --label-studio, not both", param_hint="--from")
    if (server is None) != (project is None):
        raise typer.BadParameter("--label-studio and --project belong together", param_hint="--project")
    if csv_file:
        return _read_csv(csv_file, text_column, tasks)
    if server and project is not None:
        return _read_project(server, project)
    return None


def _read_csv(path: Path, text_column: str, tasks: Sequence[str]) -> "Imported":
    from labeling.sources.labelled import find_columns, read_labelled_csv
    from pipelines.new_home import Imported

    named = dict(_split_task(given) for given in tasks)
    columns = find_columns(path, text=text_column, tasks=named)
    return Imported("csv", read_labelled_csv(path, columns, now=datetime.now(UTC)))


def _split_task(given: str) -> tuple[str, str]:
    task, equals, column = given.partition("=")
    if not (task and equals and column):
        raise typer.BadParameter(f"needs TASK=COLUMN, found {given!r}", param_hint="--task")
    return task, column


def _read_project(server: str, project: int) -> "Imported":
    import os

    from labeling.desk.existing_project import read_project
    from labeling.errors import DeskRefused
    from pipelines.new_home import Imported

    token = os.environ.get("CXLOOP_LABEL_STUDIO_TOKEN")
    if not token:
        raise DeskRefused(
            f"a token for {server} is needed, found none in CXLOOP_LABEL_STUDIO_TOKEN: "
            "copy yours from Label Studio's Account & Settings page"
        )
    return Imported("label_studio", read_project(server, token, project))


def _tell(home: Path, imported: "Imported | None") -> None:
    from labeling.sources.labelled import count_tasks
    from pipelines.terminal import say, say_next

    say(f"Made {home}: configs/ holds the settings, inbox/ is where events arrive.", style="green")
    say("Nobody may approve a release yet: `cxloop reviewers add NAME` lets you, and shows your token.")
    if imported is None:
        say("Its taxonomy is the demo's: put your tasks and labels into configs/taxonomy.yaml.")
        say_next("edit configs/taxonomy.yaml, then `cxloop config check`", "`cxloop up` shows the pages")
        return
    counts = ", ".join(f"{count} labels of {task}" for task, count in count_tasks(imported.rows).items())
    say(f"Took over {len(imported.rows)} labelled texts ({counts}); configs/taxonomy.yaml was made from them.")
    say_next("`cxloop collect`, then `cxloop run review`, then `cxloop run retrain`", "`cxloop up` shows the pages")
