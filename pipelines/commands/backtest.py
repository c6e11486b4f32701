"""``cxloop backtest``: which way of choosing what to label pays, on any labelled file."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.terminal import STOPPED, say


def backtest(  # noqa: PLR0917 - one option each
    intent: Annotated[
        str, typer.Option(help="Labelled texts (.csv, .jsonl, .parquet with text and label), or a hub data set's id.")
    ],
    text_column: Annotated[str, typer.Option(help="What the column of texts is called.")] = "text",
    label_column: Annotated[str, typer.Option(help="What the column of labels is called.")] = "label",
    budget: Annotated[
        int | None, typer.Option(min=2, help="The most labels to spend; uniform goes on, to compare.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is played, with other draws.")] = 3,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="One to compare with uniform, or several: margin, entropy, badge, cover, graph, system."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The JSON to write; the plot goes beside it as .svg.")] = Path(
        "backtest.json"
    ),
) -> None:
    """See which way of choosing what to label would have paid on a labelled file of yours.

    Each strategy is given a few labels at a time and measured after each batch on texts that it never sees: rows whose
    column split says test, or else a drawn share. The strategy system learns from the labels' names too: leave them
    as people would say them. Nothing is written but the JSON and the plot; no home is needed.
    """
    try:
        from pipelines.replay.backtesting import BacktestOptions, show_backtest

        show_backtest(
            BacktestOptions(
                intent=intent,
                text_column=text_column,
                label_column=label_column,
                budget=budget,
                seeds=seeds,
                strategies=tuple(strategy or ()),
                out=out,
            )
        )
    except KeyboardInterrupt:
        say("Stopped: nothing was written.", style="yellow")
        raise typer.Exit(STOPPED) from None
