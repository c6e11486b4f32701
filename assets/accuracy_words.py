"""Accuracy as served in words and as a table, for the page of its asset."""

from collections.abc import Sequence
from typing import Final

from training.judging.production import ServedAccuracy, Slice, TooFew
from training.judging.served import SLICES, Response

_MUCH_MISSING: Final = 0.2
"""From this share of drawn messages without a label on, those with one may be others than the rest."""


def describe_accuracy(found: ServedAccuracy | TooFew) -> str:
    """Return the value with its interval and what it rests on, or what is lacking."""
    if isinstance(found, TooFew):
        return found.lacking
    best, alone = found.estimate, found.audit_only
    said = f"{best.value:.3f} [{best.low:.3f}, {best.high:.3f}] of {found.served} answers, {found.method}: "
    said += f"{found.cases} audit cases, {found.errors} errors"
    return said if best == alone else f"{said}; alone they say {alone.value:.3f} [{alone.low:.3f}, {alone.high:.3f}]"


def describe_response(response: Response, *, uncounted: int) -> str:
    """Return what became of the drawn messages, with a warning where many have no label.

    Args:
        response: of the window.
        uncounted: answers of the newest weeks, of which no drawn message has a label yet.
    """
    said = (
        f"{response.answered} of {response.drawn} drawn messages have a label; {response.waiting} wait, "
        f"{response.skipped} were skipped, of {response.unsure} nobody could tell"
    )
    if uncounted:
        said += f"; {uncounted} answers of the newest weeks are not counted, as nobody has read any of them yet"
    if response.missing_share < _MUCH_MISSING:
        return said
    return f"{said}: with {response.missing_share:.0%} missing, those answered may be the easier ones"


def slice_table(slices: Sequence[Slice]) -> str:
    """Return one line a slice in Markdown; "too few" stands where there is no figure."""
    head = "| | | accuracy | 95% interval | cases | errors | answers |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *(_line(one) for one in slices)]) if slices else "no answers were served"


def _line(one: Slice) -> str:
    named = f"| {SLICES[one.column]} | {escape_markdown(one.value)}"
    match one.accuracy:
        case ServedAccuracy(cases, errors, served, found):
            return (
                f"{named} | {found.value:.3f} | {found.low:.3f} to {found.high:.3f} | {cases} | {errors} | {served} |"
            )
        case few:
            return f"{named} | too few | – | {few.cases} | {few.errors} | – |"


def escape_markdown(value: str) -> str:
    """Return ``value`` so that Markdown shows it as it is: channels and segments come from outside."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#|!" else sign for sign in value).replace("\n", " ")
