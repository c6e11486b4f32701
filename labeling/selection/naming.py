"""The names of cases: they follow from what is asked, so that the same thing is asked once."""

import hashlib


def case_id(name: str) -> str:
    """Return the name of a case: always the same for one ``name``."""
    return f"case-{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def name_first(interaction_id: str, withdrawn: int) -> str:
    """Return the case of an interaction that nobody answered; another one after each that was withdrawn unanswered."""
    return case_id(f"{interaction_id}#{withdrawn}" if withdrawn else interaction_id)


def name_again(interaction_id: str) -> str:
    """Return the case that asks again for a label in doubt: one an interaction, for good."""
    return case_id(f"{interaction_id}#again")


def name_judging(interaction_id: str, challenger: str) -> str:
    """Return the case that asks whether ``challenger`` or the champion is right: one an interaction and challenger."""
    return case_id(f"{interaction_id}#judging{challenger}")


def name_gold(interaction_id: str, round: str) -> str:  # noqa: A002 (the column's name)
    """Return the case that asks in ``round`` what is known well."""
    return case_id(f"{interaction_id}#gold{round}")
