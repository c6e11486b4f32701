"""What every route shares: who asks, how often they may, how questions are put, and what is answered where not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from labeling.taxonomy import Taxonomy
from serving.gateway.alarming import Alarming
from serving.gateway.batching import Overloaded
from serving.gateway.bodies import Problem, TriageBody
from serving.gateway.config import Role
from serving.gateway.faults import KeyNeeded, NotUnderstood, RoleNeeded, TooMany, Unrecorded
from serving.gateway.gateway import Gateway, KeyReused, Reply
from serving.gateway.handing_over import Packages
from serving.gateway.keys import Client, KeyRing
from serving.gateway.limiting import RateLimits
from serving.gateway.questions import Question, TriageQuestion
from serving.gateway.recognising import Recogniser
from serving.gateway.releases import Releases

USUAL: Final = (400, 401, 403, 408, 413, 422, 429)
"""Statuses of refusals that every request with a body may meet."""
_BEARER: Final = HTTPBearer(auto_error=False, description="A key that `cxloop keys add` made.")
_RETRY_SECONDS: Final = 5

Idempotency = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[ -~]*$",
        description="Names this request, so that it may be sent again: the answer is the one that was recorded.",
    ),
]


@dataclass
class Site:
    """What serves one home."""

    gateway: Gateway
    keys: KeyRing
    releases: Releases
    alarming: Alarming
    packages: Packages
    taxonomy: Taxonomy
    limits: RateLimits = field(init=False)
    recogniser: Recogniser = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.limits = RateLimits(self.gateway.config.rates)
        self.recogniser = Recogniser(self.keys, self.limits)

    def known(self, *roles: Role) -> Any:
        """Return the dependency that recognises the client of a request, whose role must be one of ``roles``."""
        return Depends(_recognise(self, *roles))

    def message(self, kind: type[TriageQuestion], body: TriageBody, client: Client, idempotency: str) -> TriageQuestion:
        """Return a message as a question."""
        return self.gateway.question(
            kind,
            body,
            client=client,
            own_id=body.interaction_id,
            idempotency=idempotency,
            longest=self.gateway.config.longest_conversation,
        )

    async def ask(self, questions: Sequence[Question[Any]]) -> list[Reply]:
        """Return the replies to ``questions``.

        Raises:
            NotUnderstood: an idempotency key came again with another body.
            TooMany: too much waits.
        """
        try:
            return await self.gateway.ask(questions)
        except KeyReused:
            raise NotUnderstood(
                "an idempotency key stands for one request: send another key with another body"
            ) from None
        except Overloaded as overloaded:
            raise TooMany("too many messages wait for the model: come again", seconds=overloaded.seconds) from None

    async def record(self, questions: Sequence[Question[Any]]) -> list[dict[str, Any]]:
        """Return the answers to ``questions``, all of which are on disk.

        Raises:
            Unrecorded: one is not, or nobody can say.
        """
        replies = await self.ask(questions)
        if not all(reply.recorded for reply in replies):
            raise Unrecorded("this is not on disk, nothing was taken for sure: send it again", seconds=_RETRY_SECONDS)
        return [dict(reply.answer) for reply in replies]

    def check_length(self, sent: Sequence[Any]) -> None:
        """Refuse a batch that is too long.

        Raises:
            NotUnderstood: it is; says how long it may be.
        """
        most = self.gateway.config.longest_batch
        if len(sent) > most:
            raise NotUnderstood(f"at most {most} in one request are taken, found {len(sent)}: send several requests")


def numbered(sent: Sequence[Any], idempotency: str) -> list[tuple[Any, str]]:
    """Return each body with an idempotency key of its own, made from that of the request."""
    return [(each, f"{idempotency} {place}" if idempotency else "") for place, each in enumerate(sent)]


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of refusals with these ``statuses``."""
    return {status: {"model": Problem} for status in statuses}


def _recognise(site: Site, *roles: Role) -> Callable[..., Awaitable[Client]]:
    async def recognise(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Client:
        address = request.client.host if request.client else ""
        client = await site.recogniser.identify(given.credentials, address=address) if given else None
        if client is None:
            raise KeyNeeded("a key is needed as Authorization: Bearer KEY, found none or nobody's: `cxloop keys add`")
        if client.role not in roles:
            raise RoleNeeded(f"a key with the role {' or '.join(roles)} is needed, this one has {client.role}")
        return client

    return recognise
