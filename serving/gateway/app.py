"""The gateway over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from labeling.taxonomy import Taxonomy
from serving.gateway import bodies as b
from serving.gateway.batching import Overloaded
from serving.gateway.config import Role
from serving.gateway.door import Door
from serving.gateway.faults import (
    KeyNeeded,
    NotUnderstood,
    Refused,
    RoleNeeded,
    TooMany,
    Unrecorded,
    describe,
    problem,
    tell,
)
from serving.gateway.gateway import Gateway, KeyReused, Reply
from serving.gateway.keys import Client, KeyRing
from serving.gateway.limiting import RateLimits
from serving.gateway.metrics import CONTENT_TYPE
from serving.gateway.questions import CorrectionQuestion, EscalationQuestion, Question, TriageQuestion
from serving.gateway.recognising import Recogniser
from serving.gateway.releases import Releases, Watch
from serving.gateway.working import NOT_RECORDED

_ABOUT: Final = """Answers customers' messages, and records what it answers.

Every request but `/health` and `/ready` needs a key: `Authorization: Bearer KEY`. A request that is repeated under the
same `Idempotency-Key` gets the answer that was recorded, and is recorded once."""

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


@dataclass(frozen=True)
class Site:
    """What serves one home."""

    gateway: Gateway
    keys: KeyRing
    releases: Releases
    taxonomy: Taxonomy


def make_app(site: Site) -> ASGIApp:
    """Return the application; it looks after the registry while it runs, and closes the gateway when it ends."""
    config, metrics = site.gateway.config, site.gateway.metrics
    limits = RateLimits(config.rates)
    who = Recogniser(site.keys, limits)

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        watch = Watch(site.releases, seconds=config.reload_seconds)
        watch.start()
        yield
        await run_in_threadpool(watch.close)
        await run_in_threadpool(site.gateway.close)

    app = FastAPI(title="cxloop gateway", version="1", description=_ABOUT, lifespan=run, redoc_url=None)
    _add_triage(app, site, who, limits)
    _add_feedback(app, site, who, limits)
    _add_state(app, site, who, limits)
    app.add_exception_handler(Refused, _tell_refused)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_unforeseen)
    return Door(app, largest=config.body_kilobytes << 10, seconds=config.timeout_seconds, metrics=metrics)


def _add_triage(app: FastAPI, site: Site, who: Recogniser, limits: RateLimits) -> None:
    may_ask = Depends(_known(who, "assistant"))
    told = _responses(400, 401, 403, 408, 413, 422, 429)

    def question(body: b.TriageBody, client: Client, idempotency: str) -> Question[Any]:
        return site.gateway.question(
            TriageQuestion,
            body,
            client=client,
            own_id=body.interaction_id,
            idempotency=idempotency,
            longest=site.gateway.config.longest_conversation,
        )

    @app.post("/v1/triage", response_model=b.TriageAnswer, responses=told, tags=["triage"])
    async def triage(
        body: b.TriageBody, client: Annotated[Client, may_ask], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Say what a message is about, how the customer feels, and whether a person should answer."""
        limits.count(client, 1)
        return JSONResponse((await _ask(site, [question(body, client, idempotency)]))[0].answer)

    @app.post("/v1/triage/batch", response_model=b.TriageBatchAnswer, responses=told, tags=["triage"])
    async def triage_batch(
        body: b.TriageBatch, client: Annotated[Client, may_ask], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Say it of several messages."""
        _check_length(site, body.messages)
        limits.count(client, len(body.messages))
        questions = [question(each, client, key) for each, key in _numbered(body.messages, idempotency)]
        return JSONResponse({"answers": [reply.answer for reply in await _ask(site, questions)]})


def _add_feedback(app: FastAPI, site: Site, who: Recogniser, limits: RateLimits) -> None:
    told = _responses(400, 401, 403, 408, 413, 422, 429, 503)
    may_correct = Depends(_known(who, "desktop"))
    may_escalate = Depends(_known(who, "desktop", "assistant"))

    async def record(
        kind: type[Question[Any]], sent: Sequence[b.CorrectionBody | b.EscalationBody], client: Client, idempotency: str
    ) -> list[dict[str, Any]]:
        limits.count(client, len(sent))
        questions = [
            site.gateway.question(kind, each, client=client, own_id=getattr(each, f"{kind.kind}_id"), idempotency=key)
            for each, key in _numbered(sent, idempotency)
        ]
        return _require_recorded(await _ask(site, questions))

    @app.post("/v1/corrections", response_model=b.CorrectionAnswer, responses=told, tags=["feedback"])
    async def correct(
        body: b.CorrectionBody, client: Annotated[Client, may_correct], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record an agent's word that a label is another."""
        _check_labels(site.taxonomy, [body])
        return JSONResponse((await record(CorrectionQuestion, [body], client, idempotency))[0])

    @app.post("/v1/corrections/batch", response_model=b.CorrectionBatchAnswer, responses=told, tags=["feedback"])
    async def correct_batch(
        body: b.CorrectionBatch, client: Annotated[Client, may_correct], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record several corrections, all of them or none."""
        _check_length(site, body.corrections)
        _check_labels(site.taxonomy, body.corrections)
        return JSONResponse({"answers": await record(CorrectionQuestion, body.corrections, client, idempotency)})

    @app.post("/v1/escalations", response_model=b.EscalationAnswer, responses=told, tags=["feedback"])
    async def escalate(
        body: b.EscalationBody, client: Annotated[Client, may_escalate], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record that a conversation went to a person, or how that ended."""
        return JSONResponse((await record(EscalationQuestion, [body], client, idempotency))[0])

    @app.post("/v1/escalations/batch", response_model=b.EscalationBatchAnswer, responses=told, tags=["feedback"])
    async def escalate_batch(
        body: b.EscalationBatch, client: Annotated[Client, may_escalate], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record several escalations, all of them or none."""
        _check_length(site, body.escalations)
        return JSONResponse({"answers": await record(EscalationQuestion, body.escalations, client, idempotency)})


def _add_state(app: FastAPI, site: Site, who: Recogniser, limits: RateLimits) -> None:
    may_read = Depends(_known(who, "monitor"))

    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:
        """Say that the process runs."""
        return {"status": "ok"}

    @app.get("/ready", tags=["state"], responses={503: {"description": "Everything is handed off, or unrecorded."}})
    async def ready(response: Response) -> dict[str, Any]:
        """Say whether a release answers and answers are recorded, and which alarms are on."""
        alarms, champion = sorted(site.gateway.metrics.alarms), site.releases.live.champion
        is_ready = champion is not None and NOT_RECORDED not in alarms
        response.status_code = 200 if is_ready else 503
        return {"ready": is_ready, "version": champion.version if champion else None, "alarms": alarms}

    @app.get("/metrics", tags=["state"], response_class=PlainTextResponse, responses=_responses(401, 403, 429))
    async def metrics(client: Annotated[Client, may_read]) -> PlainTextResponse:
        """Show what is counted, in Prometheus' text format."""
        limits.count(client, 1)
        return PlainTextResponse(site.gateway.metrics.render(), media_type=CONTENT_TYPE)


def _known(recogniser: Recogniser, *roles: Role) -> Callable[..., Awaitable[Client]]:
    """Return what recognises the client of a request, whose role must be one of ``roles``."""

    async def know(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Client:
        address = request.client.host if request.client else ""
        client = await recogniser.identify(given.credentials, address=address) if given else None
        if client is None:
            raise KeyNeeded("a key is needed as Authorization: Bearer KEY, found none or nobody's: `cxloop keys add`")
        if client.role not in roles:
            raise RoleNeeded(f"a key with the role {' or '.join(roles)} is needed, this one has {client.role}")
        return client

    return know


async def _ask(site: Site, questions: Sequence[Question[Any]]) -> list[Reply]:
    try:
        return await site.gateway.ask(questions)
    except KeyReused:
        raise NotUnderstood("an idempotency key stands for one request: send another key with another body") from None
    except Overloaded as overloaded:
        raise TooMany("too many messages wait for the model: come again", seconds=overloaded.seconds) from None


def _require_recorded(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    if not all(reply.recorded for reply in replies):
        raise Unrecorded("this is not on disk, nothing was taken for sure: send it again", seconds=_RETRY_SECONDS)
    return [dict(reply.answer) for reply in replies]


def _numbered(sent: Sequence[Any], idempotency: str) -> list[tuple[Any, str]]:
    """Return each body with an idempotency key of its own, made from that of the request."""
    return [(each, f"{idempotency} {place}" if idempotency else "") for place, each in enumerate(sent)]


def _check_length(site: Site, sent: Sequence[Any]) -> None:
    most = site.gateway.config.longest_batch
    if len(sent) > most:
        raise NotUnderstood(f"at most {most} in one request are taken, found {len(sent)}: send several requests")


def _check_labels(taxonomy: Taxonomy, corrections: Sequence[b.CorrectionBody]) -> None:
    known = {task.name: {*task.trainable, *taxonomy.former(task.name)} for task in taxonomy.tasks}
    faults = []
    for place, each in enumerate(corrections):
        if each.task not in known:
            faults.append(f"corrections.{place}.task: needs one of {', '.join(known)}")
        elif each.label not in known[each.task]:
            faults.append(f"corrections.{place}.label: needs a label that the taxonomy has for {each.task}")
    if faults:
        raise NotUnderstood("corrections need tasks and labels of the taxonomy", faults=faults)


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": b.Problem} for status in statuses}


async def _tell_refused(_request: Request, error: Exception) -> Response:
    return tell(error) if isinstance(error, Refused) else await _tell_unforeseen(_request, error)


async def _tell_invalid(_request: Request, error: Exception) -> Response:
    return (
        tell(describe(error)) if isinstance(error, RequestValidationError) else await _tell_unforeseen(_request, error)
    )


async def _tell_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "there is no such path", 405: "the path does not take this method"}
    return problem(status, "This cannot be done", words.get(status, "the body cannot be read as JSON in UTF-8"))


async def _tell_unforeseen(_request: Request, error: Exception) -> Response:
    return problem(500, "Something is wrong", f"the gateway met a fault of its own ({type(error).__name__})")
