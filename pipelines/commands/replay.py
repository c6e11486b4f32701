"""``cxloop replay``: the same loop over any labelled file."""

from typing import Annotated, Literal

import typer

from pipelines.commands.options import DeskOption, HomeOption, name_home
from pipelines.terminal import resumable


def replay(  # noqa: PLR0917 - one option each
    intent: Annotated[
        str, typer.Option(help="Labelled texts (.csv, .jsonl, .parquet with text and label), or a hub data set's id.")
    ],
    sentiment: Annotated[
        str, typer.Option(help="The same for sentiment; a column ratings (-4 to 4, joined by |) is drawn from.")
    ] = "",
    seed_labels: Annotated[int, typer.Option(min=10, help="Labels of each file that the first champion gets.")] = 500,
    weeks: Annotated[int, typer.Option(min=1, help="The rest arrives in so many weeks, a round of reviews each.")] = 3,
    reviews: Annotated[int, typer.Option(min=1, help="Cases that people read each week, beside audit cases.")] = 300,
    strategy: Annotated[
        Literal["cover", "uniform"], typer.Option(help="How those are chosen; uniform draws them alike, to compare.")
    ] = "cover",
    seed: Annotated[int, typer.Option(min=0, help="Decides every order, answer and mistake.")] = 0,
    desk: DeskOption = "label_studio",
    home: HomeOption = None,
) -> None:
    """Watch the loop learn a labelled file of yours.

    A part of the file trains the first champion, the rest arrives as weeks of messages; simulated people answer as the
    file says, with the mistakes that configs/demo.yaml states. Rows whose column split says test are sealed: they
    measure each champion and are never played. A file without such rows is measured on the audit lot.
    """
    with resumable():
        from pipelines.replay.labelled_script import FileOptions, labelled_script
        from pipelines.replay.showing import show_replay

        options = FileOptions(
            files={"intent": intent, **({"sentiment": sentiment} if sentiment else {})},
            seed_labels=seed_labels,
            weeks=weeks,
            reviews=reviews,
            strategy=strategy,
            seed=seed,
            desk=desk,
        )
        show_replay(labelled_script(options), name_home(home))
