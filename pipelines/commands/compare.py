"""``cxloop compare``: a challenger beside the champion."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from labeling.home import Home
    from training.judging.case_file import CaseFile

_PAGE = "Reviewers"


def compare(
    version: Annotated[str, typer.Argument(help="The release's version, as `cxloop challengers` shows it.")],
    on_page: Annotated[bool, typer.Option("--open", help="Open the reviewers' page instead.")] = False,
    home: HomeOption = None,
) -> None:
    """Show what speaks for VERSION and what against it: verdict, gates, accuracy beside the champion, changed answers.

    Everything comes from its case file, which is checked first.
    """
    from pipelines.terminal import say

    folder = open_home(home)
    case = _open_case(folder, version)
    if on_page:
        address = f"{_find_page(folder)}/challengers/{version}"
        say(address)
        typer.launch(address)
        return
    _show(case)


def _open_case(home: "Home", version: str) -> "CaseFile":
    from labeling.errors import DecisionRefused
    from pipelines.deciding import read_home
    from training.judging.case_file import CaseFile

    standing = read_home(home)
    judged = standing.judged.get(version)
    if judged is None:
        known = ", ".join(standing.judged) or "none"
        raise DecisionRefused(
            f"a version that was judged is needed ({known}), found {version}: `cxloop challengers` shows what waits"
        )
    case = CaseFile.open(home.case_files / judged.body["case_file"])
    case.verify()
    return case


def _find_page(home: "Home") -> str:
    from labeling.errors import ServiceError
    from pipelines.services import find_up

    up = find_up(home)
    page = next((page for page in up.pages if page.name == _PAGE), None) if up else None
    if page is None:
        raise ServiceError("the reviewers' page is needed, it is not served over this home: start it with `cxloop up`")
    return page.url


def _show(case: "CaseFile") -> None:
    from pipelines.comparison import (
        FIGURES,
        GATES,
        list_figures,
        list_gates,
        list_waivable,
        tell_changes,
        tell_data,
        tell_next_week,
    )
    from pipelines.deciding import SHORT
    from pipelines.terminal import say, say_next, say_table

    about = case.about
    beside = f"champion {about.champion}" if about.champion else "no champion yet"
    say(f"Release {about.version} beside {beside}: {about.verdict}", style="bold")
    say(f"Judged {about.judged_at:%Y-%m-%d %H:%M} UTC, challenger {about.look} of this champion, to {about.request}")
    say(f"Case file {case.digest[:SHORT]}; made by {', '.join(about.authors) or 'a schedule'}")
    for task in about.tasks:
        say_table(task, FIGURES, list_figures(case, task))
    say_table("Gates", GATES, list_gates(case))
    for task in about.tasks:
        say(tell_changes(case, task))
        say(tell_data(case, task))
    for line in tell_next_week(case):
        say(line)
    mark = f"{about.version} --case-file {case.digest[:SHORT]} --note WHY"
    waivers = [f"`cxloop waive {about.version} '{gate}' --note WHY`" for gate in list_waivable(case)]
    steps = (
        waivers if about.verdict == "inconclusive" else [f"`cxloop promote {mark}` approves", f"`cxloop reject {mark}`"]
    )
    say_next(f"`cxloop compare {about.version} --open` shows the changed answers in words", *steps)
