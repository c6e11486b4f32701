"""``cxloop promote``: a reviewer makes a challenger the champion."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pipelines.commands.options import HomeOption, NoteOption, ReviewerOption, open_home


def promote(
    version: Annotated[str, typer.Argument(help="The release's version, as `cxloop status` shows it.")],
    reviewer: ReviewerOption,
    note: NoteOption,
    home: HomeOption = None,
) -> None:
    """Make the challenger VERSION the champion.

    The decision stands in the ledger before anything moves. Refused where the release did not pass its gates.
    """
    from assets.resources import Loop
    from pipelines.terminal import say, say_next
    from training.registry.decisions import Decision, apply_decision

    loop = Loop(home=str(open_home(home).path))
    decision = Decision("approve", version, reviewer, note, datetime.now(UTC))
    applied = apply_decision(decision, ledger=loop.open_ledger(), registry=loop.open_registry())
    say(f"Release {applied.standing.champion} is the champion (ledger entry {applied.entry.number}).", style="green")
    say_next("`cxloop status` shows it", "`cxloop rollback --reviewer NAME --note WHY` takes it back")
