"""``cxloop waive``: a reviewer takes it upon themselves that a slice had too few cases."""

from typing import Annotated

import typer

from pipelines.commands.options import CaseFileOption, DeciderOption, HomeOption, NoteOption


def waive(  # noqa: PLR0917 - one option each
    version: Annotated[str, typer.Argument(help="The release's version, as `cxloop challengers` shows it.")],
    gate: Annotated[str, typer.Argument(help="Which gate of which slice, as `cxloop compare VERSION` names it.")],
    note: NoteOption,
    reviewer: DeciderOption = "",
    case_file: CaseFileOption = "",
    home: HomeOption = None,
) -> None:
    """Waive the GATE of an inconclusive VERSION that had too few cases of a slice to show harm.

    Your token is read from CXLOOP_REVIEWER_TOKEN, and your name stands beside the gate from then on. Harm that was
    shown cannot be waived. The release waits for a decision once it is judged again.
    """
    from pipelines.deciding import decide
    from pipelines.terminal import say, say_next

    applied = decide("waive", version, note, home=home, reviewer=reviewer, case_file=case_file, gate=gate)
    say(f"{gate} of release {version} is waived (ledger entry {applied.entry.number}).", style="green")
    say_next(
        "the next retrain judges it again; whoever starts one by hand counts as an author",
        f"`cxloop compare {version}`",
    )
