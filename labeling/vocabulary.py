"""The words that stand in tables: one word for one thing, everywhere."""

from typing import Final, Literal

Lot = Literal["open", "audit"]
Part = Literal["calibrate", "test", "estimate"]
LOTS: Final = ("open", "audit")
PARTS: Final = ("calibrate", "test", "estimate")

NONE_OF_THESE: Final = "none_of_these"
"""A person's answer that a message is outside every label of a task; the reject class of a model."""

CANNOT_TELL: Final = "cannot_tell"
"""A person's answer that nobody could know; counted, never trained on."""

HANDLERS: Final = ("ai", "agent")
TRIGGERS: Final = ("handoff", "customer", "agent")
ALIASES: Final = ("challenger", "champion")
