"""The gateway without HTTP: questions in, answers out, each recorded before it counts, and at most once."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from labeling.digests import keyed_digest
from labeling.sources.arrivals import safe_id
from serving.gateway.batching import Batcher, Overloaded, Ticket
from serving.gateway.bodies import Body
from serving.gateway.config import GatewayConfig
from serving.gateway.keys import Client
from serving.gateway.log import EventLog, GroupCommit
from serving.gateway.metrics import Metrics
from serving.gateway.questions import Question
from serving.gateway.repeats import Recorded, Repeats
from serving.gateway.working import NOT_RECORDED, TIMED_OUT, Worker, hand_off

Asked = TypeVar("Asked", bound=Question[Any])


class KeyReused(Exception):
    """An idempotency key came again with another request."""


@dataclass(frozen=True)
class Reply:
    """What is answered to one question; ``recorded`` says whether it is in the log."""

    answer: Mapping[str, Any]
    recorded: bool


class Gateway:
    """Answers questions of clients.

    Args:
        config: limits.
        key: the home's.
        worker: reads messages.
        log: where answers are recorded.
        metrics: what is counted.
        now: the clock.
    """

    def __init__(
        self,
        config: GatewayConfig,
        *,
        key: bytes,
        worker: Worker,
        log: EventLog,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.config = config
        self.metrics = metrics
        self._key = key
        self._now = now
        self._repeats = Repeats(log, most=config.remembered_answers)
        self._under_way: dict[str, tuple[str, asyncio.Future[Reply]]] = {}
        self._commit = GroupCommit(log)
        self._batcher = Batcher(
            worker.work,
            self._commit,
            largest_pass=config.largest_pass,
            largest_queue=config.largest_queue,
            on_recorded=self._remember,
        )
        metrics.watch("queue_messages", "messages that wait for the model", lambda: self._batcher.waiting)

    def close(self) -> None:
        """Answer and record what waits, then let go of the log."""
        self._batcher.close()
        self._commit.close()

    def question(
        self,
        kind: type[Asked],
        body: Body,
        *,
        client: Client,
        own_id: str | None,
        idempotency: str,
        **more: Any,
    ) -> Asked:
        """Return what ``client`` asks.

        Args:
            kind: of the question.
            body: as it was sent.
            client: whose key it came with.
            own_id: the client's id of it, None where it has none.
            idempotency: the client's idempotency key, "" where it has none.
            more: what else the kind needs.
        """
        asked = hmac.digest(self._key, body.model_dump_json().encode(), hashlib.sha256).hex()[:32]
        under = idempotency or (f"{own_id} {asked} {more}" if own_id else "")
        repeat = self._repeat(kind, client, under) if under else ""
        name = safe_id(self._key, own_id) if own_id else self.make_id(kind, client, idempotency)
        return kind(body, name, client.name, self._now(), repeat, asked, self._key, **more)

    def make_id(self, kind: type[Question[Any]], client: Client, idempotency: str) -> str:
        """Return a new id, the same one for the same idempotency key of ``client``."""
        made = self._repeat(kind, client, idempotency) if idempotency else secrets.token_hex(16)
        return f"{kind.kind[0]}-{made}"

    def _repeat(self, kind: type[Question[Any]], client: Client, under: str) -> str:
        return keyed_digest(self._key, "repeat", client.name, kind.kind, under)[:32]

    async def ask(self, questions: Sequence[Question[Any]]) -> list[Reply]:
        """Answer ``questions``; those that were asked before get the answer that was recorded.

        Raises:
            KeyReused: an idempotency key came again with another request; nothing was taken.
            Overloaded: too much waits; nothing was taken.
        """
        first: dict[str, Question[Any]] = {}
        for question in questions:
            self._refuse_reuse(question, first.setdefault(question.repeat or question.id, question))
        known = {name: reply for name, question in first.items() if (reply := self._recall(question))}
        joined = {name: self._under_way[name][1] for name in first if name not in known and name in self._under_way}
        fresh = {name: question for name, question in first.items() if name not in known and name not in joined}
        known |= await self._ask_fresh(fresh)
        known |= {name: await asyncio.shield(future) for name, future in joined.items()}
        return [known[question.repeat or question.id] for question in questions]

    def _refuse_reuse(self, question: Question[Any], first: Question[Any]) -> None:
        """Raise KeyReused where the same key, here or earlier, stood for another request than this."""
        recorded, under_way = self._repeats.find(question.repeat), self._under_way.get(question.repeat)
        asked = (first.asked, recorded.asked if recorded else None, under_way[0] if under_way else None)
        if question.repeat and any(each not in {None, question.asked} for each in asked):
            raise KeyReused

    def _recall(self, question: Question[Any]) -> Reply | None:
        recorded = self._repeats.find(question.repeat)
        event = self._repeats.read(recorded) if recorded else None
        if event is None:
            return None
        self.metrics.count("repeats", "requests that were answered from the log")
        return Reply(event["answer"], recorded=True)

    async def _ask_fresh(self, fresh: Mapping[str, Question[Any]]) -> dict[str, Reply]:
        """Ask what nobody asked before; whoever asks the same meanwhile gets the same reply."""
        if not fresh:
            return {}
        loop = asyncio.get_running_loop()
        mine = {name: (question.asked, loop.create_future()) for name, question in fresh.items()}
        self._under_way |= mine
        replies: dict[str, Reply] = {}
        try:
            tickets = await self._batcher.ask(tuple(fresh.values()), timeout_seconds=self.config.timeout_seconds)
            replies = {name: self._reply(ticket) for name, ticket in zip(fresh, tickets, strict=True)}
            return replies
        finally:
            for name, (_, future) in mine.items():
                del self._under_way[name]
                if name in replies:
                    future.set_result(replies[name])
                else:
                    future.set_exception(Overloaded(1))
                    future.exception()  # nobody need have waited for it

    def _reply(self, ticket: Ticket) -> Reply:
        """Return the answer where it is recorded; else, of a message, that it is handed off."""
        if ticket.recorded:
            return Reply(ticket.answer, recorded=True)
        reason = TIMED_OUT if ticket.is_abandoned else NOT_RECORDED
        self.metrics.count("unrecorded", "answers that could not be recorded", reason=reason)
        return Reply(hand_off(ticket.question, reason, recorded=False), recorded=False)

    def _remember(self, tickets: Sequence[Ticket]) -> None:
        """Note where the lines of ``tickets`` stand; runs on the event loop."""
        failed = [ticket for ticket in tickets if not ticket.recorded]
        if tickets:
            self.metrics.alarm(NOT_RECORDED, "answers cannot be recorded: see the disk" if failed else "")
        for ticket in tickets:
            if ticket.recorded and ticket.question.repeat:
                self._repeats.add(ticket.question.repeat, Recorded(ticket.recorded, ticket.question.asked))
