"""Play a feed through the loop, week by week, with the same jobs, sensors and commands that people use."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from labeling import tables as t
from labeling.desk.asking import MOST_SKIPS, count_answers
from labeling.desk.sending import IS_SENT
from labeling.home import Home
from labeling.sources.lots import LotPolicy, assign_lots
from pipelines.replay.feed import Feed, Message, Week
from pipelines.replay.state import ReplayState
from pipelines.running import Runner
from training.registry.registry import RELEASE, VERDICT_TAG


class Narrator(Protocol):
    """Tells whoever watches what happens."""

    def phase(self, week: int, name: str) -> Any:
        """Return a context manager around one phase."""
        ...

    def tell(self, message: str) -> None:
        """Say one line about the phase that runs."""
        ...


class People(Protocol):
    """The agents and annotators of a replay: simulated, each with stated error rates."""

    def sit_down(self) -> None:
        """Wait until the desk is there."""
        ...

    def correct(self, messages: Sequence[Message], predictions: pl.DataFrame) -> list[dict[str, Any]]:
        """Return the correction events that agents make on what they were shown."""
        ...

    def escalate(self, messages: Sequence[Message], predictions: pl.DataFrame) -> list[dict[str, Any]]:
        """Return the escalation events of these messages, with outcomes."""
        ...

    def review_history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return review events for messages that were labelled before the replay starts."""
        ...

    def answer_cases(self, waiting: pl.DataFrame, messages: Mapping[str, Message], tell: Callable[[str], None]) -> int:
        """Answer ``waiting``, REVIEW_TASKS joined with REVIEW_QUEUE, at the desk; return how many answers were new."""
        ...


@dataclass(frozen=True)
class Plan:
    """What is played.

    ``seed_labels`` is how many messages of the open lot the history comes labelled with; its audit lot is labelled
    whole. ``approve`` decides on a challenger, as a reviewer would.
    """

    home: Home
    feed: Feed
    lots: LotPolicy
    people: People
    seed_labels: int
    approve: Callable[[str], None]


class Driver:
    """Plays one plan from where its state says it stopped.

    ``weeks`` are the history, cut to what was labelled of it, and the weeks; ``messages`` are theirs, by id.
    """

    def __init__(self, plan: Plan, state: ReplayState, runner: Runner, narrator: Narrator) -> None:
        self.plan, self.state, self.runner, self.narrator = plan, state, runner, narrator
        self.weeks = (self._labelled_history(), *plan.feed.weeks)
        self.messages = {message.interaction_id: message for week in self.weeks for message in week.messages}

    def play(self) -> ReplayState:
        """Play every phase that is not done yet; each may be killed and played again."""
        for week in self.weeks:
            for name, phase in self._phases(week):
                step = f"{week.number}:{name}"
                if step in self.state.seconds:
                    continue
                begun = time.monotonic()
                with self.narrator.phase(week.number, name):
                    phase(week)
                self.state = self.state.done(step, time.monotonic() - begun)
                self.state.save(self.plan.home)
        return self.state

    def _phases(self, week: Week) -> list[tuple[str, Callable[[Week], None]]]:
        history = [("messages", self._messages), ("history", self._history)]
        live = [
            ("messages", self._messages),
            ("agents", self._agents),
            ("select", self._select),
            ("people", self._people),
        ]
        decided = [("retrain", self._retrain), ("decide", self._decide)]
        return (live if week.number else history) + decided

    def _messages(self, week: Week) -> None:
        drop_events(self.plan.home, "interactions", f"week-{week.number}", (m.event for m in week.messages))
        self.runner.run("collect_job", now=week.ends_at)
        self.narrator.tell(f"{len(week.messages)} messages came in")

    def _history(self, week: Week) -> None:
        events = self.plan.people.review_history(week.messages)
        drop_events(self.plan.home, "reviews", "history", events)
        self.runner.run("review_job", now=week.ends_at)
        self.narrator.tell(f"{len(events)} answers from before came along")

    def _agents(self, week: Week) -> None:
        said = self._predictions(week)
        corrections = self.plan.people.correct(week.messages, said)
        escalations = self.plan.people.escalate(week.messages, said)
        drop_events(self.plan.home, "corrections", f"week-{week.number}", corrections)
        drop_events(self.plan.home, "escalations", f"week-{week.number}", escalations)
        self.runner.run("collect_job", now=week.ends_at)
        self.narrator.tell(f"agents made {len(corrections)} corrections, took over {len(escalations)} times")

    def _select(self, week: Week) -> None:
        self.plan.people.sit_down()
        self.runner.run("review_job", now=week.ends_at)
        waiting = self._waiting()
        self.state = self.state.asking(dict(waiting.select("case_id", "overlap").iter_rows()))
        self.narrator.tell(f"{waiting.height} cases went to people")

    def _people(self, week: Week) -> None:
        self.plan.people.sit_down()
        answered = self.plan.people.answer_cases(self._asked(), self.messages, self.narrator.tell)
        self.runner.run("review_job", now=week.ends_at)
        self.narrator.tell(f"people gave {answered} answers")

    def _retrain(self, week: Week) -> None:
        runs = self.runner.evaluate("labels_settled_sensor", now=week.ends_at)
        self.narrator.tell("models were trained and judged" if runs else "too few new labels to retrain")

    def _decide(self, week: Week) -> None:
        registry = self.runner.loop().open_registry()
        waiting = registry.aliases(RELEASE).get("challenger")
        if waiting:
            self.plan.approve(waiting)
        self.runner.evaluate("aliases_sensor", now=week.ends_at)  # also where a kill left a decision half applied
        champion = registry.aliases(RELEASE).get("champion", "")
        last = registry.versions(RELEASE)[-1:]
        judged = last[0].version if last else ""
        verdict = last[0].tags.get(VERDICT_TAG, "") if last else ""
        answers = self.plan.home.tables.read(t.REVIEWS, columns=["review_id"])["review_id"].n_unique()
        self.state = self.state.ended(week.number, champion=champion, judged=judged, verdict=verdict, answers=answers)
        self.narrator.tell(f"release {champion} is the champion" if champion else "no release passed its gates yet")

    def _predictions(self, week: Week) -> pl.DataFrame:
        ids = pl.Series([message.interaction_id for message in week.messages])
        said = self.plan.home.tables.read(t.PREDICTIONS, where=pl.col("interaction_id").is_in(ids.implode()))
        return said.sort("predicted_at", "model_version").unique(["interaction_id", "task"], keep="first")

    def _asked(self) -> pl.DataFrame:
        """Return the cases that went to people last; ``overlap`` is how many people each was asked of then."""
        people = self.state.asked
        asked = self._at_desk().filter(pl.col("case_id").is_in(list(people))).sort("case_id")
        return asked.with_columns(overlap=pl.Series([people[case] for case in asked["case_id"]], dtype=pl.Int32))

    def _at_desk(self) -> pl.DataFrame:
        tables = self.plan.home.tables
        queue = tables.read(t.REVIEW_QUEUE).drop("interaction_id").rename({"overlap": "at_first"})
        return tables.read(t.REVIEW_TASKS, where=IS_SENT).join(queue, on="case_id")

    def _waiting(self) -> pl.DataFrame:
        """Return the cases that lack answers; ``overlap`` counts those who passed, so that others are asked too."""
        given = count_answers(self.plan.home.tables.read(t.REVIEWS), tasks=())
        joined = self._at_desk().join(given, on="case_id", how="left")
        known = joined.with_columns(pl.col("answers", "skips").fill_null(0))
        wanted = pl.max_horizontal("overlap", "at_first")
        lacking = known.filter(pl.col("skips") < MOST_SKIPS, pl.col("answers") < wanted)
        return lacking.with_columns(overlap=wanted + pl.col("skips")).sort("case_id")

    def _labelled_history(self) -> Week:
        """Return what was labelled of the history: its audit lot, and ``seed_labels`` messages of the open one."""
        history = self.plan.feed.history
        labelled = {event["interaction_id"] for event in self.plan.people.review_history(history.messages)}
        messages = [message for message in history.messages if message.interaction_id in labelled]
        conversations = pl.Series([message.event["conversation_id"] for message in messages])
        lots = assign_lots(conversations, policy=self.plan.lots, key=self.plan.home.key())["lot"].to_list()
        opened = [message.interaction_id for message, lot in zip(messages, lots, strict=True) if lot == "open"]
        left_out = set(opened[self.plan.seed_labels :])
        kept = tuple(message for message in messages if message.interaction_id not in left_out)
        return Week(history.number, history.starts_at, history.ends_at, kept)


def drop_events(home: Home, table: str, name: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Put ``events`` into the home's inbox as one JSON Lines file that appears whole or not at all."""
    folder = home.inbox / table
    folder.mkdir(parents=True, exist_ok=True)
    growing = folder / f".{name}.growing"
    growing.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events), encoding="utf-8")
    growing.replace(folder / f"{name}.jsonl")
