"""Pictures as SVG: the same figure gives the same bytes, and a screen reader can name it."""

import io
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def as_svg(figure: "Figure", title: str) -> str:
    """Return ``figure`` as an SVG that a screen reader calls ``title``."""
    from matplotlib import rc_context

    drawn = io.StringIO()
    with rc_context({"svg.hashsalt": title}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    said = drawn.getvalue()
    return said[said.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
