"""Which key of the keyboard stands for which answer of the page."""

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final

from labeling.desk.desk import NOTE, SECOND
from labeling.desk.page_tasks import HANDOFF_TASK, groups, is_small
from labeling.taxonomy import Task, Taxonomy

_DIGITS, _TOP, _HOME, _BOTTOM = "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"
_MARKS: Final = ",./[]'"
"""Punctuation that Label Studio hears in every browser; it is deaf to the next three in Firefox."""
_MARKS_OF_CHROMIUM: Final = "-=;"

FIELD_KEYS: Final = MappingProxyType({SECOND: "\\", NOTE: "`"})
"""The keys that lead to the field for a second label, and to the note."""


def _shifted(row: str) -> tuple[str, ...]:
    return tuple(f"shift+{key}" for key in row)


_ROWS: Final = (
    *(tuple(row) for row in (_DIGITS, _TOP, _HOME)),
    *(_shifted(row) for row in (_DIGITS, _TOP, _HOME, _BOTTOM)),
    tuple(_MARKS),
    _shifted(f"{_MARKS}\\`"),
    tuple(_MARKS_OF_CHROMIUM),
    _shifted(_MARKS_OF_CHROMIUM),
    tuple(_BOTTOM),
)
_SMALL_ROWS: Final = (tuple(_BOTTOM), _shifted(_BOTTOM), *_ROWS[7:10], _shifted(_HOME), _shifted(_TOP))
_TYPED: Final = dict(zip(f"{_DIGITS}{_MARKS}\\`{_MARKS_OF_CHROMIUM}", '!@#$%^&*()<>?{}"|~_+:', strict=True))


def page_keys(taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    """Return question → answer → key. A key never moves between cases and never stands for two answers.

    The handoff has B, N and M. A task with at most seven answers takes one row of letters. A larger one gets a key row
    for each of its domains, so that hands learn where a domain lies, and the comma and the full stop for "none of
    these" and "cannot tell"; where the rows are too few, the keys are dealt out in order instead. Answers that are
    left without a key (more labels than keys) can still be clicked.
    """
    keys = {HANDOFF_TASK.name: dict(zip(HANDOFF_TASK.answers, "bnm", strict=True))}
    taken = set(keys[HANDOFF_TASK.name].values())
    for task in sorted(taxonomy.tasks, key=lambda task: not is_small(task)):
        rows = _SMALL_ROWS if is_small(task) else _ROWS
        free = [tuple(key for key in row if key not in taken) for row in rows]
        keys[task.name] = _deal_row(task, free) if is_small(task) else _deal_rows(task, free)
        taken |= set(keys[task.name].values())
    return keys


def typed_as(key: str) -> str:
    """Return the character that ``key`` writes into a field of text, on a US keyboard: "Q" for "shift+q"."""
    plain = key.removeprefix("shift+")
    return plain if plain == key else _TYPED.get(plain, plain.upper())


def _deal_row(task: Task, free: Sequence[tuple[str, ...]]) -> dict[str, str]:
    fitting = next((row for row in free if len(row) >= len(task.answers)), chain(*free))
    return dict(zip(task.answers, fitting, strict=False))


def _deal_rows(task: Task, free: Sequence[tuple[str, ...]]) -> dict[str, str]:
    *domains, (_, reserved) = groups(task)
    marks = [key for row in free for key in row if key in _MARKS]
    keys = dict(zip(reserved, marks, strict=False))
    rows = [row for row in (tuple(key for key in row if key not in keys.values()) for row in free) if row]
    names = [names for _, names in domains]
    left = [name for name in reserved if name not in keys]
    in_order = dict(zip(chain(left, *names), chain(*rows), strict=False))
    return ((not left and _deal_by_domain(names, rows)) or in_order) | keys


def _deal_by_domain(domains: Sequence[tuple[str, ...]], rows: list[tuple[str, ...]]) -> dict[str, str] | None:
    """Give each domain the first row that holds it, else as many as it needs; None where there are too few rows."""
    keys: dict[str, str] = {}
    left = list(rows)
    for names in domains:
        waiting = names
        while waiting:
            row = next((row for row in left if len(row) >= len(waiting)), left[0] if left else None)
            if row is None:
                return None
            left.remove(row)
            keys |= dict(zip(waiting, row, strict=False))
            waiting = waiting[len(row) :]
    return keys
