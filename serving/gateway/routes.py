"""The paths of the API."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from labeling.taxonomy import Taxonomy
from labeling.vocabulary import NOTHING
from serving.gateway import bodies as b
from serving.gateway.faults import NotUnderstood
from serving.gateway.keys import Client
from serving.gateway.metrics import CONTENT_TYPE
from serving.gateway.questions import (
    CorrectionQuestion,
    EscalationQuestion,
    FeedbackQuestion,
    HandoffQuestion,
    Question,
    TriageQuestion,
)
from serving.gateway.site import USUAL, Idempotency, Site, numbered, responses
from serving.gateway.working import NOT_RECORDED

_CARD: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
"""What a card needs, and nothing that could run or leave it."""


def add_triage(app: FastAPI, site: Site) -> None:
    """Add the paths that answer messages."""
    may_ask = site.known("assistant")
    told = responses(*USUAL)

    @app.post("/v1/triage", response_model=b.TriageAnswer, responses=told, tags=["triage"])
    async def triage(
        body: b.TriageBody, client: Annotated[Client, may_ask], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Say what a message is about, how the customer feels, and whether a person should answer."""
        await site.limits.count(client, 1)
        replies = await site.ask([site.message(TriageQuestion, body, client, idempotency)])
        return JSONResponse(replies[0].answer)

    @app.post("/v1/triage/batch", response_model=b.TriageBatchAnswer, responses=told, tags=["triage"])
    async def triage_batch(
        body: b.TriageBatch, client: Annotated[Client, may_ask], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Say it of several messages."""
        site.check_length(body.messages)
        await site.limits.count(client, len(body.messages))
        pairs = numbered(body.messages, idempotency)
        replies = await site.ask([site.message(TriageQuestion, each, client, key) for each, key in pairs])
        return JSONResponse({"answers": [reply.answer for reply in replies]})


def add_handoff(app: FastAPI, site: Site) -> None:
    """Add the paths for whoever takes a conversation over."""
    may_take_over = site.known("assistant", "desktop")
    may_tell = site.known("desktop")
    card = {200: {"content": {"text/html": {}}, "description": "As JSON or, where text/html is accepted, as a card."}}
    told = {**responses(*USUAL), **card}

    @app.post("/v1/handoff", response_model=b.HandoffAnswer, responses=told, tags=["handoff"])
    async def hand_over(
        body: b.TriageBody,
        client: Annotated[Client, may_take_over],
        idempotency: Idempotency = "",
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        """Return what the person who takes a conversation over should know, as JSON or as a card."""
        await site.limits.count(client, 1)
        question = site.message(HandoffQuestion, body, client, idempotency)
        reply = (await site.ask([question]))[0]
        package = await run_in_threadpool(site.packages.make, question, reply.answer)
        if "text/html" in accept:
            return HTMLResponse(await run_in_threadpool(site.packages.show, package), headers=_CARD)
        about = {"interaction_id": question.id, "recorded": reply.recorded}
        return JSONResponse({**about, "package": package.model_dump(mode="json")})

    @app.post(
        "/v1/context_feedback", response_model=b.FeedbackAnswer, responses=responses(*USUAL, 503), tags=["handoff"]
    )
    async def tell_of_package(
        body: b.FeedbackBody, client: Annotated[Client, may_tell], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record what an agent says of a context package."""
        await site.limits.count(client, 1)
        name = body.feedback_id or site.gateway.make_id(FeedbackQuestion, client, idempotency)
        questions = [
            site.gateway.question(
                FeedbackQuestion,
                body,
                client=client,
                own_id=name,
                idempotency=f"{idempotency} {part}" if idempotency else "",
                missing=part,
            )
            for part in sorted(body.missing) or [NOTHING]
        ]
        return JSONResponse((await site.record(questions))[0])


def add_corrections(app: FastAPI, site: Site) -> None:
    """Add the paths that record corrections."""
    may_correct = site.known("desktop")
    told = responses(*USUAL, 503)

    @app.post("/v1/corrections", response_model=b.CorrectionAnswer, responses=told, tags=["feedback"])
    async def correct(
        body: b.CorrectionBody, client: Annotated[Client, may_correct], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record an agent's word that a label is another."""
        _check_labels(site.taxonomy, [body])
        return JSONResponse((await _record(site, CorrectionQuestion, [body], client, idempotency))[0])

    @app.post("/v1/corrections/batch", response_model=b.CorrectionBatchAnswer, responses=told, tags=["feedback"])
    async def correct_batch(
        body: b.CorrectionBatch, client: Annotated[Client, may_correct], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record several corrections."""
        site.check_length(body.corrections)
        _check_labels(site.taxonomy, body.corrections)
        return JSONResponse({"answers": await _record(site, CorrectionQuestion, body.corrections, client, idempotency)})


def add_escalations(app: FastAPI, site: Site) -> None:
    """Add the paths that record escalations."""
    may_escalate = site.known("desktop", "assistant")
    told = responses(*USUAL, 503)

    @app.post("/v1/escalations", response_model=b.EscalationAnswer, responses=told, tags=["feedback"])
    async def escalate(
        body: b.EscalationBody, client: Annotated[Client, may_escalate], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record that a conversation went to a person, or how that ended."""
        return JSONResponse((await _record(site, EscalationQuestion, [body], client, idempotency))[0])

    @app.post("/v1/escalations/batch", response_model=b.EscalationBatchAnswer, responses=told, tags=["feedback"])
    async def escalate_batch(
        body: b.EscalationBatch, client: Annotated[Client, may_escalate], idempotency: Idempotency = ""
    ) -> JSONResponse:
        """Record several escalations."""
        site.check_length(body.escalations)
        return JSONResponse({"answers": await _record(site, EscalationQuestion, body.escalations, client, idempotency)})


def add_state(app: FastAPI, site: Site) -> None:
    """Add the paths that say how the gateway is."""
    may_read = site.known("monitor")

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

    @app.get("/metrics", tags=["state"], response_class=PlainTextResponse, responses=responses(401, 403, 429))
    async def metrics(client: Annotated[Client, may_read]) -> PlainTextResponse:
        """Show what is counted, in Prometheus' text format."""
        await site.limits.count(client, 1)
        return PlainTextResponse(site.gateway.metrics.render(), media_type=CONTENT_TYPE)


async def _record(
    site: Site,
    kind: type[Question[Any]],
    sent: Sequence[b.CorrectionBody | b.EscalationBody],
    client: Client,
    idempotency: str,
) -> list[dict[str, Any]]:
    await site.limits.count(client, len(sent))
    own = f"{kind.kind}_id"
    return await site.record(
        [
            site.gateway.question(kind, each, client=client, own_id=getattr(each, own), idempotency=key)
            for each, key in numbered(sent, idempotency)
        ]
    )


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
