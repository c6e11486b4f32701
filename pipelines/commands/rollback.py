"""``cxloop rollback``: the champion before this one comes back."""

from pipelines.commands.options import DeciderOption, HomeOption, NoteOption


def rollback(note: NoteOption, reviewer: DeciderOption = "", home: HomeOption = None) -> None:
    """Make the champion before this one the champion again.

    Your token is read from CXLOOP_REVIEWER_TOKEN. The decision stands in the ledger before anything moves; where the
    files of the champion before are gone, nothing moves. The release that is taken back stays registered.
    """
    from pipelines.deciding import decide
    from pipelines.terminal import say, say_next

    applied = decide("rollback", "", note, home=home, reviewer=reviewer)
    body = applied.entry.body
    say(
        f"Release {body['champion_after']} is the champion again in place of {body['version']} "
        f"(ledger entry {applied.entry.number}).",
        style="green",
    )
    say_next("`cxloop status` shows it", "`cxloop run retrain` makes a new challenger")
