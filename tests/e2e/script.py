"""A demo small enough for tests, and a program that plays it: ``python -m tests.e2e.script HOME DESK``."""

import dataclasses
import sys
import warnings
from pathlib import Path

from labeling.home import Home
from pipelines.replay.demo import demo_script
from pipelines.replay.feed import FeedRates, play_feed
from pipelines.replay.showing import show_replay
from pipelines.terminal import resumable
from tests.small_encoder import small_recipes

RATES = {desk: FeedRates(weeks=weeks, history=520, weekly=60) for desk, weeks in (("label_studio", 2), ("fake", 1))}
"""One week has every phase: at the fake desk, where plays are stopped again and again, a second would show no more."""
CHANGES = {
    "settings.yaml": {"retrain": {"min_new_labels": 10, "recipe": "smoke"}},
    "selection.yaml": {"budget": 20, "lots": {"audit_share": 0.4}},
    "gates.yaml": {"min_cases": 30, "margin": 0.2, "alpha": 0.5},
    "handoff.yaml": {"promised_error_share": 0.4, "confidence": 0.8, "min_cases": 15},
}


def small_script(desk: str, seed: int = 3):
    """Return a demo of two short weeks; of one, at the fake desk."""
    rates = RATES[desk]
    small = small_recipes() if desk == "fake" else {}
    return dataclasses.replace(
        demo_script(seed=seed, desk=desk),
        weeks=rates.weeks,
        seed_labels=150,
        changes=CHANGES | small,
        feed=lambda start: play_feed(seed, start, rates=rates),
    )


def main() -> None:
    """Play it."""
    import typer

    from labeling.errors import CxloopError
    from pipelines.environment import prepare_environment

    prepare_environment()
    warnings.simplefilter("ignore")  # as the command does
    try:
        with resumable():
            show_replay(small_script(sys.argv[2]), Home(Path(sys.argv[1])))
    except typer.Exit as stopped:
        sys.exit(stopped.exit_code)
    except CxloopError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
