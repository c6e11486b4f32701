"""``cxloop rollback``: the champion before this one comes back."""

from datetime import UTC, datetime

from pipelines.commands.options import HomeOption, NoteOption, ReviewerOption, open_home


def rollback(reviewer: ReviewerOption, note: NoteOption, home: HomeOption = None) -> None:
    """Make the champion before this one the champion again.

    The decision stands in the ledger before anything moves. The release that is taken back stays registered.
    """
    from assets.resources import Loop
    from labeling.errors import DecisionRefused
    from pipelines.terminal import say, say_next
    from training.registry.decisions import Decision, apply_decision
    from training.registry.standing import read_standing

    loop = Loop(home=str(open_home(home).path))
    ledger = loop.open_ledger()
    champion = read_standing(ledger.entries()).champion
    if champion is None:
        raise DecisionRefused("a rollback needs a champion, the ledger has none: retrain, then promote the challenger")
    decision = Decision("rollback", champion, reviewer, note, datetime.now(UTC))
    applied = apply_decision(decision, ledger=ledger, registry=loop.open_registry())
    say(
        f"Release {applied.standing.champion} is the champion again in place of {champion} "
        f"(ledger entry {applied.entry.number}).",
        style="green",
    )
    say_next("`cxloop status` shows it", "`cxloop run retrain` makes a new challenger")
