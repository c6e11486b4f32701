"""Where a conversation is put for good when it arrives: the open lot, or a part of the audit lot.

Membership depends on the conversation's id and the key alone: no model, score or person can move it, which is what
lets accuracy on the audit lot stand for accuracy on all traffic.
"""

from typing import Self

import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config
from labeling.digests import keyed_digest

_HEX_DIGITS = 13
_STEPS = 16**_HEX_DIGITS


class PartShares(Config):
    """How the audit lot is split; the three shares sum to 1."""

    calibrate: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)
    estimate: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.calibrate + self.test + self.estimate
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of calibrate, test and estimate must sum to 1, found {total:g}")
        return self


class LotPolicy(Config):
    """The share of conversations drawn into the audit lot, and how that is split.

    A larger ``audit_share`` adds conversations to the audit lot and takes none out.
    """

    audit_share: float = Field(ge=0, lt=1)
    parts: PartShares


def assign_lots(conversation_ids: pl.Series, *, policy: LotPolicy, key: bytes) -> pl.DataFrame:
    """Draw the lot and the part of each conversation by its keyed hash.

    Args:
        conversation_ids: (n,) ids, in any order, with repeats; null stays null.
        policy: the shares.
        key: the key of the home; another key draws other lots.

    Returns:
        (n,) rows of ``lot`` and ``part``; ``part`` is null in the open lot.
    """
    names = conversation_ids.drop_nulls().unique(maintain_order=True).to_list()
    drawn = [_draw(name, policy, key) for name in names]
    schema = {"conversation_id": pl.String, "lot": pl.String, "part": pl.String}
    known = pl.DataFrame(drawn, schema=schema, orient="row")
    asked = conversation_ids.rename("conversation_id").to_frame()
    return asked.join(known, on="conversation_id", how="left", maintain_order="left").select("lot", "part")


def _draw(conversation_id: str, policy: LotPolicy, key: bytes) -> tuple[str, str, str | None]:
    """Cut two independent draws in [0, 1) out of one keyed digest: one for the lot, one for the part."""
    drawn = keyed_digest(key, "lot", conversation_id)
    if int(drawn[:_HEX_DIGITS], 16) / _STEPS >= policy.audit_share:
        return conversation_id, "open", None
    part = int(drawn[_HEX_DIGITS : 2 * _HEX_DIGITS], 16) / _STEPS
    shares = policy.parts
    if part < shares.calibrate:
        return conversation_id, "audit", "calibrate"
    return conversation_id, "audit", "test" if part < shares.calibrate + shares.test else "estimate"
