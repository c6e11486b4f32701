"""What the challenger's handoff policy keeps of the sealed test: told to the gates, and kept in the case file."""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from assets.panel import Reading
from serving.release import Policy
from training.judging.case_file import CaseFile
from training.judging.evidence import KeptAnswers

_DOCUMENT: Final = "handoff.json"
_TESTED: Final = "tested"


def count_kept(
    policy: Policy, frames: Mapping[str, pl.DataFrame], readings: Mapping[str, Mapping[str, Reading]]
) -> dict[str, KeptAnswers]:
    """Return, by task that ``policy`` promises something of, what it keeps of the challenger's answers to the test.

    Args:
        policy: the challenger's.
        frames: the answers frame of the test by task.
        readings: by task and model, whether each case would have gone to a person; may lack tasks.
    """
    found = {}
    for task in policy.tasks:
        if task in readings and "challenger" in readings[task]:
            kept, frame = ~readings[task]["challenger"].handoff, frames[task]
            wrong = (frame["challenger"] != frame["truth"]).to_numpy() & kept
            promised = policy.config.promised_error_share
            found[task] = KeptAnswers(len(kept), int(kept.sum()), int(wrong.sum()), promised)
    return found


def describe_handoff(policy: Policy, kept: Mapping[str, KeptAnswers]) -> dict[str, Any]:
    """Return the policy and what it keeps of the test, as a case file holds them."""
    return policy.model_dump(mode="json") | {_TESTED: {task: one._asdict() for task, one in kept.items()}}


def read_kept(case_file: CaseFile) -> dict[str, KeptAnswers]:
    """Return what ``describe_handoff`` stored in a case file; nothing of an older one."""
    stored = json.loads(case_file.read_text(_DOCUMENT))
    return {task: KeptAnswers(**one) for task, one in stored.get(_TESTED, {}).items()}
