"""A realistic case file, generated: 77 intents, 3,000 test cases, three languages, channels and segments."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from labeling.tables import INTERACTIONS
from labeling.vocabulary import NONE_OF_THESE
from training.judging.case_contents import CaseContents, Grounds, TaskEvidence
from training.judging.case_file import CaseDescription, CaseFile, Code, write_case_file
from training.judging.data_change import DataChange
from training.judging.gates import GateResult
from training.judging.intervals import measure_rate
from training.judging.judging_plots import draw_plots
from training.judging.model_card import CardFacts, write_model_card
from training.judging.next_week import NextWeek
from training.judging.outcomes import Mean, Outcomes
from training.judging.scorecard import score_model

TASK = "intent"
_TOPICS = ("card", "transfer", "top_up", "account", "refund", "pin", "exchange")
_MATTERS = (
    "arrival", "declined", "fee", "limit", "lost", "pending", "reverted", "timing", "unknown", "verify", "change",
)  # fmt: skip
INTENTS = tuple(f"{topic}_{matter}" for topic in _TOPICS for matter in _MATTERS)
SLICES = {
    "language": ("en", "de", "es"),
    "channel": ("chat", "email", "phone"),
    "segment": ("consumer", "business", "premium"),
}
JUDGED_AT = datetime(2026, 11, 20, 2, 14, tzinfo=UTC)
_PROSE = (
    "my {0} is {1} since monday and nobody answers",
    "why do I see {1} on the {0}?",
    "please help, {0} {1} again <ORDER>",
    "is it normal that the {0} shows {1}",
)


def sample_answers(cases: int, *, rng: np.random.Generator, first: int = 0) -> pl.DataFrame:
    """Return an answers frame without a reference: both are right on nine of ten, and differ on three of a hundred.

    Three of a hundred cases are outside every label, and more novel than the others.
    """
    truth = rng.integers(0, len(INTENTS), cases)
    champion = np.where(rng.random(cases) < 0.93, truth, (truth + rng.integers(1, 6, cases)) % len(INTENTS))
    is_won = (champion != truth) & (rng.random(cases) < 0.27)
    is_lost = (champion == truth) & (rng.random(cases) < 0.013)
    challenger = np.where(
        is_won, truth, np.where(is_lost, (truth + rng.integers(6, 9, cases)) % len(INTENTS), champion)
    )
    is_outside = rng.random(cases) < 0.03
    names = np.array(INTENTS)
    named = {
        "interaction_id": [f"msg-{first + row:05d}" for row in range(cases)],
        "text_digest": [rng.bytes(32).hex() for _ in range(cases)],
        "truth": np.where(is_outside, NONE_OF_THESE, names[truth]),
        **{name: rng.choice(values, cases, p=(0.7, 0.2, 0.1)).tolist() for name, values in SLICES.items()},
    }
    said = [_sample_model(*one, truth, is_outside, rng) for one in (("challenger", challenger), ("champion", champion))]
    return pl.concat([pl.DataFrame(named), *said], how="horizontal")


def _sample_model(
    who: str, answered: np.ndarray, truth: np.ndarray, is_outside: np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    right = (answered == truth) & ~is_outside
    sure = np.where(right, rng.beta(5.6, 0.4, len(truth)), rng.beta(4.6, 1.4, len(truth)))  # calibrated at 92% right
    chance = np.where(right, sure, (1 - sure) * rng.uniform(0.1, 0.9, len(truth)))
    known = pl.when(pl.Series(~is_outside)).then(pl.Series(chance))
    return pl.select(
        pl.Series(who, np.array(INTENTS)[answered]),
        pl.Series(f"{who}_confidence", sure),
        known.alias(f"{who}_truth_chance"),
        pl.Series(f"{who}_brier", np.where(right, (1 - sure) ** 2, (1 - chance) ** 2 + sure**2)),
        pl.Series(f"{who}_novelty", rng.normal(size=len(truth)) + 2.2 * is_outside),
    )


def sample_contents(*, cases: int = 3000, with_plots: bool = True) -> CaseContents:
    """Return what a judging of one task found: one gate of each verdict, an open sample of disagreements."""
    rng = np.random.default_rng(6)
    answers = sample_answers(cases, rng=rng)
    fresh = sample_answers(2000, rng=rng, first=50_000)
    differing = fresh.filter(pl.col("challenger") != pl.col("champion")).head(40)
    waiting = pl.when(pl.int_range(pl.len()) < 25).then(pl.col("truth")).alias("truth")
    outcomes = Outcomes(
        measure_rate(9, 120), measure_rate(31, 210), measure_rate(640, 880), {INTENTS[0]: Mean(40, 4.1, 3.8, 4.4)}
    )
    cards = {
        who: score_model(answers, who, rng=rng, seconds_per_text=0.0021, megabytes=91.2, outcomes=outcomes)
        for who in ("challenger", "champion")
    }
    learnt = answers.select(
        pl.lit("set-2f9d").alias("training_set_id"), "interaction_id", "text_digest", label="truth", weight=pl.lit(0.97)
    ).with_columns(interaction_id="train-" + pl.col("interaction_id"))
    evidence = TaskEvidence(
        answers=answers,
        challenger=cards["challenger"],
        champion=cards["champion"],
        data=DataChange(
            "set-2f9d", learnt.height, len(INTENTS), 200, 3, {"review": 160, "correction": 40},
            {"7": 96, "12": 64, "agent-31": 40}, {INTENTS[4]: 120, INTENTS[9]: 80},
        ),
        training_set=learnt,
        recipe={"schema_version": 1, "epochs": 4, "learning_rate": 0.0005, "lora": {"r": 8}},
        disagreements=differing.with_columns(waiting),
    )  # fmt: skip
    grounds = Grounds(
        tasks={TASK: evidence},
        policy="schema_version: 2\ntest_uses: 3\n",
        handoff={"schema_version": 1, "thresholds": {TASK: {"threshold": 0.71}}},
        environment=("numpy==2.2.6", "torch==2.13.0", "opencv-python-headless==4.11.0.86"),
        model_digests={TASK: "ab" * 32},
        plots=draw_plots({TASK: evidence}) if with_plots else {},
    )
    return CaseContents(
        grounds=grounds,
        gates=sample_gates(),
        next_week=NextWeek(4200.0, {"champion": (610.0, 540.0, 680.0), "challenger": (570.0, 500.0, 640.0)},
                           {"champion": (90.0, 60.0, 120.0), "challenger": (74.0, 45.0, 103.0)}, 340),
        model_card=write_model_card(sample_facts(evidence)),
    )  # fmt: skip


def sample_gates() -> tuple[tuple[str, GateResult], ...]:
    """Return gates of every verdict, with and without a slice."""
    return (
        (TASK, GateResult("better", "undecided", "54 wins, 36 losses of 3,000 (+0.6%, p 0.037)", "p at most 0.011",
                          "340 labels more on which the two differ", p=0.037, power=0.61, cases=3000)),
        (TASK, GateResult("not_worse_than_reference", "passed", "+1.4%, p 0.71", "no worse than 1.0%", p=0.71)),
        (TASK, GateResult("no_harm", "failed", f"{INTENTS[4]} lost 38% of 42 cases (p 0.0002)", "no shown harm",
                          "look at the lost cases", ("intent", INTENTS[4]), p=0.0002, cases=42)),
        (TASK, GateResult("could_show_harm", "undecided", "5 cases: 90 points at 80% power", "a drop of 50 points",
                          "9 cases more", ("intent", INTENTS[7]), power=0.19, smallest_drop=0.9, cases=5)),
        (TASK, GateResult("could_show_harm", "waived", "7 cases", "a drop of 50 points", "", ("language", "es"),
                          power=0.4, smallest_drop=0.7, cases=7)),
        ("", GateResult("latency", "passed", "2.1 ms a text", "at most 1.2 times the champion's 2.1 ms")),
    )  # fmt: skip


def sample_facts(evidence: TaskEvidence) -> CardFacts:
    """Return what a model card says of the sample."""
    return CardFacts(
        name="release-5f2c1a9b03de",
        version="12",
        base_models=("sentence-transformers/all-MiniLM-L6-v2",),
        languages=SLICES["language"],
        tasks={TASK: INTENTS},
        cards={TASK: evidence.challenger},
        data={TASK: evidence.data},
        handoff="Answers of a confidence below 0.71 go to a person.",
        judged_at=JUDGED_AT,
        verdict="inconclusive",
    )


def sample_description() -> CaseDescription:
    """Return the description of the sample."""
    return CaseDescription(
        version="12",
        release_id="release-5f2c1a9b03de",
        members={"cxloop.intent": "31"},
        champion="9",
        reference="3",
        request="improve",
        judged_at=JUDGED_AT,
        verdict="inconclusive",
        look=4,
        alpha=0.0021,
        tasks=(TASK,),
        authors=("ada",),
        code=Code(version="0.1.0", commit="0f" * 20),
    )


def build_sample_case(parent: Path, *, cases: int = 3000, with_plots: bool = True) -> CaseFile:
    """Write the sample into ``parent``; about a second with its plots."""
    contents = sample_contents(cases=cases, with_plots=with_plots)
    return write_case_file(parent, sample_description(), contents.documents())


def sample_interactions(case: CaseFile) -> pl.DataFrame:
    """Return INTERACTIONS rows with a text for each case of ``case`` but every hundredth, which was erased."""
    fresh = case.disagreements(TASK)
    answers = case.answers(TASK)
    cases = answers if fresh is None else pl.concat([answers, fresh])
    rows = []
    for place, row in enumerate(cases.iter_rows(named=True)):
        topic, _, matter = str(row["truth"] or row["champion"]).rpartition("_")
        if place % 100 == 99:
            continue
        at = JUDGED_AT - timedelta(minutes=place)
        rows.append(
            {name: row[name] for name in ("interaction_id", "language", "channel", "segment")}
            | {"conversation_id": f"talk-{place}", "turn": 1, "occurred_at": at, "updated_at": at, "handled_by": "ai"}
            | {"text": _PROSE[place % len(_PROSE)].format(topic, matter), "lot": "audit", "part": "test"}
        )
    return INTERACTIONS.frame(rows)
