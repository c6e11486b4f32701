"""The gateway over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from serving.gateway import routes
from serving.gateway.door import Door
from serving.gateway.faults import Refused, describe, problem, tell
from serving.gateway.repeating import Repeating
from serving.gateway.site import Site

_ABOUT: Final = """Answers customers' messages, and records what it answers.

Every request but `/health` and `/ready` needs a key: `Authorization: Bearer KEY`. A request that is repeated under the
same `Idempotency-Key` gets the answer that was recorded, and is recorded once."""


def make_app(site: Site) -> ASGIApp:
    """Return the application; it looks after the registry while it runs, and closes the gateway when it ends."""
    config = site.gateway.config

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        watch = Repeating(site.releases.look, seconds=config.reload_seconds, name="watch")
        alarming = Repeating(site.alarming.look, seconds=config.reload_seconds, name="alarms")
        refreshing = Repeating(site.packages.refresh_where_due, seconds=config.reload_seconds, name="context")
        for part in (watch, alarming, refreshing):
            part.start()
        yield
        for part in (watch, site.gateway, alarming, refreshing):
            await run_in_threadpool(part.close)

    app = FastAPI(
        title="cxloop gateway",
        version="1",
        description=_ABOUT,
        lifespan=run,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    routes.add_triage(app, site)
    routes.add_handoff(app, site)
    routes.add_corrections(app, site)
    routes.add_escalations(app, site)
    routes.add_state(app, site)
    app.add_exception_handler(Refused, _tell_refused)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_unforeseen)
    return Door(app, largest=config.body_kilobytes << 10, seconds=config.timeout_seconds, metrics=site.gateway.metrics)


async def _tell_refused(request: Request, error: Exception) -> Response:
    return tell(error) if isinstance(error, Refused) else await _tell_unforeseen(request, error)


async def _tell_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return await _tell_unforeseen(request, error)
    return tell(describe(error))


async def _tell_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "there is no such path", 405: "the path does not take this method"}
    return problem(status, "This cannot be done", words.get(status, "the body cannot be read as JSON in UTF-8"))


async def _tell_unforeseen(_request: Request, error: Exception) -> Response:
    return problem(500, "Something is wrong", f"the gateway met a fault of its own ({type(error).__name__})")
