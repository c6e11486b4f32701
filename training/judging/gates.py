"""What gates are drawn by, what they say, and the verdict that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, field_validator, model_validator

from labeling.config import Config
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import NONE_OF_THESE

Passing = Literal["passed", "failed", "undecided", "waived"]
Slice = tuple[str, str]
"""A slice of the cases: ``label`` (the truth), ``language``, ``channel`` or ``segment``, and its value."""

BETTER: Final = "better"
"""The gate that one task of a release must pass for all of them."""

_VERSION: Final = 2


class ProtectedSlice(Config):
    """A slice on which harm must have been visible: every case whose ``slice`` is ``value``, of ``task`` alone.

    Labels belong to a task, so theirs is named; other slices are protected in every task where none is named.
    """

    slice: Literal["label", "language", "channel", "segment"]
    value: str
    task: str | None = None

    @model_validator(mode="after")
    def _check_task(self) -> "ProtectedSlice":
        if self.slice == "label" and self.task is None:
            raise ValueError("a label needs its task: add task, a name of taxonomy.yaml")
        return self


class GatePolicy(Config):
    """When to promote: ``gates.yaml``. Shares, levels and powers are in [0, 1].

    Attributes:
        min_cases: fewer test cases decide nothing (>= 1).
        test_uses: how often the sealed test may be opened before newer cases replace it (>= 1).
        alpha: the chance that any challenger of one champion's reign is called better and is not.
        margin: a loss of accuracy below this is no loss worth a verdict.
        harm_alpha: the chance that harm on any slice is claimed and there is none (Holm).
        suspect_alpha: a slice that is less likely than this by chance leaves the verdict open.
        guard_alpha: the chance of a false alarm of each other gate.
        protected: slices on which harm must have been visible.
        protected_drop: the fall of accuracy that must have been visible there.
        protected_power: the chance with which it must have been.
        smallest_gain: the gain that the sample of disagreements is planned to show.
        gain_power: the chance with which it shows that.
        fresh_days: disagreements are collected for so many days, if there are not enough before; as long are answers
            waited for (> 0).
        most_disagreements: people are asked about no more than this of one task (>= 0); 0 asks nobody.
        max_unanswered_share: a sample of which more than this lacks an answer decides nothing.
        floor_recall: what a label without a champion to compare with must be shown to reach.
        min_out_of_scope: fewer out-of-scope cases than this leave that gate open (>= 0).
        max_slowdown: a challenger may take so many times the champion's time (>= 1).
        max_seconds_per_text: and never more than this, > 0.
        max_failure_share: of a kind of behaviour test, which a first champion may not be shown to exceed.
    """

    schema_version: Literal[2]
    min_cases: int = Field(ge=1)
    test_uses: int = Field(ge=1)
    alpha: float = Field(gt=0, le=0.5)
    margin: float = Field(ge=0, lt=1)
    harm_alpha: float = Field(gt=0, le=0.5)
    suspect_alpha: float = Field(gt=0, le=0.5)
    guard_alpha: float = Field(gt=0, le=0.5)
    protected: tuple[ProtectedSlice, ...]
    protected_drop: float = Field(gt=0, le=1)
    protected_power: float = Field(gt=0, lt=1)
    smallest_gain: float = Field(gt=0, le=1)
    gain_power: float = Field(gt=0, lt=1)
    fresh_days: float = Field(gt=0)
    most_disagreements: int = Field(ge=0)
    max_unanswered_share: float = Field(ge=0, lt=1)
    floor_recall: float = Field(gt=0, lt=1)
    min_out_of_scope: int = Field(ge=0)
    max_slowdown: float = Field(ge=1)
    max_seconds_per_text: float = Field(gt=0)
    max_failure_share: float = Field(gt=0, lt=1)

    @field_validator("schema_version", mode="before")
    @classmethod
    def _check_version(cls, found: Any) -> Any:
        if found != _VERSION:
            raise ValueError(
                f"version {_VERSION} is needed, found {found!r}: the gates are others now, so replace this file by the "
                "packaged gates.yaml, keep your min_cases, and see docs/judging.md on what became of the other lines"
            )
        return found

    def protected_in(self, task: str) -> list[Slice]:
        """Return the slices that are protected in ``task``, each once."""
        named = [(one.slice, one.value) for one in self.protected if one.task in (None, task)]
        return list(dict.fromkeys(named))

    def find_faults(self, taxonomy: Taxonomy) -> list[str]:
        """Return what this names that ``taxonomy`` lacks, one line each; empty where all is known."""
        labels = {task.name: (*task.label_names, NONE_OF_THESE) for task in taxonomy.tasks}
        return [
            f"protected: {one.value!r} is not a label of the task {one.task!r} of taxonomy.yaml"
            if one.task in labels
            else f"protected: {one.task!r} is not a task of taxonomy.yaml"
            for one in self.protected
            if one.task is not None
            and (one.task not in labels or (one.slice == "label" and one.value not in labels[one.task]))
        ]


@dataclass(frozen=True)
class GateResult:
    """One gate: what was measured, what was needed, and (unless it passed) what would pass it.

    Attributes:
        name: which gate; ``<task>.<name>`` once tasks are joined.
        verdict: "undecided" where the cases cannot tell; "waived" where a reviewer took that upon themselves.
        measured: in words, with counts.
        needed: in words.
        remedy: what would pass it; "" where it passed.
        slice: the slice it is about, None where it is about all cases.
        p: the p-value that decided, None where none did.
        power: the chance with which the harm that matters would have been shown.
        smallest_drop: the smallest fall that these cases show with the power that is needed; None where they show none.
        cases: how many cases it had.
        lacking: about how many more test cases it needs, None where cases are not what it lacks.
    """

    name: str
    verdict: Passing
    measured: str
    needed: str
    remedy: str = ""
    slice: Slice | None = None
    p: float | None = None
    power: float | None = None
    smallest_drop: float | None = None
    cases: int | None = None
    lacking: int | None = None


@dataclass(frozen=True)
class Promote:
    """Every gate was passed or waived; a person may approve."""

    gates: tuple[GateResult, ...]
    name: ClassVar[Literal["promote"]] = "promote"


@dataclass(frozen=True)
class Hold:
    """A gate was failed: harm was shown."""

    gates: tuple[GateResult, ...]
    name: ClassVar[Literal["hold"]] = "hold"


@dataclass(frozen=True)
class Inconclusive:
    """No gate was failed, but the cases cannot show what is needed."""

    gates: tuple[GateResult, ...]
    name: ClassVar[Literal["inconclusive"]] = "inconclusive"


Verdict = Promote | Hold | Inconclusive


def conclude(gates: Sequence[GateResult]) -> Verdict:
    """Return what follows: a gate that failed holds, else one that is undecided (or no gate at all) leaves it open."""
    verdicts = {gate.verdict for gate in gates}
    if "failed" in verdicts:
        return Hold(tuple(gates))
    return Inconclusive(tuple(gates)) if "undecided" in verdicts or not gates else Promote(tuple(gates))


def join_verdicts(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict on a release from those on its tasks.

    One Hold holds it, else one Inconclusive leaves it open. But one task that is shown better is enough: the others
    then need not be, as long as they are not worse, which is a gate of its own. The gates of each task keep their
    order, and are called ``<task>.<gate>``.
    """
    better = [task for task, verdict in verdicts.items() if _is_better(verdict)]
    gates: list[GateResult] = []
    for task, verdict in verdicts.items():
        for gate in verdict.gates:
            joined = replace(gate, name=f"{task}.{gate.name}")
            if gate.name == BETTER and gate.verdict == "undecided" and better:
                needed = f"better in one task of the release: it is in {better[0]}"
                joined = replace(joined, verdict="passed", needed=needed, remedy="")
            gates.append(joined)
    return conclude(gates)


def _is_better(verdict: Verdict) -> bool:
    return any(gate.name == BETTER and gate.verdict == "passed" for gate in verdict.gates)
