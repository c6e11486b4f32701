"""What is known of a challenger beside its answers to the test: handed in, because the gates measure nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from training.judging.disagreements import DisagreementSample
from training.judging.gates import Slice
from training.judging.personal_data import PersonalData

Request = Literal["improve", "refresh"]
"""Whether the challenger shall be better, or only no worse: newer data, another encoder, a change of taxonomy."""


class FailureCount(NamedTuple):
    """One kind of behaviour test (typos, casing, ...): how many of ``cases`` each model failed.

    ``champion`` is None where there is no champion.
    """

    cases: int
    challenger: int
    champion: int | None = None


class KeptAnswers(NamedTuple):
    """What the challenger's handoff policy keeps of the test: ``kept`` of ``cases``, ``wrong`` of these wrongly.

    ``promised`` in (0, 1) is the largest share of wrong answers among those kept that the policy promises.
    """

    cases: int
    kept: int
    wrong: int
    promised: float


@dataclass(frozen=True)
class Evidence:
    """All that the gates of one task hear of beside the answers frame.

    What was not measured is not judged, and leaves no gate; but ``parity`` and ``personal_data`` must be known.

    Attributes:
        task: which task, as protected slices name it.
        alpha: the level of this look and task (``spend_alpha``).
        request: what the challenger must show.
        disagreements: the sample of fresh cases on which the two differ, None where there is none yet.
        seconds_per_text: how long the challenger and the champion take for a text, None where not measured.
        behaviour: by the name of the kind of test.
        personal_data: what was found in label lists and artifacts; None where nobody looked.
        parity: whether it answers the same after reloading from the registry.
        kept: what its handoff policy keeps; None where the task is none that the policy promises anything of.
        new_labels: labels that the challenger knows and the champion does not.
        waivers: the reviewer who takes it upon themselves, by slice, that its cases cannot show what matters.
    """

    task: str
    alpha: float
    request: Request = "improve"
    disagreements: DisagreementSample | None = None
    seconds_per_text: tuple[float, float | None] | None = None
    behaviour: Mapping[str, FailureCount] = field(default_factory=dict)
    personal_data: Sequence[PersonalData] | None = None
    parity: bool | None = None
    kept: KeptAnswers | None = None
    new_labels: frozenset[str] = frozenset()
    waivers: Mapping[Slice, str] = field(default_factory=dict)
