"""The agents of a replay: what they correct, and where they take over, with stated error rates.

What happens to a message hangs on the seed and its id. All chances of a message are drawn before what the model said
is looked at, so that two models meet the same agents.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import polars as pl
from pydantic import Field

from labeling.config import Config
from labeling.taxonomy import Task, Taxonomy
from labeling.vocabulary import NONE_OF_THESE
from pipelines.replay.chance import chance, pick
from pipelines.replay.feed import Message
from pipelines.replay.stock import Share

_SOLUTIONS: Final = ("explained", "fixed", "passed_on", "refunded", "replaced")
"""What the fictional helpdesk calls what its agents do."""

_LONGEST: Final = timedelta(hours=2)
"""After this long a correction is made and an escalation is closed, so that both fall into the message's week."""


class AgentRates(Config):
    """What agents do, as shares.

    Corrections: ``notices`` is, by task, the share of wrong answers that somebody notices and corrects,
    ``notices_in_handoff`` the same where an agent reads the message because the model stepped aside. ``wrong`` is the
    share of corrections that give another wrong label, ``needless`` the share of right answers that are corrected.

    Escalations: a customer asks for a person (``asks``), or an agent steps in (``steps_in``), more often where the
    first task's answer was wrong. ``needs_person`` are the labels of that task that need one however right the answer
    is. ``resolved``, ``reopened`` and ``misfiled`` (resolved under a wrong label) are shares of escalations; of
    customers, ``rates_us`` give a CSAT.
    """

    agents: int = Field(ge=1)
    notices: dict[str, Share]
    notices_in_handoff: dict[str, Share]
    wrong: Share
    needless: Share
    asks_when_wrong: Share
    asks_when_right: Share
    steps_in_when_wrong: Share
    steps_in_when_right: Share
    needs_person: tuple[str, ...]
    resolved: Share
    reopened: Share
    misfiled: Share
    rates_us: Share


def correct_predictions(
    messages: Sequence[Message], predictions: pl.DataFrame, *, taxonomy: Taxonomy, rates: AgentRates, seed: int
) -> list[dict[str, Any]]:
    """Return the correction events that agents make on what they were shown.

    A message whose truth nobody could tell, and a task that ``rates`` does not name, is never corrected.

    Args:
        messages: with their truth.
        predictions: PREDICTIONS rows, at most one a message and task.
        taxonomy: says which labels a correction may give.
        rates: how well agents notice and how often they err.
        seed: decides every chance, with the message's id.

    Returns:
        Correction events of JSON values, in the order of the messages; each at most two hours after its message.
    """
    said = _by_interaction(predictions)
    return [
        event
        for message in messages
        for task in taxonomy.tasks
        if task.name in said.get(message.interaction_id, {})
        for event in _correct(message, task, said[message.interaction_id][task.name], rates, seed)
    ]


def escalate_conversations(
    messages: Sequence[Message], predictions: pl.DataFrame, *, taxonomy: Taxonomy, rates: AgentRates, seed: int
) -> list[dict[str, Any]]:
    """Return the escalation events, with outcomes, of conversations that went to a person.

    A conversation goes to a person once, at the first message where the model stepped aside, the customer asked or an
    agent stepped in. Arguments as for ``correct_predictions``.

    Returns:
        Escalation events of JSON values; each is closed at most two hours after its message.
    """
    said = _by_interaction(predictions)
    task = taxonomy.tasks[0]
    gone: set[str] = set()
    events: list[dict[str, Any]] = []
    for message in sorted(messages, key=lambda message: (message.occurred_at, message.event["turn"])):
        answers = said.get(message.interaction_id, {})
        if message.event["conversation_id"] in gone or task.name not in answers:
            continue
        if event := _escalate(message, task, answers, rates, seed):
            gone.add(message.event["conversation_id"])
            events.append(event)
    return events


def _correct(
    message: Message, task: Task, said: Mapping[str, Any], rates: AgentRates, seed: int
) -> Iterator[dict[str, Any]]:
    truth = message.truth.get(task.name)
    if truth not in task.trainable or task.name not in rates.notices:
        return
    rng = chance(seed, "correction", task.name, message.interaction_id)
    notices, errs, meddles = rng.random(3)
    mistaken = pick(rng, tuple(name for name in task.trainable if name != truth))
    agent, delay = int(rng.integers(rates.agents)), _delay(rng.exponential(1200.0))
    in_handoff = bool(said["handoff"])
    noticing = rates.notices_in_handoff.get(task.name, 1.0) if in_handoff else rates.notices[task.name]
    if said["label"] != truth and notices < noticing:
        label = truth if errs >= rates.wrong else mistaken
    elif said["label"] == truth and meddles < rates.needless:
        label = mistaken
    else:
        return
    if label == said["label"]:
        return
    yield {
        "correction_id": f"co-{task.name}-{message.interaction_id}",
        "interaction_id": message.interaction_id,
        "task": task.name,
        "label": label,
        "previous_label": said["label"],
        "agent_id": f"agent-{agent + 1:02d}",
        "corrected_at": (message.occurred_at + delay).isoformat(),
        "reason": "seen while taking over" if in_handoff else "seen in passing",
    }


def _escalate(
    message: Message, task: Task, answers: Mapping[str, Mapping[str, Any]], rates: AgentRates, seed: int
) -> dict[str, Any] | None:
    rng = chance(seed, "escalation", message.interaction_id)
    asks, steps_in, resolves, reopens, misfiles, replies = rng.random(6)
    waiting, handling = _delay(rng.exponential(180.0)) / 4, _delay(rng.lognormal(6.1, 0.6)) / 2
    mistaken, noise = pick(rng, task.label_names), float(rng.normal(0.0, 0.7))
    truth = message.truth.get(task.name, NONE_OF_THESE)
    is_wrong = answers[task.name]["label"] != truth
    trigger = _trigger(answers, is_wrong, asks, steps_in, rates)
    if trigger is None:
        return None
    is_resolved, is_reopened = bool(resolves < rates.resolved), bool(reopens < rates.reopened)
    filed = mistaken if misfiles < rates.misfiled else truth
    escalated_at = message.occurred_at + waiting
    return {
        "escalation_id": f"es-{message.interaction_id}",
        "conversation_id": message.event["conversation_id"],
        "interaction_id": message.interaction_id,
        "escalated_at": escalated_at.isoformat(),
        "trigger": trigger,
        "needed": is_wrong or truth not in task.label_names or truth in rates.needs_person,
        "resolved": is_resolved,
        "resolved_intent": filed if is_resolved and filed in task.label_names else None,
        "first_contact": message.event["turn"] == 1,
        "reopened": is_reopened,
        "csat": _csat(message, noise, is_resolved, is_reopened) if replies < rates.rates_us else None,
        "handle_seconds": handling.total_seconds(),
        "closed_at": (escalated_at + handling).isoformat(),
        "solved_by": _solution(message, truth, seed) if is_resolved else None,
    }


def _solution(message: Message, truth: str, seed: int) -> str:
    """Return what the agent did in the end: for four in five messages of one intent the same."""
    rng = chance(seed, "solution", message.interaction_id)
    usual = pick(chance(seed, "solution", truth), _SOLUTIONS)
    return usual if rng.random() < 0.8 else pick(rng, _SOLUTIONS)


def _trigger(
    answers: Mapping[str, Mapping[str, Any]], is_wrong: bool, asks: float, steps_in: float, rates: AgentRates
) -> str | None:
    if any(answer["handoff"] for answer in answers.values()):
        return "handoff"
    if asks < (rates.asks_when_wrong if is_wrong else rates.asks_when_right):
        return "customer"
    if steps_in < (rates.steps_in_when_wrong if is_wrong else rates.steps_in_when_right):
        return "agent"
    return None


def _csat(message: Message, noise: float, is_resolved: bool, is_reopened: bool) -> int:
    """Return the customer's rating, 1 to 5: better when resolved at once, worse when the mood was bad already."""
    mood = {"negative": -0.9, "positive": 0.6}.get(message.truth.get("sentiment", ""), 0.0)
    rating = 3.4 + mood + (0.8 if is_resolved else -1.0) - (0.7 if is_reopened else 0.0) + noise
    return min(5, max(1, round(rating)))


def _delay(seconds: float) -> timedelta:
    return min(timedelta(seconds=round(seconds)), _LONGEST)


def _by_interaction(predictions: pl.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what was said, by interaction and task.

    Raises:
        ValueError: one interaction and task has two predictions; nobody knows which one was shown.
    """
    if predictions.select("interaction_id", "task").is_duplicated().any():
        raise ValueError("one prediction an interaction and task is needed, found more: keep the one that was shown")
    said: dict[str, dict[str, dict[str, Any]]] = {}
    for row in predictions.select("interaction_id", "task", "label", "handoff").iter_rows(named=True):
        said.setdefault(row["interaction_id"], {})[row["task"]] = row
    return said
