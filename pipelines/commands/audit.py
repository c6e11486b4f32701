"""``cxloop audit``: check the whole record of decisions, or take it away to be checked elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from training.registry.audit import Audit, Fault

app = typer.Typer(help="Check the record of decisions, or export it for others to check.", no_args_is_help=True)

EarlierOption = Annotated[
    Path | None,
    typer.Option("--against", help="An export kept elsewhere; its entries must all still be there.", exists=True),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE.zip", help="Where to write it.", dir_okay=False)]


@app.callback()
def audit() -> None:
    """Check the record of decisions, or export it for others to check."""


@app.command()
def verify(against: EarlierOption = None, home: HomeOption = None) -> None:
    """Check every ledger entry, what bears witness to it, the registry, and every case file that the ledger names.

    All faults are listed, each with its place. Exit code 1 where there is any.
    """
    from assets.resources import Loop
    from pipelines.terminal import say, say_next
    from training.registry.audit import verify as verify_record

    loop = Loop(home=str(open_home(home).path))
    found = verify_record(loop.open_ledger(), loop.open_registry(), loop.folder.case_files, earlier=against)
    _show(found)
    if found.faults:
        _show_faults(found.faults)
        say_next(
            "keep a copy of the home as it is, then restore what is named from a backup",
            "`cxloop audit verify --against FILE.zip` says what changed since an export",
        )
        raise typer.Exit(1)
    say("The record verifies.", style="green")
    say_next("`cxloop audit export FILE.zip`, kept where nobody here can change it, proves this day's record for good")


@app.command()
def export(file: FileArgument, home: HomeOption = None) -> None:
    """Write ledger, anchors and case files into FILE.zip, which verifies without cxloop; its README.txt says how.

    Refused where the record does not verify. The same record gives the same bytes.
    """
    from assets.resources import Loop
    from pipelines.terminal import say, say_next
    from training.registry.audit_export import AuditFailed, export_record

    loop = Loop(home=str(open_home(home).path))
    try:
        done = export_record(loop.open_ledger(), loop.open_registry(), loop.folder.case_files, file)
    except AuditFailed as failed:
        _show_faults(failed.faults)
        raise
    _show(done)
    say(f"Exported to {file}.", style="green")
    say_next(
        "keep it, or at least the head, where nobody who runs this loop can change it",
        "`cxloop audit verify --against FILE.zip` later shows that nothing of it was changed",
    )


def _show(found: "Audit") -> None:
    from pipelines.terminal import say

    say(f"Ledger     {found.entries} entries, head {found.head}")
    say(f"Witnesses  {found.witnesses} anchors, {len(found.anchors)} of them on registered versions")
    say(f"Case files {len(found.case_files)} named by the ledger, {found.files} files")
    if found.unnamed:
        names = ", ".join(name[:12] for name in found.unnamed)
        say(f"           {len(found.unnamed)} that no entry names ({names}): they prove nothing", style="yellow")


def _show_faults(faults: "tuple[Fault, ...]") -> None:
    from pipelines.terminal import say_table

    say_table(f"{len(faults)} faults", ("where", "what"), [(fault.where, fault.what) for fault in faults])
