"""What a person decides about the cases that people read: how many a day, for which reasons, and how they go out."""

from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from labeling.config import Config
from labeling.sources.lots import LotPolicy

AUDIT: Final = "audit"
"""The reason of every audit case."""

_VERSION: Final = 2


class ReasonShares(Config):
    """How the budget is split by reason; the shares sum to 1. What one reason cannot use goes to uncertainty.

    Attributes:
        uncertainty: what the model is least sure of, spread over the pool; typical texts first while labels are few.
        disagreement: what an agent corrected, or what the champion sees otherwise than the one before it.
        handoff: escalations whose outcome says that the handoff came late, or for nothing.
        novelty: what lies far from everything that people labelled.
        gate_request: what a gate lacked cases of.
        label_error: labels that are likely errors, asked again.
    """

    uncertainty: float = Field(ge=0, le=1)
    disagreement: float = Field(ge=0, le=1)
    handoff: float = Field(ge=0, le=1)
    novelty: float = Field(ge=0, le=1)
    gate_request: float = Field(ge=0, le=1)
    label_error: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the reasons must sum to 1, found {total:g}")
        return self


class SelectionPolicy(Config):
    """configs/selection.yaml.

    Attributes:
        budget: cases of the open lot that people can read a day; audit cases come on top.
        cap_per_person: cases a day that one person is asked for (>= 1): the day's budget is at most this times the
            people who answered lately.
        strategy: cover chooses by the shares; uniform spends the whole budget on cases drawn alike (for comparison).
        shares: what the budget goes to, once gold cases took theirs.
        cap_per_intent: the share of a selection that cases of one predicted label may take, in (0, 1]; an even share
            of the labels is always allowed.
        breadth: uncertain cases are spread over the ``breadth`` times as many least sure ones (>= 1).
        duplicate_similarity: the cosine from which two texts are near-duplicates, of which one is picked, and none
            where one is labelled.
        gold_share: the share of the budget that asks again what is known well, hidden among the others.
        overlap_share: the share of cases that two people answer.
        blind_share: the share of open cases shown without a suggestion; audit cases always are.
        lots: which conversations are audited.
    """

    schema_version: Literal[2]
    budget: int = Field(ge=0)
    cap_per_person: int = Field(ge=1)
    strategy: Literal["cover", "uniform"]
    shares: ReasonShares
    cap_per_intent: float = Field(gt=0, le=1)
    breadth: float = Field(ge=1)
    duplicate_similarity: float = Field(gt=0, le=1)
    gold_share: float = Field(ge=0, le=0.5)
    overlap_share: float = Field(ge=0, le=1)
    blind_share: float = Field(ge=0, le=1)
    lots: LotPolicy

    @field_validator("schema_version", mode="before")
    @classmethod
    def _check_version(cls, found: Any) -> Any:
        if found != _VERSION:
            raise ValueError(
                f"version {_VERSION} is needed, found {found!r}: add cap_per_person, cap_per_intent, gold_share, and "
                "under shares gate_request and label_error, as in the packaged selection.yaml"
            )
        return found
