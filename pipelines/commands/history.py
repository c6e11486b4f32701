"""``cxloop history``: every decision on every release."""

from typing import TYPE_CHECKING

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from training.registry.ledger import Entry

_NOTE_LENGTH = 60


def history(home: HomeOption = None) -> None:
    """Show who decided what, when and why, and which release was the champion from then on; the newest last."""
    from pipelines.terminal import say, say_next, say_table
    from training.registry.ledger import Ledger
    from training.registry.standing import ALIAS_PUT_RIGHT, DECISION

    entries = Ledger(open_home(home).ledger_path).entries()
    rows = [_row(entry) for entry in entries if entry.kind == DECISION]
    if not rows:
        say("Nobody has decided on a release yet.")
        say_next("`cxloop challengers` shows what waits")
        return
    say_table("Decisions (UTC)", ("entry", "at", "who", "decision", "version", "champion then", "note"), rows)
    if by_hand := sum(entry.kind == ALIAS_PUT_RIGHT for entry in entries):
        say(f"Aliases were moved by hand and put right {by_hand} times.", style="yellow")
    say_next("`cxloop status` shows where things stand", "`cxloop rollback --note WHY` takes the champion back")


def _row(entry: "Entry") -> tuple[str, ...]:
    body = entry.body
    note = body["note"] if len(body["note"]) <= _NOTE_LENGTH else f"{body['note'][: _NOTE_LENGTH - 1]}…"
    return (
        str(entry.number),
        f"{entry.at:%Y-%m-%d %H:%M}",
        body["reviewer"],
        body["decision"].replace("_", " "),
        body["version"],
        body["champion_after"] or "none",
        note,
    )
