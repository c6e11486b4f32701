"""Messages that a model answers, and agents who correct some of what they notice: with the truth kept beside."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from labeling import tables as t
from labeling.settling.settle import Answers
from labeling.taxonomy import Label, Task, Taxonomy

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """How messages, model, agents and reviewers behave.

    Intents are as frequent as 1 / rank ** ``skew``. The model's confidence is drawn around ``accuracy`` and is true;
    where it is wrong, the truth is one of three intents. An agent opens ``opened`` of all messages whatever they are;
    an error is noticed with a rate of ``notices`` (lowest, highest) by true intent; the other two rates vary by agent.
    """

    messages: int = 12_000
    intents: int = 20
    skew: float = 0.7
    accuracy: float = 0.85
    opened: float = 0.6
    audit_share: float = 0.15
    agents: int = 12
    notices: tuple[float, float] = (0.3, 0.8)
    given_right: tuple[float, float] = (0.7, 0.95)
    false_alarms: tuple[float, float] = (0.005, 0.03)
    reviewers: int = 4
    reviewer_right: float = 0.95


@dataclass(frozen=True)
class Played:
    """What happened: the tables, the taxonomy, and of each message the ``truth``, what was ``shown``, and its lot.

    ``events`` holds one row a message; ``agent`` is null where nobody opened it, ``given`` is the correction.
    """

    answers: Answers
    taxonomy: Taxonomy
    events: pl.DataFrame


def play(world: World, rng: np.random.Generator) -> Played:
    """Play one world."""
    names = [f"intent_{number:02}" for number in range(world.intents)]
    shown, sure, truth = _answer_messages(world, rng)
    opened = rng.random(world.messages) < world.opened
    agent = rng.integers(world.agents, size=world.messages)
    given = _correct(world, rng, shown=shown, truth=truth, agent=agent)
    given[~opened] = -1
    events = pl.DataFrame(
        {
            "interaction_id": [f"m{number:06}" for number in range(world.messages)],
            "truth": [names[place] for place in truth],
            "shown": [names[place] for place in shown],
            "sureness": sure,
            "lot": np.where(rng.random(world.messages) < world.audit_share, "audit", "open").tolist(),
            "agent": [f"agent-{number:02}" if was else None for number, was in zip(agent, opened, strict=True)],
            "given": [names[place] if place >= 0 else None for place in given],
        },
        schema_overrides={"agent": pl.String, "given": pl.String},
    )
    task = Task(name="intent", question="?", labels=tuple(Label(name=name, title=name) for name in names))
    taxonomy = Taxonomy(schema_version=1, version=1, tasks=(task,))
    return Played(_as_tables(events, _review(world, rng, events, names)), taxonomy, events)


def _answer_messages(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    share = 1 / np.arange(1, world.intents + 1) ** world.skew
    shown = rng.choice(world.intents, size=world.messages, p=share / share.sum())
    sure = np.clip(rng.beta(6 * world.accuracy, 6 * (1 - world.accuracy), size=world.messages), 0.05, 0.995)
    confused = np.stack(
        [rng.choice(np.delete(np.arange(world.intents), place), 3, replace=False) for place in range(world.intents)]
    )
    wrong = confused[shown, rng.choice(3, p=(0.6, 0.3, 0.1), size=world.messages)]
    return shown, sure, np.where(rng.random(world.messages) < sure, shown, wrong)


def _correct(
    world: World, rng: np.random.Generator, *, shown: np.ndarray, truth: np.ndarray, agent: np.ndarray
) -> np.ndarray:
    """Return the intent that each message is corrected to, -1 where nothing is."""
    notice = rng.permutation(np.linspace(*world.notices, world.intents))
    right = rng.uniform(*world.given_right, size=world.agents)
    meddles = rng.uniform(*world.false_alarms, size=world.agents)
    chance, errs = rng.random((2, world.messages))
    other = (shown + 1 + rng.integers(world.intents - 1, size=world.messages)) % world.intents
    is_wrong = shown != truth
    noticed = is_wrong & (chance < notice[truth])
    given = np.where(noticed, np.where(errs < right[agent], truth, other), -1)
    return np.where(~is_wrong & (chance < meddles[agent]), other, given)


def _review(world: World, rng: np.random.Generator, events: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Review every audit case, a tenth of them twice."""
    rows = []
    for interaction, truth in events.filter(pl.col("lot") == "audit").select("interaction_id", "truth").iter_rows():
        people = rng.choice(world.reviewers, size=1 + (rng.random() < 0.1), replace=False)
        for person in people:
            said = truth if rng.random() < world.reviewer_right else names[rng.integers(len(names))]
            rows.append(
                {
                    "review_id": f"r-{interaction}-{person}",
                    "interaction_id": interaction,
                    "annotator_id": f"reviewer-{person}",
                    "task": "intent",
                    "label": said,
                    "blind": True,
                    "answered_at": NOW,
                }
            )
    return t.REVIEWS.frame(rows)


def _as_tables(events: pl.DataFrame, reviews: pl.DataFrame) -> Answers:
    handled = pl.when(pl.col("agent").is_null()).then(pl.lit("ai")).otherwise(pl.lit("agent"))
    predictions = events.select(
        "interaction_id",
        task=pl.lit("intent"),
        label="shown",
        confidence="sureness",
        model_version=pl.lit("1"),
        shown=pl.lit(value=True),
        predicted_at=pl.lit(NOW),
    )
    corrections = events.filter(pl.col("given").is_not_null()).select(
        "interaction_id",
        correction_id="c-" + pl.col("interaction_id"),
        task=pl.lit("intent"),
        label="given",
        previous_label="shown",
        agent_id="agent",
        corrected_at=pl.lit(NOW + timedelta(hours=1)),
    )
    interactions = events.select("interaction_id", conversation_id="interaction_id", lot="lot", handled_by=handled)
    return Answers(
        reviews=reviews,
        corrections=corrections,
        interactions=interactions,
        predictions=predictions,
        escalations=t.ESCALATIONS.empty(),
        queue=t.REVIEW_QUEUE.empty(),
    )
