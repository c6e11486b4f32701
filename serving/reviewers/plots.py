"""The geometry of the curves: points and paths in a drawing's own units, which the template puts into inline SVG.

The two models differ by line and by mark, so that the drawing reads without colour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 420
HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 24, 32, 44
_MARKS: Final = 9
_LEAST_CASES: Final = 10
"""A bin of fewer cases is left out: its accuracy is chance."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A line of the grid at ``place`` and the figure that stands at it."""

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """One model's curve: an SVG path, and the places of its marks."""

    who: str
    path: str
    marks: Sequence[Point]


@dataclass(frozen=True)
class Plot:
    """One drawing.

    ``summary`` says in words what is to be seen. ``diagonal`` is the path of what would be perfect, "" where there is
    no such line.
    """

    name: str
    title: str
    summary: str
    across: str
    up: str
    columns: Sequence[Tick]
    rows: Sequence[Tick]
    lines: Sequence[Line]
    diagonal: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw_reliability(curves: Mapping[str, Sequence[tuple[float, float, int]]], summary: str) -> Plot:
    """Draw accuracy over confidence; ``curves`` hold (mean confidence, accuracy, cases) a bin, by model."""
    kept = {
        who: [(sure, right) for sure, right, cases in bins if cases >= _LEAST_CASES] for who, bins in curves.items()
    }
    lines = [_line(who, points, 1.0, marked=range(len(points))) for who, points in kept.items()]
    ends = [_place(0, 0, 1.0), _place(1, 1, 1.0)]
    return Plot(
        name="calibration",
        title="Calibration",
        summary=summary,
        across="confidence",
        up="share that was right",
        columns=_ticks_across(),
        rows=_ticks_up(1.0),
        lines=lines,
        diagonal=_path(ends),
    )


def draw_risk(curves: Mapping[str, Sequence[tuple[float, float]]], summary: str) -> Plot:
    """Draw the share of wrong answers over the share kept; ``curves`` hold (coverage, risk), by model."""
    highest = max((risk for points in curves.values() for _, risk in points), default=0.0)
    top = next(each for each in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if highest <= each)
    lines = [_line(who, points, top, marked=_spread(len(points))) for who, points in curves.items()]
    return Plot(
        name="risk-coverage",
        title="Risk and coverage",
        summary=summary,
        across="share of messages that the model keeps",
        up="share of those that is wrong",
        columns=_ticks_across(),
        rows=_ticks_up(top),
        lines=lines,
        diagonal="",
    )


def _line(who: str, points: Sequence[Point], top: float, *, marked: Iterable[int]) -> Line:
    placed = [_place(across, up, top) for across, up in points]
    return Line(who, _path(placed), [placed[number] for number in marked])


def _spread(count: int) -> list[int]:
    return sorted({round(step * (count - 1) / (_MARKS - 1)) for step in range(_MARKS)}) if count else []


def _place(across: float, up: float, top: float) -> Point:
    x = _LEFT + across * (WIDTH - _LEFT - _RIGHT)
    y = HEIGHT - _BOTTOM - min(up / top, 1.0) * (HEIGHT - _TOP - _BOTTOM)
    return round(x, 1), round(y, 1)


def _path(points: Sequence[Point]) -> str:
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _ticks_across() -> list[Tick]:
    return [Tick(_place(step / 5, 0, 1.0)[0], f"{step / 5:.0%}") for step in range(6)]


def _ticks_up(top: float) -> list[Tick]:
    return [Tick(_place(0, step * top / 5, top)[1], f"{100 * step * top / 5:.3g}%") for step in range(6)]
