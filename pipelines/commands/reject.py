"""``cxloop reject``: a reviewer turns a challenger down."""

from typing import Annotated

import typer

from pipelines.commands.options import CaseFileOption, DeciderOption, HomeOption, NoteOption


def reject(
    version: Annotated[str, typer.Argument(help="The challenger's version, as `cxloop challengers` shows it.")],
    note: NoteOption,
    reviewer: DeciderOption = "",
    case_file: CaseFileOption = "",
    home: HomeOption = None,
) -> None:
    """Turn the challenger VERSION down; the champion stays.

    Your token is read from CXLOOP_REVIEWER_TOKEN. A version is decided on once: a new training makes a new one.
    """
    from pipelines.deciding import decide
    from pipelines.terminal import say, say_next

    applied = decide("reject", version, note, home=home, reviewer=reviewer, case_file=case_file)
    say(f"Release {version} is turned down (ledger entry {applied.entry.number}).", style="green")
    say_next("`cxloop run retrain` makes a new challenger", "`cxloop history` shows every decision")
