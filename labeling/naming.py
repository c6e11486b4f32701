"""What a task and a label may be called."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from labeling.vocabulary import CANNOT_TELL, HANDOFF, NONE_OF_THESE

RESERVED_LABELS: Final = (NONE_OF_THESE, CANNOT_TELL)
"""Answers that a task has by itself: no label is called so."""

RESERVED_TASKS: Final = (HANDOFF, "dialogue")
"""What every labelling page has by itself: no task is called so."""


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise ValueError("a name is 1 to 64 lower-case letters, digits and underscores, and starts with a letter")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
"""A name as it stands in tables and on keys, the same for tasks and labels."""
