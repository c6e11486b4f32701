"""How far a SQL source has been read: a value of its cursor column, kept as JSON with its type."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

_KINDS: Final[Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "int": (int, str, int),
    "float": (float, repr, float),
    "decimal": (Decimal, str, Decimal),
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "text": (str, str, str),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "uuid": (UUID, str, UUID),
}


@dataclass(frozen=True)
class Cursor:
    """A value that a cursor column can have: a number, a time, a text, bytes (rowversion) or a UUID."""

    kind: str
    value: Any

    @classmethod
    def of(cls, value: Any) -> "Cursor | None":
        """Return ``value`` as a cursor, None where it has no place in an order (NaN, infinity, a flag, JSON)."""
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            return None
        return next((cls(kind, value) for kind, (cls_of, _, _) in _KINDS.items() if type(value) is cls_of), None)

    @classmethod
    def from_json(cls, pair: Any) -> "Cursor":
        """Return what ``to_json`` wrote."""
        kind, text = pair
        return cls(kind, _KINDS[kind][2](text))

    def to_json(self) -> list[str]:
        """Return kind and value as JSON, every digit kept."""
        return [self.kind, _KINDS[self.kind][1](self.value)]

    def before(self, overlap: float) -> Any:
        """Return the value ``overlap`` before this one: seconds of a time, whole days of a date, units of a number.

        Texts, bytes and UUIDs know no distance: they come back as they are.
        """
        try:
            if self.kind == "time":
                return self.value - timedelta(seconds=overlap)
            if self.kind == "date":
                return self.value - timedelta(days=math.ceil(overlap / 86_400))
            if self.kind == "int":
                return self.value - math.ceil(overlap)
            if self.kind in {"float", "decimal"}:
                return self.value - type(self.value)(overlap)
        except OverflowError:
            pass
        return self.value

    def is_after(self, now: datetime) -> bool:
        """Whether it is a time that has not come yet by the database's clock; a text may be one too."""
        value = self.value
        if self.kind == "text":
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return False
        if type(value) is date:
            return value > now.date()
        if not isinstance(value, datetime):
            return False
        if (value.tzinfo is None) != (now.tzinfo is None):
            now = now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now.replace(tzinfo=UTC)
        return value > now
