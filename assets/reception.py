"""How agents who took over received the context package: whether the AI had helped, and what was missing, by intent."""

import base64
import io
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import polars as pl

from assets.accuracy_words import escape_markdown
from assets.resources import Loop
from assets.review import labels, predictions
from labeling.vocabulary import PACKAGE_PARTS
from serving.context.feedback import report_feedback

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = {"helped": "#2a7f62", "neither": "#9aa5b0", "hindered": "#b3402a"}
_MOST: Final = 16
"""How many intents the picture has room for; the table has all of them."""


@dg.asset(group_name="monitoring", deps=["context_feedback", labels, predictions])
def context_reception(loop: Loop) -> dg.MaterializeResult:
    """What agents say of the context packages, by intent: did the AI help or hinder, and what was missing."""
    found = report_feedback(loop.tables, taxonomy=loop.settings.taxonomy)
    packages = int(found["feedback"].sum())
    metadata: dict[str, Any] = {"packages": packages}
    if packages:
        metadata |= {
            "helped_share": found["helped"].sum() / packages,
            "hindered_share": found["hindered"].sum() / packages,
            "by_intent": dg.MetadataValue.md(tell_reception(found)),
            "plot": dg.MetadataValue.md(plot_reception(found)),
        }
    return dg.MaterializeResult(metadata=metadata)


def tell_reception(found: pl.DataFrame) -> str:
    """Return the counts as a table in Markdown: a row an intent, parts that were never missing left out.

    Args:
        found: ``report_feedback``.
    """
    parts = [part for part in PACKAGE_PARTS if found[f"missing_{part}"].sum()]
    heads = ["intent", "packages", "helped", "hindered", *(f"{part.replace('_', ' ')} missing" for part in parts)]
    columns = ["feedback", "helped", "hindered", *(f"missing_{part}" for part in parts)]
    rows = [
        [escape_markdown(row["intent"]), *(str(row[column]) for column in columns)]
        for row in found.iter_rows(named=True)
    ]
    lines = [heads, ["---", *("---:" for _ in columns)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot_reception(found: pl.DataFrame) -> str:
    """Return by intent how many agents were helped, hindered or neither, as an image in Markdown.

    Args:
        found: ``report_feedback``, not empty.
    """
    from matplotlib.figure import Figure

    shown = found.head(_MOST).with_columns(neither=pl.col("feedback") - pl.col("helped") - pl.col("hindered"))
    figure = Figure(figsize=(7, 0.9 + 0.28 * shown.height), layout="constrained")
    axes: Axes = figure.subplots()
    left = pl.zeros(shown.height, eager=True)
    for name, colour in _COLOURS.items():
        axes.barh(shown["intent"].to_list(), shown[name].to_list(), left=left.to_list(), color=colour, label=name)
        left += shown[name]
    axes.invert_yaxis()
    axes.set_title("What the AI did for agents who took over, packages", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, ncols=len(_COLOURS), loc="lower right", bbox_to_anchor=(1, 1))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    return f"![by intent](data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()})"
