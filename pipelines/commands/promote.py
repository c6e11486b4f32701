"""``cxloop promote``: a reviewer makes a challenger the champion."""

from typing import Annotated

import typer

from pipelines.commands.options import CaseFileOption, DeciderOption, HomeOption, NoteOption


def promote(
    version: Annotated[str, typer.Argument(help="The release's version, as `cxloop challengers` shows it.")],
    note: NoteOption,
    reviewer: DeciderOption = "",
    case_file: CaseFileOption = "",
    home: HomeOption = None,
) -> None:
    """Approve the challenger VERSION, which makes it the champion.

    Your token is read from CXLOOP_REVIEWER_TOKEN. The decision stands in the ledger before anything moves. Refused
    where the release did not pass its gates, was judged against another champion, or was made by you.
    """
    from pipelines.deciding import decide
    from pipelines.terminal import say, say_next

    applied = decide("approve", version, note, home=home, reviewer=reviewer, case_file=case_file)
    if lacking := applied.approvals_lacking:
        by = ", ".join(applied.entry.body["approved_by"])
        say(
            f"Release {version} is approved by {by} (ledger entry {applied.entry.number}); {lacking} more must approve."
        )
        say_next("another reviewer gives the same command", "`cxloop challengers` shows what waits")
        return
    say(f"Release {applied.standing.champion} is the champion (ledger entry {applied.entry.number}).", style="green")
    say_next("`cxloop status` shows it", "`cxloop rollback --note WHY` takes it back")
