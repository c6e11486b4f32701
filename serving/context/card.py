"""The context package as a card: one HTML page without scripts that needs nothing else, for a helpdesk's side bar."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from serving.context.package import ContextPackage, MoodPoint

WIDTH: Final = 300
HEIGHT: Final = 64
_PAD: Final = 8


def card(package: ContextPackage) -> str:
    """Return ``package`` as an HTML document; every text in it is escaped, so that markup is shown as text.

    It fits from 280 pixels on, has no script, form or address of anything outside, and may stand in an iframe with an
    empty ``sandbox``.
    """
    points = package.mood.points if package.mood else ()
    return (
        _environment()
        .get_template("card.html.j2")
        .render(package=package, dots=place_points(points), width=WIDTH, height=HEIGHT)
    )


def place_points(points: Sequence[MoodPoint]) -> list[tuple[float, float]]:
    """Return where each point stands in the picture: x from left to right, y from 1 (top) to -1 (bottom)."""
    step = (WIDTH - 2 * _PAD) / max(1, len(points) - 1)
    half = HEIGHT / 2 - _PAD
    return [
        (round(_PAD + step * number, 1), round(HEIGHT / 2 - half * point.score, 1))
        for number, point in enumerate(points)
    ]


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("serving.context"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters |= {"percent": _percent, "day": _day, "minutes": _minutes, "plain": _plain}
    return made


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"


def _plain(name: str) -> str:
    return name.replace("_", " ")
