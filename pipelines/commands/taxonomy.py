"""``cxloop taxonomy``: what the taxonomy may lack, and a reviewer's word on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from pathlib import Path

    from assets.resources import Loop

app = typer.Typer(help="See which intents are missing, and add them.", no_args_is_help=True)

CandidateArgument = Annotated[str, typer.Argument(help="A candidate's id, as `cxloop taxonomy candidates` shows it.")]

WhoOption = Annotated[str, typer.Option("--reviewer", help="Who says so; stands beside the candidate.")]


@app.callback()
def taxonomy() -> None:
    """See which intents are missing, and add them."""


@app.command()
def candidates(home: HomeOption = None) -> None:
    """Show groups of messages that no intent covers, with the words that tell them and one example each.

    They are found with every review job; `cxloop run review` does it now. The report `emerging-intents` shows more
    examples and how many came week by week.
    """
    from assets.emerging import read_candidates
    from pipelines.terminal import say, say_next, say_table

    found = read_candidates(_open(home))
    if not found:
        say("Nothing waits that no intent covers.", style="green")
        return
    rows = [
        (one.candidate_id, str(one.size), str(sum(one.weeks[-4:])), ", ".join(one.words), one.examples[0][1][:80])
        for one in found
    ]
    say_table("Candidate intents", ("id", "messages", "last 4 weeks", "telling words", "such as"), rows)
    say_next("`cxloop taxonomy accept ID --name NAME --title TITLE`", "`cxloop taxonomy dismiss ID`")


@app.command()
def accept(  # noqa: PLR0917 - one option each
    candidate: CandidateArgument,
    name: Annotated[str, typer.Option("--name", help="The label's name: small letters, digits and _.")],
    title: Annotated[str, typer.Option("--title", help="What people read.")],
    reviewer: WhoOption,
    description: Annotated[str, typer.Option("--description", help="Stands in the labelling guide.")] = "",
    domain: Annotated[str, typer.Option("--domain", help="Its group on the labelling page.")] = "General",
    example: Annotated[
        list[str] | None, typer.Option("--example", help="For the guide, in your own words: nobody's message.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make a candidate an intent: taxonomy.yaml gets the label, a version and a migration.

    The examples on the page count as answered by you. Older answers "none of these" to the candidate's messages are
    withdrawn.
    """
    from assets.accepting import accept_candidate
    from labeling.config import parse_config
    from labeling.taxonomy import Label
    from pipelines.terminal import say, say_next

    said = {"name": name, "title": title, "description": description, "domain": domain, "examples": example or []}
    label = parse_config(said, Label, name="--name, --title, --domain")
    done = accept_candidate(_open(home), candidate, label=label, reviewer=reviewer)
    say(
        f"{name} stands in taxonomy.yaml, version {done.version}. {done.labelled} examples are labelled, "
        f"{done.withdrawn} answers “none of these” withdrawn."
    )
    say_next("`cxloop run review` brings the labelling page up to date, `cxloop run retrain` learns it")


@app.command()
def dismiss(candidate: CandidateArgument, reviewer: WhoOption, home: HomeOption = None) -> None:
    """Offer a candidate no more; messages that join it later are not offered either."""
    from assets.accepting import dismiss_candidate
    from pipelines.terminal import say

    dismiss_candidate(_open(home), candidate, reviewer=reviewer)
    say(f"{candidate} is not offered any more.")


def _open(home: "Path | None") -> "Loop":
    from assets.resources import Loop

    return Loop(home=str(open_home(home).path))
