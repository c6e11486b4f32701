"""Knowledge gaps: what people write about that no intent covers, grouped, counted over time and offered as intents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import polars as pl

from assets.quality_report import render, write_page
from assets.resources import Loop
from assets.review import features_of, labels, predictions
from labeling import tables as t
from labeling.digests import digest
from labeling.selection.emerging import count_weeks, find_clusters, find_telling_words, growth, match_groups
from labeling.selection.novelty import measure_novelty, usual_novelty
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER: Final = "emerging-intents"
PAGE: Final = "candidates.html"
OPEN: Final = "open"

_SMALLEST: Final = 5
_NEWEST: Final = 5000
"""Messages that are grouped at most: what is older is no news, and grouping costs the square of their number."""
_NEWEST_FIRST: Final = ("occurred_at", "interaction_id")
_LABELLED: Final = 50
"""With fewer labelled messages than this nothing can be said to lie far from them."""
_USUAL: Final = 0.95
_WEEKS: Final = 12
_EXAMPLES: Final = 5
_LATELY: Final = timedelta(days=28)


@dataclass(frozen=True)
class Candidate:
    """A candidate for a new intent, as reviewers see it.

    Attributes:
        candidate_id: names it as long as it lives.
        words: what tells its messages from others outside every label.
        examples: ids and texts of the most typical messages, redacted.
        size: how many messages there are.
        weeks: how many came in each of the last twelve weeks, the earliest first.
        growth: how surely there were more in the last six than before, a z-score.
        found_at: when it was first seen.
    """

    candidate_id: str
    words: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    size: int
    weeks: tuple[int, ...]
    growth: float
    found_at: datetime


@dg.asset(group_name="monitoring", deps=[labels, predictions])
def emerging_intents(loop: Loop) -> dg.MaterializeResult:
    """Messages outside every label, grouped: what the taxonomy may lack, for reviewers to accept or dismiss."""
    outside = _read_outside(loop)
    clusters = find_clusters(features_of(loop, outside["text"]), smallest=_SMALLEST)
    _follow_candidates(loop, [outside[list(one.members)] for one in clusters])
    found = read_candidates(loop)
    page = write_candidates(loop, found)
    metadata: dict[str, Any] = {
        "outside": outside.height,
        "groups": len(found),
        "largest": dg.MetadataValue.json([_facts(one) for one in found[:10]]),
        "report": dg.MetadataValue.url(f"{loop.settings.services.reports.address}/{FOLDER}/{page.name}"),
    }
    return dg.MaterializeResult(metadata=metadata)


def read_candidates(loop: Loop) -> list[Candidate]:
    """Return the candidates that wait for a decision, the largest first; texts are read as they are stored now."""
    told = loop.tables.read(t.CANDIDATE_INTENTS, where=(pl.col("state") == OPEN) & pl.col("place").is_not_null())
    names = pl.col("interaction_id").is_in(told["interaction_id"].implode())
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "occurred_at", "text"], where=names)
    joined = told.join(texts, on="interaction_id").sort("candidate_id", "place")
    groups = joined.partition_by("candidate_id", maintain_order=True)
    words = find_telling_words([group["text"].to_list() for group in groups], _read_others(loop, joined))
    found = [_describe(group, tuple(telling), loop.now()) for group, telling in zip(groups, words, strict=True)]
    return sorted(found, key=lambda one: (-one.size, one.candidate_id))


def write_candidates(loop: Loop, found: Sequence[Candidate]) -> Path:
    """Write the page for reviewers into the home, readable by its owner alone; return its path."""
    page = loop.folder.reports / FOLDER / PAGE
    page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shown = render(
        "emerging_intents.html.j2",
        title="Candidate intents",
        made_at=loop.now(),
        candidates=found,
        plots=[plot_weeks(one) for one in found],
        task=loop.settings.taxonomy.tasks[0],
    )
    write_page(page, shown)
    return page


def plot_weeks(candidate: Candidate) -> str:
    """Return how many messages of a candidate came week by week, as bars, SVG."""
    from matplotlib.figure import Figure

    from training.svg import as_svg

    figure = Figure(figsize=(3.6, 0.9), layout="constrained")
    axes: Axes = figure.subplots()
    axes.bar(range(-len(candidate.weeks) + 1, 1), candidate.weeks, color="#1f5f8b")
    axes.set_yticks([0, max(1, *candidate.weeks)])
    axes.set_xticks([-len(candidate.weeks) + 1, 0], [f"{len(candidate.weeks)} weeks ago", "this week"])
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    told = ", ".join(str(count) for count in candidate.weeks)
    return as_svg(figure, f"Messages a week, the earliest first: {told}")


def _read_outside(loop: Loop) -> pl.DataFrame:
    """Return ``interaction_id, occurred_at, text`` of the newest messages that no label of the first task covers.

    A person's "none of these" says so, and of messages that nobody has read the model's, or that they lie farther from
    everything that people have labelled than nearly all of that does from one another.
    """
    settled, said = _read_answers(loop)
    unread = said.join(settled, on="interaction_id", how="anti")
    known = pl.concat([settled, unread])
    outside = _read_texts(loop, known.filter(pl.col("label") == NONE_OF_THESE))
    inside = _read_texts(loop, settled.filter(~pl.col("label").is_in([NONE_OF_THESE, CANNOT_TELL])))
    if inside.height < _LABELLED:
        return outside
    asked = _read_texts(loop, unread.filter(pl.col("label") != NONE_OF_THESE))
    labelled = features_of(loop, inside["text"])
    novelty = measure_novelty(features_of(loop, asked["text"]), labelled)
    far = asked.filter(pl.Series(novelty > usual_novelty(labelled, _USUAL)))
    return pl.concat([outside, far]).sort(_NEWEST_FIRST, descending=True).head(_NEWEST)


def _read_answers(loop: Loop) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``interaction_id, label`` of what people settled for the first task, and of what the model said last."""
    topic = loop.settings.taxonomy.tasks[0].name
    mine, translate = pl.col("task") == topic, loop.settings.taxonomy.translate
    columns, reviewed = ["interaction_id", "task", "label"], mine & (pl.col("source") == "review")
    settled = translate(loop.tables.read(t.LABELS, columns=columns, where=reviewed))
    said = translate(loop.tables.read(t.PREDICTIONS, columns=[*columns, "predicted_at"], where=mine))
    newest = said.sort("predicted_at").unique("interaction_id", keep="last")
    return settled.select("interaction_id", "label"), newest.select("interaction_id", "label")


def _read_texts(loop: Loop, named: pl.DataFrame) -> pl.DataFrame:
    """Return ``interaction_id, occurred_at, text`` of the newest of the messages in ``named``."""
    asked = pl.col("interaction_id").is_in(named["interaction_id"].implode())
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "occurred_at", "text"], where=asked)
    return texts.sort(_NEWEST_FIRST, descending=True).head(_NEWEST)


def _read_others(loop: Loop, groups: pl.DataFrame) -> list[str]:
    """Return the newest texts of the last weeks that belong to no group: what the groups' words are held against."""
    lately = pl.col("occurred_at") > loop.now() - _LATELY
    columns = ["interaction_id", "occurred_at", "text"]
    texts = loop.tables.read(t.INTERACTIONS, columns=columns, where=lately).join(
        groups, on="interaction_id", how="anti"
    )
    return texts.sort(_NEWEST_FIRST, descending=True).head(_NEWEST)["text"].to_list()


def _follow_candidates(loop: Loop, groups: Sequence[pl.DataFrame]) -> None:
    """Store the groups as candidates: those that continue a known one keep its name, and what was decided of it."""
    stored = loop.tables.read(t.CANDIDATE_INTENTS)
    known = dict(stored.group_by("candidate_id").agg("interaction_id").iter_rows())
    about = {row["candidate_id"]: row for row in stored.unique("candidate_id").iter_rows(named=True)}
    members = [frozenset(group["interaction_id"]) for group in groups]
    names = match_groups(members, {name: frozenset(ids) for name, ids in known.items()})
    now, rows = loop.now(), []
    for group, ids, continued in zip(groups, members, names, strict=True):
        name = continued or f"c-{digest(sorted(ids))[:10]}"
        kept = {"state": OPEN, "found_at": now} | {
            column: about[name][column] for column in ("state", "label", "decided_by", "found_at") if name in about
        }
        rows += [
            {"candidate_id": name, "interaction_id": one, "place": place, "changed_at": now} | kept
            for place, one in enumerate(group["interaction_id"], start=1)
        ]
    fresh = t.CANDIDATE_INTENTS.frame(rows)
    gone = stored.join(fresh, on=["candidate_id", "interaction_id"], how="anti").drop_nulls("place")
    left = gone.with_columns(place=pl.lit(None, pl.Int32), changed_at=pl.lit(now, t.TIME))
    loop.tables.merge(t.CANDIDATE_INTENTS, pl.concat([fresh, left.select(fresh.columns)]))


def _describe(group: pl.DataFrame, words: tuple[str, ...], now: datetime) -> Candidate:
    weeks = count_weeks(group["occurred_at"], now=now, weeks=_WEEKS)
    shown = group.head(_EXAMPLES).select("interaction_id", "text")
    return Candidate(
        candidate_id=group["candidate_id"][0],
        words=words,
        examples=tuple(shown.iter_rows()),
        size=group.height,
        weeks=tuple(weeks),
        growth=growth(weeks),
        found_at=group["found_at"][0],
    )


def _facts(one: Candidate) -> dict[str, Any]:
    """Return what may stand in Dagster's history: no text, and no word of one."""
    return {
        "candidate": one.candidate_id,
        "size": one.size,
        "most_typical": one.examples[0][0],
        "weeks": list(one.weeks),
    }
