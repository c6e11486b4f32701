"""The people of a replay: agents who correct and take over, annotators who answer; each errs as stated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from labeling.taxonomy import Taxonomy
from labeling.vocabulary import HANDOFF
from pipelines.replay.agents import correct_predictions, escalate_conversations
from pipelines.replay.annotators import Reading, SimulatedAnnotator, assign_annotators, judge_handoff, review_history
from pipelines.replay.crowd import CaseAnswer, Crowd
from pipelines.replay.feed import Message
from pipelines.replay.rates import DemoConfig


class SimulatedPeople:
    """``People`` whose every chance follows from ``seed`` and the message."""

    def __init__(self, config: DemoConfig, taxonomy: Taxonomy, *, seed: int, crowd: Callable[[], Crowd]) -> None:
        self._config, self._taxonomy, self._seed, self._crowd = config, taxonomy, seed, crowd
        self._annotators = [SimulatedAnnotator(rates, taxonomy, seed=seed) for rates in config.annotators]

    def sit_down(self) -> None:
        """See ``People.sit_down``."""
        self._crowd()

    def correct(self, messages: Sequence[Message], predictions: pl.DataFrame) -> list[dict[str, Any]]:
        """See ``People.correct``."""
        rates = self._config.agents
        return correct_predictions(messages, predictions, taxonomy=self._taxonomy, rates=rates, seed=self._seed)

    def escalate(self, messages: Sequence[Message], predictions: pl.DataFrame) -> list[dict[str, Any]]:
        """See ``People.escalate``."""
        rates = self._config.agents
        return escalate_conversations(messages, predictions, taxonomy=self._taxonomy, rates=rates, seed=self._seed)

    def review_history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """See ``People.review_history``."""
        return review_history(messages, self._annotators, seed=self._seed)

    def answer_cases(self, waiting: pl.DataFrame, messages: Mapping[str, Message], tell: Callable[[str], None]) -> int:
        """See ``People.answer_cases``."""
        answers = [answer for case in waiting.iter_rows(named=True) for answer in self._read(case, messages)]
        return self._crowd().give(answers, tell)

    def _read(self, case: Mapping[str, Any], messages: Mapping[str, Message]) -> list[CaseAnswer]:
        message = messages[case["interaction_id"]]
        is_again = case["reason"] in {"gold", "label_error"}  # asked of others than the message's first reader, mostly
        drawn = case["case_id"] if is_again else message.interaction_id
        people = assign_annotators(drawn, self._annotators, overlap=case["overlap"], seed=self._seed)
        readings = [(person.name, person.read(message)) for person in people]
        return [
            CaseAnswer(case["case_id"], case["desk_task_id"], name, self._on_page(reading), reading.lead_seconds)
            for name, reading in readings
        ]

    def _on_page(self, reading: Reading) -> dict[str, str] | None:
        """Return a reading as the page asks for it, with what it says of the handoff."""
        if reading.labels is None:
            return None
        read_as = reading.labels[self._taxonomy.tasks[0].name]
        return {**reading.labels, HANDOFF: judge_handoff(read_as, self._config.agents.needs_person)}
