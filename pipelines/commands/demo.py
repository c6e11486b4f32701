"""``cxloop demo``: four weeks of a fictional company's support messages through the whole loop."""

from typing import Annotated

import typer

from pipelines.commands.options import DeskOption, HomeOption, name_home
from pipelines.terminal import resumable


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Decides every message, answer and mistake.")] = 7,
    desk: DeskOption = "label_studio",
    home: HomeOption = None,
) -> None:
    """Watch the whole loop turn on a fictional company's support messages.

    A small first champion is trained on the history. Then, for four weeks, messages come in, agents correct and take
    over, doubtful cases go to Label Studio, simulated people answer there, two models are trained and judged, and a
    reviewer promotes what passed. It ends with a table and a report. Stop it at any point: the same command goes on.
    """
    with resumable():
        from pipelines.replay.demo import demo_script
        from pipelines.replay.showing import show_replay

        show_replay(demo_script(seed=seed, desk=desk), name_home(home))
