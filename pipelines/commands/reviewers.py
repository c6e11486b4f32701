"""``cxloop reviewers``: who may decide."""

from typing import Annotated, Literal

import typer

from pipelines.commands.options import HomeOption, open_home

app = typer.Typer(help="Say who may decide on releases.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The person's name, as it will stand in the ledger.")]


@app.callback()
def reviewers() -> None:
    """Say who may decide on releases."""


@app.command()
def add(
    name: NameArgument,
    role: Annotated[
        Literal["reviewer", "reader"] | None,
        typer.Option(help="A reviewer decides; a reader only looks.", show_default="reviewer"),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="What else they are called, in git or on a machine; repeatable."),
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Give somebody who is there a new token.")] = False,
    home: HomeOption = None,
) -> None:
    """Add a person to reviewers.yaml and show their token, this once: only its hash is kept.

    With --renew the old token stops working; role and accounts stay as they are unless they are given.
    """
    from pipelines.people_file import add_person
    from pipelines.terminal import say, say_next
    from training.registry.people import TOKEN

    token, entry = add_person(open_home(home), name, role=role, accounts=tuple(account or ()), renew=renew)
    say(f"{entry.name} is in reviewers.yaml as a {entry.role}. Their token, shown this once:")
    say(token, style="bold")
    say_next(f"export {TOKEN}={token}", "give it to them in a safe way; `cxloop challengers` shows what waits")


@app.command()
def remove(name: NameArgument, home: HomeOption = None) -> None:
    """Take a person out of reviewers.yaml: their token stops working at once."""
    from pipelines.people_file import remove_person
    from pipelines.terminal import say, say_next

    remove_person(open_home(home), name)
    say(f"{name} may no longer decide, nor look. What they decided stays in the ledger.", style="green")
    say_next("`cxloop reviewers list`")


@app.command("list")
def list_(home: HomeOption = None) -> None:
    """Show who may decide and who may look, and how many must approve."""
    from pipelines.terminal import say, say_next, say_table
    from training.registry.people import load_people

    people = load_people(open_home(home).configs)
    if not people.people:
        say("Nobody may decide yet.")
        say_next("`cxloop reviewers add NAME` makes somebody a reviewer")
        return
    rows = [
        (entry.name, entry.role, "a token" if entry.token else "through the proxy", ", ".join(entry.accounts))
        for entry in people.people
    ]
    needed = people.required_approvals
    say_table("People", ("name", "role", "signs in with", "accounts"), rows)
    say(f"{needed} {'approval makes' if needed == 1 else 'people’s approvals make'} a challenger the champion.")
    say_next("`cxloop reviewers add NAME` adds somebody", "`cxloop challengers` shows what waits")
