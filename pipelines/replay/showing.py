"""Play a replay in front of somebody: progress, the table, the report, and what to try next."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime

from labeling.home import Home
from pipelines.commands.promote import promote
from pipelines.replay.narration import ConsoleNarrator
from pipelines.replay.playing import REPORT, Script, play_script
from pipelines.replay.report import phase_table, week_table
from pipelines.replay.results import ReplayResult
from pipelines.replay.stage import REVIEWER, REVIEWER_TOKEN
from pipelines.terminal import console, say, say_next
from training.registry.people import TOKEN


def show_replay(script: Script, home: Home) -> ReplayResult:
    """Play ``script`` in ``home`` and show what it came to.

    Raises:
        KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
        CxloopError: a step failed.
    """
    shown = console()
    say(f"{script.title}, in {home.path}", style="bold")
    result = play_script(script, home, ConsoleNarrator(shown), now=datetime.now(UTC), approve=approver(home))
    shown.print(week_table(result), phase_table(result), sep="\n")
    for said in result.predictions:
        answers = ", ".join(f"{task} {label} ({sure:.0%})" for task, (label, sure) in said.answers.items())
        say(f"“{said.text}”", style="italic")
        say(f"  {answers}; " + (f"steps aside: {said.reason}" if said.handoff else "answers itself"))
    say(f"Report with plots: {home.reports / REPORT}")
    say_next(
        "`cxloop up` opens the runs, the models and the cases of this home",
        "`cxloop status` says which release is champion and what waits",
        "decide yourself: `cxloop reviewers add YOU`, and put the token that it shows into CXLOOP_REVIEWER_TOKEN",
        "`cxloop history` shows what was decided, `cxloop rollback --note WHY` takes the champion back",
    )
    return result


def approver(home: Home) -> Callable[[str], None]:
    """Return a reviewer who approves whatever passed, with the command and a token as a person would use them."""

    def approve(version: str) -> None:
        with _signed_in(home.secret(REVIEWER_TOKEN)), redirect_stdout(io.StringIO()):  # amid a phase nobody wants lines
            promote(version, note="The gates say promote; approved in a replay.", reviewer=REVIEWER, home=home.path)

    return approve


@contextmanager
def _signed_in(token: str) -> Iterator[None]:
    """Hold ``token`` where commands look for a person's, and put back what was there."""
    before = os.environ.get(TOKEN)
    os.environ[TOKEN] = token
    try:
        yield
    finally:
        os.environ.pop(TOKEN) if before is None else os.environ.update({TOKEN: before})
