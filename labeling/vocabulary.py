"""The words that stand in tables: one word for one thing, everywhere."""

from typing import Final, Literal, get_args

Lot = Literal["open", "audit"]
Part = Literal["calibrate", "test", "estimate"]
LOTS: Final = ("open", "audit")
PARTS: Final = ("calibrate", "test", "estimate")

NONE_OF_THESE: Final = "none_of_these"
"""A person's answer that a message is outside every label of a task; the reject class of a model."""

CANNOT_TELL: Final = "cannot_tell"
"""A person's answer that nobody could know; counted, never trained on."""

HANDOFF: Final = "handoff"
"""The question beside the taxonomy's tasks: should a person take this over? It never trains a model."""

NEEDED: Final = "needed"
NOT_NEEDED: Final = "not_needed"

HANDLERS: Final = ("ai", "agent")
TRIGGERS: Final = ("handoff", "customer", "agent")
Helped = Literal["helped", "hindered", "neither"]
HELPED: Final = get_args(Helped)
"""What the AI did for an agent who took over, in the agent's words."""
NOTHING: Final = "nothing"
"""An agent's word that nothing was missing in the context package."""
PackagePart = Literal[
    "intent", "reasons", "sentiment", "summary", "asked", "facts", "similar_cases", "history", "other"
]
PACKAGE_PARTS: Final[tuple[str, ...]] = get_args(PackagePart)
"""What an agent can say was missing in the context package, or wrong there."""

ALIASES: Final = ("challenger", "champion")

JUDGING: Final = "judging"
"""The reason of a case that asks which of two releases is right where they answer differently."""

SILENCE: Final = "silence"
"""The source of a label that rests on an agent's leaving an answer as it was: it trains and measures nothing."""
