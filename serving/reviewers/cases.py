"""The cases whose answer changed: filtered, ordered and cut into pages before any text is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from serving.reviewers.ordering import Column, Head, Order, link_to, make_heads

NAME: Final = "cases"
PAGE_ROWS: Final = 50

KINDS: Final = {
    "lost": "lost: the champion was right",
    "won": "won: the challenger is right",
    "both_wrong": "changed, both wrong",
    "unlabelled": "changed, no person's label",
    "wrong": "the challenger is wrong",
}
SAMPLES: Final = {"test": "sealed test", "fresh": "fresh traffic"}
SLICES: Final = ("language", "channel", "segment")

_KEPT: Final = (
    "interaction_id",
    "text_digest",
    "truth",
    "champion",
    "challenger",
    "champion_confidence",
    "challenger_confidence",
    *SLICES,
)
_COLUMNS: Final = (
    Column("kind", "what changed"),
    Column("truth", "people's label"),
    Column("champion", "champion said"),
    Column("challenger", "challenger says"),
    *(Column(dimension, dimension) for dimension in SLICES),
)
_CONFIDENCES: Final = (
    Column("challenger_confidence", "how sure the challenger is", is_number=True),
    Column("champion_confidence", "how sure the champion was", is_number=True),
)
_ORDERS: Final = (*_COLUMNS, *_CONFIDENCES)
_RANK: Final = {"lost": 0, "unlabelled": 1, "both_wrong": 2, "won": 3, "wrong": 4}


@dataclass(frozen=True)
class Choice:
    """One value of a filter, with the number of cases that have it."""

    value: str
    title: str
    cases: int


@dataclass(frozen=True)
class CasesPage:
    """One page of the cases whose answer changed.

    ``changed`` counts all, ``found`` those that the filters leave; ``rows`` are those of page ``number`` of ``pages``.
    ``filters`` are the choices by parameter, ``orders`` those of the order, ``asked`` what was chosen.
    """

    rows: Sequence[Mapping[str, Any]]
    heads: Sequence[Head]
    filters: Mapping[str, Sequence[Choice]]
    orders: Sequence[Choice]
    asked: Mapping[str, str]
    changed: int
    found: int
    number: int
    pages: int
    before: str
    after: str


def changed_cases(tested: pl.DataFrame, fresh: pl.DataFrame | None) -> pl.DataFrame:
    """Return the cases that the champion and the challenger answer differently; before a first champion, wrong ones.

    Args:
        tested: answers on the sealed test, as a case file holds them.
        fresh: those on the sample of fresh traffic; None where none was drawn.

    Returns:
        The identifying columns, answers and confidences, with ``kind`` (of KINDS) and ``sample`` (of SAMPLES).
    """
    samples = {"test": tested} | ({} if fresh is None else {"fresh": fresh})
    rows = pl.concat(frame.select(_KEPT).with_columns(sample=pl.lit(name)) for name, frame in samples.items())
    if rows["champion"].null_count() == rows.height:
        return rows.filter(pl.col("challenger") != pl.col("truth")).with_columns(kind=pl.lit("wrong"))
    truth, now, before = pl.col("truth"), pl.col("challenger"), pl.col("champion")
    kind = (
        pl.when(truth.is_null())
        .then(pl.lit("unlabelled"))
        .when(before == truth)
        .then(pl.lit("lost"))
        .when(now == truth)
        .then(pl.lit("won"))
        .otherwise(pl.lit("both_wrong"))
    )
    return rows.filter(before != now).with_columns(kind=kind)


def choose_cases(changed: pl.DataFrame, query: Mapping[str, str]) -> CasesPage:
    """Return the page that ``query`` asks for; parameters that make no sense are passed over."""
    asked = {name: query.get(name, "") for name in ("label", "kind", "slice", "sample")}
    found = changed.filter(*_conditions(asked))
    order = Order.parse(query.get(NAME, ""), _ORDERS, Order("kind", is_descending=False))
    pages = max(1, -(-found.height // PAGE_ROWS))
    number = min(max(1, int(query["page"])), pages) if query.get("page", "").isdecimal() else 1
    shown = _sort(found, order).slice((number - 1) * PAGE_ROWS, PAGE_ROWS)
    return CasesPage(
        rows=shown.to_dicts(),
        heads=make_heads(NAME, _COLUMNS, order, {**query, "page": ""}),
        filters=_filters(changed),
        orders=_orders(order),
        asked={**asked, NAME: str(order)},
        changed=changed.height,
        found=found.height,
        number=number,
        pages=pages,
        before=link_to(query, NAME, page=str(number - 1)) if number > 1 else "",
        after=link_to(query, NAME, page=str(number + 1)) if number < pages else "",
    )


def _conditions(asked: Mapping[str, str]) -> list[pl.Expr]:
    conditions = []
    if label := asked["label"]:
        conditions.append(pl.any_horizontal(pl.col("truth", "champion", "challenger").eq_missing(pl.lit(label))))
    conditions += [pl.col(name) == asked[name] for name in ("kind", "sample") if asked[name]]
    dimension, _, value = asked["slice"].partition(":")
    if dimension in SLICES:
        conditions.append(pl.col(dimension) == value)
    return conditions


def _sort(rows: pl.DataFrame, order: Order) -> pl.DataFrame:
    by = pl.col("kind").replace_strict(_RANK, return_dtype=pl.Int8) if order.key == "kind" else pl.col(order.key)
    surest = pl.col("challenger_confidence")
    return rows.sort(
        by, surest, "interaction_id", descending=[order.is_descending, True, False], nulls_last=[True, True, False]
    )


def _orders(order: Order) -> list[Choice]:
    """Return every order that may be asked for, with the present one as it stands."""
    choices = [Choice(str(Order(each.key, each.is_number)), each.title, 0) for each in _ORDERS if each.key != order.key]
    present = next(each.title for each in _ORDERS if each.key == order.key)
    return [Choice(str(order), present, 0), *choices]


def _filters(changed: pl.DataFrame) -> dict[str, list[Choice]]:
    names = pl.concat(changed[column] for column in ("truth", "champion", "challenger")).drop_nulls()
    labels = [Choice(label, label, 0) for label in names.unique().sort()]
    slices = [
        Choice(f"{dimension}:{choice.value}", f"{dimension}: {choice.value}", choice.cases)
        for dimension in SLICES
        for choice in _count(changed[dimension], None)
    ]
    kinds, samples = _count(changed["kind"], KINDS), _count(changed["sample"], SAMPLES)
    return {"kind": kinds, "label": labels, "slice": slices, "sample": samples}


def _count(values: pl.Series, titles: Mapping[str, str] | None) -> list[Choice]:
    counts = dict(values.drop_nulls().rename("value").value_counts(name="cases").iter_rows())
    ordered = [name for name in titles if name in counts] if titles else sorted(counts)
    return [Choice(name, titles[name] if titles else name, counts[name]) for name in ordered]
