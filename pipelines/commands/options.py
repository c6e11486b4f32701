"""Options that several commands share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from labeling.home import Home

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="CXLOOP_HOME",
        help="The home folder.",
        show_default=".cxloop",
        file_okay=False,
        rich_help_panel="Everywhere",
    ),
]
DeskOption = Annotated[
    Literal["label_studio", "fake"],
    typer.Option(help="Where people answer: a real Label Studio, or the fake that passes the same tests."),
]
ReviewerOption = Annotated[str, typer.Option("--reviewer", help="Who decides; stands in the ledger.")]
DeciderOption = Annotated[
    str, typer.Option("--reviewer", help="Whose token it must be; without this option, whoever it is of decides.")
]
CaseFileOption = Annotated[
    str, typer.Option("--case-file", help="The case file that you looked at; refused where it was judged again since.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why; stands in the ledger.")]


def open_home(path: Path | None) -> "Home":
    """Return the home folder that was named, which must have been made.

    Raises:
        HomeError: there is none; says how to make one.
    """
    home = name_home(path)
    home.require()
    return home


def name_home(path: Path | None) -> "Home":
    """Return the home folder that was named, made or not."""
    from labeling.home import Home

    return Home(path) if path else Home.from_environment()
