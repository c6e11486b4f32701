"""An answer as Label Studio stores it, and back: which control of the page holds what."""

from collections.abc import Mapping
from typing import Any, Final

from labeling.desk.desk import NOTE, SECOND
from labeling.desk.interface import DIALOGUE, STEP

_CHOICES: Final = "choices"
_TEXT: Final = "text"


def write_result(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return an answer as Label Studio stores it.

    Args:
        given: question → answer; a second label stands under the task's name with ``SECOND`` behind it, as a person
            would type it (a key, a name or a title), and the note under ``NOTE``.
    """
    return [_item(name, value) for name, value in given.items()]


def read_result(result: object) -> dict[str, object]:
    """Return control → its one choice or text, or everything it holds where that is not one; nothing is believed."""
    found: dict[str, object] = {}
    for item in result if isinstance(result, list) else ():
        if not isinstance(item, dict) or not isinstance(item.get("from_name"), str) or item["from_name"] == STEP:
            continue
        held = _held(item)
        if held is not None:
            name, one = item["from_name"], held[0] if len(held) == 1 else held
            found[name] = one if name not in found else [found[name], one]
    return found


def _item(name: str, value: str) -> dict[str, Any]:
    kind, holds = ("textarea", _TEXT) if name == NOTE or name.endswith(SECOND) else (_CHOICES, _CHOICES)
    return {"from_name": name, "to_name": DIALOGUE, "type": kind, "value": {holds: [value]}}


def _held(item: Mapping[str, Any]) -> list[object] | None:
    """Return what a control holds, None where it is no control of ours."""
    holds = {_CHOICES: _CHOICES, "textarea": _TEXT}.get(str(item.get("type")))
    if holds is None:
        return None
    value = item.get("value")
    held = value.get(holds) if isinstance(value, dict) else None
    return held if isinstance(held, list) else [held]
