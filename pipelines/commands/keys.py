"""``cxloop keys``: which programs may ask the live API."""

from typing import Annotated, Literal

import typer

from pipelines.commands.options import HomeOption, open_home

app = typer.Typer(help="Say which programs may ask the live API.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The program's name.")]


@app.callback()
def keys() -> None:
    """Say which programs may ask the live API."""


@app.command()
def add(
    name: NameArgument,
    role: Annotated[
        Literal["assistant", "desktop", "monitor"],
        typer.Option(help="An assistant asks what to do; a desktop tells what agents did; a monitor reads figures."),
    ],
    renew: Annotated[bool, typer.Option("--renew", help="Give a program that is there a new key.")] = False,
    home: HomeOption = None,
) -> None:
    """Add a program to api_keys.yaml and show its key, this once: only its hash is kept.

    With --renew the old key stops working at once.
    """
    from pipelines.keys_file import add_key
    from pipelines.terminal import say, say_next

    key, entry = add_key(open_home(home), name, role=role, renew=renew)
    say(f"{entry.name} is in api_keys.yaml with the role {entry.role}. Its key, shown this once:")
    say(key, style="bold")
    say_next("send it as `Authorization: Bearer KEY`", "`cxloop serve` answers")


@app.command()
def remove(name: NameArgument, home: HomeOption = None) -> None:
    """Take a program out of api_keys.yaml: its key stops working at once."""
    from pipelines.keys_file import remove_key
    from pipelines.terminal import say, say_next

    remove_key(open_home(home), name)
    say(f"The key of {name} works no longer.", style="green")
    say_next("`cxloop keys list`")


@app.command("list")
def list_(home: HomeOption = None) -> None:
    """Show which programs may ask, and what."""
    from pipelines.terminal import say, say_next, say_table
    from serving.gateway.keys import load_keys

    found = load_keys(open_home(home).configs).keys
    if not found:
        say("No program may ask yet.")
    else:
        say_table("Keys", ("name", "role"), [(entry.name, entry.role) for entry in found])
    say_next("`cxloop keys add NAME --role ROLE` adds one")
