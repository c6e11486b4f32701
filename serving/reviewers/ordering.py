"""Tables that a visitor puts in another order: by links in their heads, so that they work without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Column:
    """A column that a table can be ordered by; ``is_number`` ones are set flush right and begin with the largest."""

    key: str
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Order:
    """By which column a table stands, and which way."""

    key: str
    is_descending: bool

    @classmethod
    def parse(cls, asked: str, columns: Sequence[Column], default: "Order") -> "Order":
        """Return the order that a query asks for (``-key`` for descending), ``default`` where it names no column."""
        key = asked.removeprefix("-")
        known = any(column.key == key for column in columns)
        return cls(key, asked.startswith("-")) if known else default

    def __str__(self) -> str:
        """Return the order as a query holds it."""
        return f"{'-' if self.is_descending else ''}{self.key}"

    def by(self, column: Column) -> "Order":
        """Return the order that a click on the head of ``column`` leads to."""
        if column.key == self.key:
            return Order(column.key, not self.is_descending)
        return Order(column.key, column.is_number)

    def aria(self, column: Column) -> str:
        """Return what a screen reader is told of the head of ``column``."""
        if column.key != self.key:
            return "none"
        return "descending" if self.is_descending else "ascending"


@dataclass(frozen=True)
class Head:
    """The head of one column: the ``link`` that orders by it, and how the table stands now."""

    column: Column
    link: str
    aria: str


@dataclass(frozen=True)
class OrderedTable:
    """Rows in an order; ``name`` is the query's parameter and the section's anchor."""

    name: str
    heads: Sequence[Head]
    rows: Sequence[Mapping[str, Any]]


def order_rows(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    default: Order,
    query: Mapping[str, str],
) -> OrderedTable:
    """Put ``rows`` in the order that ``query[name]`` asks for; what is None comes last either way."""
    order = Order.parse(query.get(name, ""), columns, default)
    known = [row for row in rows if row[order.key] is not None]
    unknown = [row for row in rows if row[order.key] is None]
    known.sort(key=lambda row: row[order.key], reverse=order.is_descending)
    return OrderedTable(name, make_heads(name, columns, order, query), [*known, *unknown])


def make_heads(name: str, columns: Sequence[Column], order: Order, query: Mapping[str, str]) -> list[Head]:
    """Return the heads of ``columns`` in a table that stands in ``order``."""
    return [
        Head(column, link_to(query, name, **{name: str(order.by(column))}), order.aria(column)) for column in columns
    ]


def link_to(query: Mapping[str, str], anchor: str, **changed: str) -> str:
    """Return a link to this page with some parameters changed ("" leaves one out), at ``anchor``."""
    kept = {name: text for name, text in {**query, **changed}.items() if text}
    return f"?{urlencode(kept)}#{anchor}"
