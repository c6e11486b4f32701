"""Paths into a JSON-like row: keys, dotted keys, and the one of a list whose key has a value."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

_STEP: Final = re.compile(r"(?P<key>[^.\[\]]+)(?:\[(?P<name>[^.\[\]=]+)=(?P<value>[^\[\]]*)\])?(?:\.|$)")


def check_path(path: str) -> None:
    """Raise ValueError unless ``path`` is one, such as ``id``, ``via.channel`` or ``custom_fields[id=7].value``."""
    _steps(path)


def pick(row: Mapping[str, Any], path: str) -> Any:
    """Return what stands at ``path`` in ``row``, None where nothing does; a key that holds dots is found whole."""
    if path in row:
        return row[path]
    found: Any = row
    for key, name, value in _steps(path):
        found = found.get(key) if isinstance(found, Mapping) else None
        if name:
            found = _pick_item(found, name, value)
        if found is None:
            return None
    return found


def _pick_item(items: Any, name: str, value: str) -> Any:
    if not isinstance(items, list):
        return None
    return next((item for item in items if isinstance(item, Mapping) and str(item.get(name)) == value), None)


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[tuple[str, str, str], ...]:
    steps, at = [], 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        steps.append((step["key"], step["name"] or "", step["value"] or ""))
        at = step.end()
    if not steps or at < len(path) or path.endswith("."):
        raise ValueError(f"a path needs keys joined by dots, each perhaps with [key=value], found {path!r}")
    return tuple(steps)
