"""What is done with a batch on the model's thread: redact, decide, and write down what is to be recorded."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import polars as pl

from labeling.sources.events import encode_event
from labeling.sources.redaction import RedactionRules, redact_texts
from serving.conversation import Conversation
from serving.gateway.batching import Ticket
from serving.gateway.deciding import Pair, Said, decide
from serving.gateway.metrics import Metrics
from serving.gateway.questions import Question, TriageQuestion, read_texts
from serving.gateway.releases import NO_RELEASE, Releases
from serving.release import Champion

NOT_RECORDED: Final = "not_recorded"
RELEASE_FAILED: Final = "release_failed"
SHADOW_FAILED: Final = "shadow_failed"
TIMED_OUT: Final = "timed_out"

_WHY: Final = {
    NO_RELEASE: "no release is live",
    NOT_RECORDED: "the answer could not be recorded",
    RELEASE_FAILED: "the release could not answer",
    TIMED_OUT: "there was no answer in time",
}


class Worker:
    """Works on batches.

    Args:
        releases: who answers.
        rules: what is redacted, before a model sees it.
        shadow_share: the share of messages that the challenger answers too, in [0, 1]; which ones hangs on their ids.
        metrics: what is counted.
        rng: the source of chance near the threshold.
    """

    def __init__(
        self,
        releases: Releases,
        rules: RedactionRules,
        *,
        shadow_share: float,
        metrics: Metrics,
        rng: np.random.Generator,
    ) -> None:
        self._releases = releases
        self._rules = rules
        self._shadow_share = shadow_share
        self._metrics = metrics
        self._rng = rng

    def work(self, tickets: Sequence[Ticket]) -> None:
        """Set answer and line of each of ``tickets``."""
        self._metrics.observe("pass_messages", "messages of one pass of the model", len(tickets))
        redacted = self._redact([ticket.question for ticket in tickets])
        said = self._triage(
            {
                place: ticket.question.conversation(texts)
                for place, (ticket, texts) in enumerate(zip(tickets, redacted, strict=True))
                if isinstance(ticket.question, TriageQuestion)
            },
            [ticket.question.id for ticket in tickets],
        )
        for place, (ticket, texts) in enumerate(zip(tickets, redacted, strict=True)):
            question, event = ticket.question, ticket.question.event(texts)
            if place in said:
                ticket.answer, told = said[place]
                event |= told
                if "interaction" in event:
                    event["interaction"]["handled_by"] = (
                        "agent" if ticket.answer["handoff"] or question.is_taken_over else "ai"
                    )
            else:
                ticket.answer = {f"{question.kind}_id": question.id, "recorded": True}
            ticket.line = encode_event({**event, "answer": ticket.answer})

    def _redact(self, questions: Sequence[Question[Any]]) -> list[list[str]]:
        """Return the texts of each question without personal data: all of them in one pass."""
        texts = pl.Series(list(read_texts(questions)), dtype=pl.String)
        left = iter(redact_texts(texts, self._rules).to_list())
        return [[next(left) for _ in question.texts()] for question in questions]

    def _triage(
        self, conversations: Mapping[int, Conversation], ids: Sequence[str]
    ) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
        """Return for each place of ``conversations`` the answer, and what releases said as the log keeps it."""
        live = self._releases.live
        shadowed = {place: one for place, one in conversations.items() if self._in_shadow(ids[place])}
        both = self._ask_both(live.pair, shadowed)
        rest = {place: one for place, one in conversations.items() if place not in both}
        champion = {**{place: pair[0] for place, pair in both.items()}, **self._ask(live.champion, rest)}
        found = {}
        for place in conversations:
            told = {"challenger": both[place][1].recorded()} if place in both else {}
            if place in champion:
                answer = {"interaction_id": ids[place], "recorded": True, **champion[place].answer()}
                told["champion"] = champion[place].recorded()
            else:
                answer = _stepped_aside(ids[place], RELEASE_FAILED if live.champion else NO_RELEASE, recorded=True)
            self._metrics.count("decisions", "messages by decision", handoff=str(answer["handoff"]).lower())
            found[place] = answer, told
        return found

    def _ask(self, release: Champion | None, conversations: Mapping[int, Conversation]) -> dict[int, Said]:
        """Return what ``release`` says of ``conversations``; nothing where there is none, or where it fails."""
        if release is None or not conversations:
            return {}
        with self._guard(RELEASE_FAILED, release.version):
            said = decide(release, tuple(conversations.values()), rng=self._rng)
            return dict(zip(conversations, said, strict=True))
        return {}

    def _ask_both(self, pair: Pair | None, conversations: Mapping[int, Conversation]) -> dict[int, tuple[Said, Said]]:
        """Return what champion and challenger say of ``conversations``; nothing where one of them fails."""
        if pair is None or not conversations:
            return {}
        with self._guard(SHADOW_FAILED, pair.challenger.version):
            champion, challenger = pair.decide(tuple(conversations.values()), rng=self._rng)
            return dict(zip(conversations, zip(champion, challenger, strict=True), strict=True))
        return {}

    @contextmanager
    def _guard(self, alarm: str, version: str) -> Iterator[None]:
        """Raise ``alarm`` where the block fails, and end it where it does not."""
        try:
            yield
        except Exception as error:  # its message could hold what a customer wrote
            self._metrics.alarm(alarm, f"release {version} could not answer ({type(error).__name__})")
        else:
            self._metrics.alarm(alarm, "")

    def _in_shadow(self, name: str) -> bool:
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < self._shadow_share * 2**64


def hand_off(question: Question[Any], reason: str, *, recorded: bool) -> Mapping[str, Any]:
    """Return the answer of degraded mode: a message goes to a person; of anything else, whether it is recorded."""
    if isinstance(question, TriageQuestion):
        return _stepped_aside(question.id, reason, recorded=recorded)
    return {f"{question.kind}_id": question.id, "recorded": recorded}


def _stepped_aside(interaction_id: str, reason: str, *, recorded: bool) -> dict[str, Any]:
    return {
        "interaction_id": interaction_id,
        "recorded": recorded,
        "handoff": True,
        "reasons": [{"signal": reason, "value": 1.0, "why": _WHY[reason], "task": ""}],
        "answers": {},
        "sentiment": None,
        "in_scope": None,
        "risk": None,
        "threshold": None,
        "propensity": 1.0,
        "release": None,
        "version": None,
    }
