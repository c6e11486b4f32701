"""``cxloop quarantine``: why rows were refused, and the same rows again once the fault is mended."""

import json
from typing import Annotated

import typer

from pipelines.commands.options import HomeOption, open_home

app = typer.Typer(help="See why rows were refused, and take them in once the fault is mended.", no_args_is_help=True)

SourceOption = Annotated[str, typer.Option("--source", help="Only rows of this source.")]
TableOption = Annotated[str, typer.Option("--table", help="Only rows meant for this table.")]
CodeOption = Annotated[str, typer.Option("--code", help="Only rows refused for this reason code.")]
_ID_LENGTH = 10
_MEND = "mend the map (sources.yaml) or the taxonomy, `cxloop config check`, then `cxloop quarantine replay`"


@app.callback()
def quarantine() -> None:
    """See why rows were refused, and take them in once the fault is mended."""


@app.command("list")
def list_(source: SourceOption = "", table: TableOption = "", code: CodeOption = "", home: HomeOption = None) -> None:
    """Count refused rows by source, table and reason."""
    from labeling.sources.replaying import count_quarantine, read_quarantine
    from pipelines.terminal import say, say_next, say_table

    rows = read_quarantine(open_home(home).tables, source=source, table=table, code=code)
    if rows.is_empty():
        say("The quarantine is empty.", style="green")
        return
    cells = [
        (
            str(row["rows"]),
            row["source"] or "",
            row["table"],
            row["reason_code"],
            row["reason"],
        )
        for row in count_quarantine(rows).iter_rows(named=True)
    ]
    say_table(f"{rows.height} rows in quarantine", ("rows", "source", "table", "code", "such as"), cells)
    say_next("`cxloop quarantine show --code CODE` shows rows", _MEND)


@app.command()
def show(  # noqa: PLR0917 - one option each
    quarantine_id: Annotated[str, typer.Argument(help="A row's id, or how it begins; empty for the newest rows.")] = "",
    source: SourceOption = "",
    table: TableOption = "",
    code: CodeOption = "",
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many at most.")] = 5,
    home: HomeOption = None,
) -> None:
    """Show refused rows as their source sent them, personal data redacted, each with its reason and its place."""
    from labeling.sources.replaying import read_quarantine
    from pipelines.terminal import say, say_next

    found = read_quarantine(open_home(home).tables, source=source, table=table, code=code)
    found = found.filter(found["quarantine_id"].str.starts_with(quarantine_id)).reverse()
    if found.is_empty():
        say("No such row stands in quarantine.")
        return
    for row in found.head(rows).iter_rows(named=True):
        place = f"{row['source'] or 'a source'}, {row['origin']}, row {row['position']}"
        say(f"{row['quarantine_id'][:_ID_LENGTH]}  {row['table']} from {place}", style="bold")
        say(f"  {row['reason_code']}: {row['reason']}")
        if row["row"] is None:
            say(f"  the row itself was not kept; the digest of its content begins {row['row_digest'][:_ID_LENGTH]}")
        for name, value in json.loads(row["row"] or "{}").items():
            say(f"    {name} = {value}")
    if found.height > rows:
        say(f"… and {found.height - rows} more")
    say_next(_MEND)


@app.command()
def replay(source: SourceOption = "", table: TableOption = "", code: CodeOption = "", home: HomeOption = None) -> None:
    """Take refused rows in again, by the maps and the taxonomy of today; what is refused again stays."""
    from assets.feedback import house
    from assets.resources import Loop
    from labeling.sources.replaying import read_quarantine, replay_quarantine
    from pipelines.terminal import console, say, say_next

    folder = open_home(home)
    loop = Loop(home=str(folder.path))
    rows = read_quarantine(folder.tables, source=source, table=table, code=code)
    with folder.lock(), console(stderr=True).status(f"replaying {rows.height} rows"):
        done = replay_quarantine(rows, sources=loop.settings.sources, house=house(loop))
    say(f"{done.taken} rows were taken in, {done.refused} were refused again.", style="green" if done.taken else "")
    for why, count in done.left.items():
        say(f"{count} rows were left: {why}")
    say_next("`cxloop quarantine list` counts what is left", "`cxloop run review` settles labels with what came in")
