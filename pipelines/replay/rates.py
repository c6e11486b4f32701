"""The demo's stated rates: how much is written, and how well its simulated people work (configs/demo.yaml)."""

from typing import Self

from pydantic import Field, model_validator

from labeling.config import Config
from pipelines.replay.agents import AgentRates
from pipelines.replay.annotators import AnnotatorRates
from pipelines.replay.feed import FeedRates


class DemoConfig(Config):
    """Everything that is made up in a demo, in one file; a replay of a labelled file uses its people only."""

    schema_version: int = Field(ge=1, le=1)
    feed: FeedRates
    agents: AgentRates
    annotators: tuple[AnnotatorRates, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [annotator.name for annotator in self.annotators]
        if len(set(names)) != len(names):
            raise ValueError(f"annotators need different names, found: {', '.join(names)}")
        return self
