"""``cxloop more-evidence``: a reviewer cannot decide yet."""

from typing import Annotated

import typer

from pipelines.commands.options import CaseFileOption, DeciderOption, HomeOption, NoteOption


def more_evidence(
    version: Annotated[str, typer.Argument(help="The release's version, as `cxloop challengers` shows it.")],
    note: NoteOption,
    reviewer: DeciderOption = "",
    case_file: CaseFileOption = "",
    home: HomeOption = None,
) -> None:
    """Ask for more evidence on VERSION, which goes on waiting.

    Your token is read from CXLOOP_REVIEWER_TOKEN. It is no veto: whoever decides sees that you asked, and why.
    """
    from pipelines.deciding import decide
    from pipelines.terminal import say, say_next

    applied = decide("more_evidence", version, note, home=home, reviewer=reviewer, case_file=case_file)
    say(f"More evidence is asked for on release {version} (ledger entry {applied.entry.number}).", style="green")
    say_next("`cxloop run review` sends people the cases that would tell", f"`cxloop compare {version}`")
