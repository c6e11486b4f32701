"""``cxloop config``: the settings of a home."""

import typer

from pipelines.commands.options import HomeOption, open_home

app = typer.Typer(help="Look after the settings of a home.", no_args_is_help=True)


@app.command()
def check(home: HomeOption = None) -> None:
    """Load every YAML of the home's configs and tell all faults at once.

    Exit code 1 where there is a fault, so that a build can call it.
    """
    from assets.settings import load_settings
    from pipelines.terminal import say, say_next

    configs = open_home(home).configs
    settings = load_settings(configs)
    tasks = ", ".join(f"{task.name} ({len(task.labels)} labels)" for task in settings.taxonomy.tasks)
    say(f"No faults in {configs}. Tasks: {tasks}.", style="green")
    say_next("`cxloop up` shows the pages, `cxloop collect` takes in what is new at the sources")


@app.callback()
def config() -> None:
    """Look after the settings of a home."""
