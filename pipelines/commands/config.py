"""``cxloop config``: the settings of a home."""

from typing import TYPE_CHECKING

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from labeling.home import Home
    from labeling.taxonomy import Taxonomy
    from training.registry.people import People

app = typer.Typer(help="Look after the settings of a home.", no_args_is_help=True)


@app.command()
def check(home: HomeOption = None) -> None:
    """Load every YAML of the home's configs and tell all faults at once.

    It also counts the settled labels that the taxonomy has renamed, merged or retired since. Exit code 1 where there
    is a fault, so that a build can call it.
    """
    from assets.settings import load_settings
    from pipelines.terminal import say, say_next

    opened = open_home(home)
    settings = load_settings(opened.configs)
    tasks = ", ".join(f"{task.name} ({len(task.labels)} labels)" for task in settings.taxonomy.tasks)
    say(f"No faults in {opened.configs}. Tasks: {tasks}.", style="green")
    _tell_reviewers(opened, settings.people)
    if _tell_former(opened, settings.taxonomy):
        say_next("`cxloop run review` settles these labels under the new taxonomy, then `cxloop run retrain`")
    else:
        say_next("`cxloop up` shows the pages, `cxloop collect` takes in what is new at the sources")


def _tell_former(home: "Home", taxonomy: "Taxonomy") -> bool:
    """Tell which settled labels the taxonomy changed since; return whether there are any."""
    from labeling.former_labels import count_former
    from labeling.tables import LABELS
    from pipelines.terminal import say_table

    found = count_former(home.tables.read(LABELS, columns=["task", "label"]), taxonomy)
    if found.is_empty():
        return False
    rows = [
        [task, change, was, now or _nothing(change), str(count)] for task, change, was, now, count in found.iter_rows()
    ]
    say_table("Settled labels that the taxonomy changed since", ["task", "change", "was", "is now", "labels"], rows)
    return True


def _tell_reviewers(home: "Home", people: "People") -> None:
    """Tell where nobody, or too few, may decide on challengers."""
    from pipelines.terminal import say
    from training.registry.people import REVIEWERS

    may, needed = len(people.reviewers), people.required_approvals
    if not (home.configs / REVIEWERS).exists():
        say(f"{REVIEWERS} is not there: nobody may decide. `cxloop reviewers add NAME` makes it.", style="yellow")
    elif may < needed:
        told = f"{needed} must approve, {may} may: `cxloop reviewers add NAME`"
        say(f"{REVIEWERS} names too few reviewers: {told}.", style="yellow")


def _nothing(change: str) -> str:
    from labeling.former_labels import UNKNOWN

    return "? say it under `migrations`" if change == UNKNOWN else "no label: untold until reviewed again"


@app.callback()
def config() -> None:
    """Look after the settings of a home."""
