"""A replay's result as a table in the terminal and as one HTML file that needs nothing else."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from pipelines.replay.results import ReplayResult, WeekResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEMPLATE: Final = "report.html.j2"
_COLOURS: Final = ("#1f5f8b", "#c2571a", "#3c7a3a", "#7a3c78")
_MARKERS: Final = ("o", "s", "^", "D")


def week_table(result: ReplayResult) -> Table:
    """Return the week-by-week table for the terminal."""
    tasks = list(result.weeks[-1].accuracy)
    title = f"{result.title}: week by week, on {result.sealed_cases} sealed test cases"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("week", "release", *tasks, "corrected/100", "handoffs", "labels", "gates said"):
        table.add_column(column, justify="left" if column == "gates said" else "right")
    for week in result.weeks:
        accuracy = [f"{week.accuracy[task].accuracy:.1%}" if task in week.accuracy else "–" for task in tasks]
        table.add_row(*_cells(week, accuracy))
    return table


def phase_table(result: ReplayResult) -> Table:
    """Return where the time went, for the terminal."""
    table = Table(title="Where the time went", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    for phase, seconds in result.seconds.items():
        table.add_row(phase, f"{seconds:.1f}")
    table.add_row("all", f"{sum(result.seconds.values()):.1f}", style="bold")
    return table


def write_report(result: ReplayResult, path: Path) -> None:
    """Write the report with its plots into one HTML file; texts are escaped."""
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("pipelines", "replay"), autoescape=True).get_template(_TEMPLATE)
    tasks = list(result.weeks[-1].accuracy)
    plots = [_plot_accuracy(result.weeks, tasks), _plot_load(result.weeks), _plot_seconds(result)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.render(result=result, tasks=tasks, plots=plots), encoding="utf-8")


def _cells(week: WeekResult, accuracy: Sequence[str]) -> list[str]:
    live = week.week > 0
    return [
        str(week.week),
        week.champion or "none",
        *accuracy,
        f"{week.corrections_per_100:.1f}" if live else "–",
        str(week.handoffs) if live else "–",
        str(week.labels),
        week.verdict,
    ]


def _plot_accuracy(weeks: Sequence[WeekResult], tasks: Sequence[str]) -> str:
    figure, axes = _canvas()
    for task, colour, marker in zip(tasks, _COLOURS, _MARKERS, strict=False):
        known = [week for week in weeks if task in week.accuracy]
        numbers = [week.week for week in known]
        middle = [100 * week.accuracy[task].accuracy for week in known]
        below = [100 * week.accuracy[task].low for week in known]
        above = [100 * week.accuracy[task].high for week in known]
        axes.fill_between(numbers, below, above, color=colour, alpha=0.15, linewidth=0)
        axes.plot(numbers, middle, color=colour, marker=marker, label=task)
    axes.set_title("The champion's accuracy on the sealed test, with 95% intervals")
    axes.set_ylabel("accuracy, %")
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure, axes, weeks)


def _plot_load(weeks: Sequence[WeekResult]) -> str:
    figure, axes = _canvas()
    live = [week for week in weeks if week.week > 0]
    numbers = [week.week for week in live]
    handed = [100 * week.handoffs / week.messages if week.messages else 0 for week in live]
    axes.plot(numbers, [week.corrections_per_100 for week in live], color=_COLOURS[1], marker="s", label="corrections")
    axes.plot(numbers, handed, color=_COLOURS[0], marker="o", label="handoffs")
    axes.set_ylim(bottom=0)
    axes.set_title("What people had to do, per 100 messages")
    axes.set_ylabel("per 100 messages")
    axes.legend(frameon=False)
    return _svg(figure, axes, live)


def _plot_seconds(result: ReplayResult) -> str:
    figure, axes = _canvas()
    phases = list(result.seconds)
    bars = axes.barh(phases, [result.seconds[phase] for phase in phases], color=_COLOURS[0])
    axes.bar_label(bars, fmt="%.0f s", padding=3)
    axes.invert_yaxis()
    axes.set_title("Where the time went")
    axes.set_xlabel("seconds")
    return _svg(figure, axes, ())


def _canvas() -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: "Figure", axes: "Axes", weeks: Sequence[WeekResult]) -> str:
    if weeks:
        axes.set_xticks([week.week for week in weeks])
        axes.set_xlabel("week")
        axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]
