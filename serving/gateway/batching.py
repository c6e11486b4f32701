"""Micro-batches: whatever waits when the model is free is read together, recorded together, and answered.

There is no waiting time to set: with one client a batch is one message, and with many it grows by itself, as large as
what came while the batch before was read.
"""

import asyncio
import contextlib
import enum
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from serving.gateway.log import GroupCommit, Place
from serving.gateway.questions import Question

_LOG: Final = logging.getLogger(__name__)


class Overloaded(Exception):
    """More waits than may; ``seconds`` (>= 1) until there should be room."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _State(enum.Enum):
    WAITING = enum.auto()
    CLAIMED = enum.auto()
    """Its line is being written: it will be known whether it is in the log."""
    ABANDONED = enum.auto()
    """Its client was told that it is not recorded, and it never will be."""


class Ticket:
    """One question on its way: what is said of it, and whether it stands in the log.

    Attributes:
        question: what was asked.
        answer: what is answered once it is recorded; set by whoever works on it.
        line: what is recorded.
        recorded: where the line stands, None where it is not in the log.
    """

    def __init__(self, question: Question[Any]) -> None:
        self.question = question
        self.answer: Mapping[str, Any] = {}
        self.line = b""
        self.recorded: Place | None = None
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._state = _State.WAITING
        self._lock = threading.Lock()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._state is _State.ABANDONED

    def claim(self) -> bool:
        """Take it for writing; whether it was not abandoned before."""
        return self._move(_State.CLAIMED)

    def abandon(self) -> bool:
        """Give it up; whether it was not taken for writing before."""
        return self._move(_State.ABANDONED)

    def _move(self, state: _State) -> bool:
        with self._lock:
            if self._state is _State.WAITING:
                self._state = state
            return self._state is state


class Batcher:
    """Works on questions in batches on a thread of its own, and has what came of them recorded.

    Args:
        work: sets answer and line of each ticket of a batch.
        commit: writes the lines.
        largest_pass: questions of a batch.
        largest_queue: questions that may wait for a batch.
        on_recorded: called on the event loop with the tickets of a batch, before anybody is answered.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Ticket]], None],
        commit: GroupCommit,
        *,
        largest_pass: int,
        largest_queue: int,
        on_recorded: Callable[[Sequence[Ticket]], None],
    ) -> None:
        self._work = work
        self._commit = commit
        self._largest_pass = largest_pass
        self._largest_queue = largest_queue
        self._on_recorded = on_recorded
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._seconds_each = 0.01
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="gateway-model")
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many questions wait for the model."""
        return len(self._queue)

    async def ask(self, questions: Sequence[Question[Any]], *, timeout_seconds: float) -> list[Ticket]:
        """Return the tickets of ``questions`` once each is recorded, or has failed to be, or time is up.

        Raises:
            Overloaded: there is no room for all of them; none was taken.
        """
        self._loop = asyncio.get_running_loop()
        tickets = [Ticket(question) for question in questions]
        with self._changed:
            if len(self._queue) + len(tickets) > self._largest_queue:
                raise Overloaded(max(1, math.ceil(len(self._queue) * self._seconds_each)))
            self._queue.extend(tickets)
            self._changed.notify()
        _, late = await asyncio.wait([ticket.future for ticket in tickets], timeout=timeout_seconds)
        if late:
            await asyncio.gather(*(ticket.future for ticket in tickets if not ticket.abandon()))
        return tickets

    def close(self) -> None:
        """Work on what waits, then end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._is_closing)
                if not self._queue:
                    return
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._largest_pass))]
            batch = [ticket for ticket in taken if not ticket.is_abandoned]
            if batch:
                self._do(batch)

    def _do(self, batch: Sequence[Ticket]) -> None:
        began = time.monotonic()
        try:
            self._work(batch)
        except Exception as error:  # its message could hold what a customer wrote
            _LOG.error("a batch could not be worked on (%s); it is answered unrecorded", type(error).__name__)
            self._answer(batch)
            return
        self._seconds_each += 0.1 * ((time.monotonic() - began) / len(batch) - self._seconds_each)
        claimed: list[Ticket] = []

        def claim() -> list[bytes]:
            claimed.extend(ticket for ticket in batch if ticket.claim())
            return [ticket.line for ticket in claimed]

        def done(places: list[Place] | None) -> None:
            for ticket, place in zip(claimed, places or [None] * len(claimed), strict=True):
                ticket.recorded = place
            self._answer(claimed)

        self._commit.append(claim, done)

    def _answer(self, batch: Sequence[Ticket]) -> None:
        def tell() -> None:
            self._on_recorded(batch)
            for ticket in batch:
                if not ticket.future.done():
                    ticket.future.set_result(None)

        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(tell)
