"""``cxloop train``: one task's model, here and now."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipelines.commands.options import HomeOption, open_home
from pipelines.commands.run import run_here

if TYPE_CHECKING:
    from labeling.home import Home
    from training.forecast import Forecast

_MOST_SHOWN: Final = 8


def train(
    task: Annotated[str, typer.Argument(help="Which task of taxonomy.yaml, such as intent.")],
    recipe: Annotated[str, typer.Option(help="A file of configs/recipes; by default that of settings.yaml.")] = "",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin anew instead of going on from the champion.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is new, what it should gain, and how long it takes.")
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
    settings.recipe_for(task, named=recipe)
    if dry_run:
        _foretell(found, task, recipe, from_scratch=from_scratch)
        return
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


def _foretell(home: "Home", task: str, recipe: str, *, from_scratch: bool) -> None:
    from assets.forecasting import look_ahead
    from assets.resources import Loop
    from labeling.errors import TooFewLabels
    from pipelines.terminal import console, say, say_next

    loop = Loop(home=str(home.path))
    settings = loop.settings
    try:
        with console(stderr=True).status(f"{task}: measuring a learning curve"):
            found = look_ahead(
                loop, settings.taxonomy.task(task), settings.recipe_for(task, named=recipe), from_scratch=from_scratch
            )
    except TooFewLabels as error:
        say(f"{task}: there is nothing to train on yet, it waits for {error}")
        return
    again = " ".join(["cxloop train", task, *([f"--recipe {recipe}"] if recipe else [])])
    if not found.new:
        say(f"{task}: {found.labels:,} labels, all of them learnt by the champion, version {found.champion}")
        say_next("`cxloop run review` brings new ones", f"`{again} --from-scratch` trains on the same ones anew")
        return
    since = f"new since the champion, version {found.champion}" if found.champion else "not learnt before"
    say(f"{task}: {found.labels:,} labels, {sum(found.new.values()):,} of them {since}")
    most = sorted(found.new.items(), key=lambda one: (-one[1], one[0]))[:_MOST_SHOWN]
    say(f"  mostly: {', '.join(f'{label} {count}' for label, count in most)}")
    say(f"  start: {'from the champion' if found.is_warm else 'from scratch'}")
    say(f"  expected: {_gain(found.expected)}")
    say(f"  time: {_minutes(found.minutes)}")
    say_next(f"`{again}{' --from-scratch' if from_scratch else ''}`")


def _gain(expected: "Forecast") -> str:
    if expected.gain is None:
        return expected.why_not
    value, low, high = (100 * part for part in expected.gain)
    return f"{value:+.1f} points of accuracy ({low:+.1f} to {high:+.1f}, 90% interval), by a curve on frozen features"


def _minutes(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "unknown: no training of this kind has run here yet"
    return f"{found[0]:.1f} minutes ({found[1]:.1f} to {found[2]:.1f}), as fast as earlier ones"
