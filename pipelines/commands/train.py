"""``cxloop train``: one task's model, here and now."""

from typing import Annotated

import typer

from pipelines.commands.options import HomeOption, open_home
from pipelines.commands.run import run_here


def train(
    task: Annotated[str, typer.Argument(help="Which task of taxonomy.yaml, such as intent.")],
    recipe: Annotated[str, typer.Option(help="A file of configs/recipes; by default that of settings.yaml.")] = "",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin anew instead of going on from the champion.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Train one task's model on the labels that have settled, and register it.

    Where most labels are known to the champion, training goes on from its weights and takes a fraction of the time;
    --from-scratch begins anew. Stopped at any point, the same command goes on from the last epoch. Labels that are the
    same as before give the version that is there.
    """
    from assets.settings import load_settings
    from labeling.errors import ConfigError
    from pipelines.terminal import resumable, say, say_next

    found = open_home(home)
    settings = load_settings(found.configs)
    tasks = [one.name for one in settings.taxonomy.tasks]
    if task not in tasks:
        raise ConfigError(
            [f"a task of taxonomy.yaml is needed ({', '.join(tasks)}), found {task!r}: name one of these"]
        )
    settings.recipe_named(recipe)
    assets = (f"{task}_training_set", f"{task}_candidate")
    config = {"config": {"recipe": recipe, "from_scratch": from_scratch}}
    with resumable():
        facts = run_here("retrain", found, ops=dict.fromkeys(assets, config), assets=assets)[assets[-1]]
    if not facts["version"]:
        say(f"{task}: there is nothing to train on yet, it waits for {facts['waits_for']}")
        say_next("`cxloop run review` sends cases to people and fetches their answers")
        return
    said = [f"cxloop-{task} version {facts['version']}"]
    if "start" in facts:
        said.append("went on from the champion" if facts["start"] == "warm" else "from scratch")
    if "dev_accuracy" in facts:
        said.append(f"dev accuracy {facts['dev_accuracy']:.1%}")
    say(", ".join(said) if "start" in facts else f"{said[0]} is there already: the labels are those that it learnt")
    say_next("`cxloop run retrain` builds a release with it and judges it", "`cxloop up` shows its curves")
