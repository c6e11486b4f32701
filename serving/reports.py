"""The home's reports as pages that ask who reads: ``python -m serving.reports PORT``, the home being in CXLOOP_HOME.

``cxloop up`` starts it. A browser that shows Dagster's page may not open files, and not everyone may read the reports.
"""

import base64
import hmac
import sys
from html import escape
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from labeling.home import Home

USERNAME: Final = "reviewer"
PASSWORD: Final = "CXLOOP_REPORTS_PASSWORD"  # noqa: S105 - the name of the secret
HEALTH: Final = "/health"
"""Answers everybody, and says nothing but that the pages are served."""

_LOOPBACK: Final = "127.0.0.1"


class _SignedIn:
    """Lets those through who know the password (HTTP basic authentication), and nobody else."""

    def __init__(self, app: ASGIApp, password: str) -> None:
        self._app = app
        self._expected = b"Basic " + base64.b64encode(f"{USERNAME}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"] != HEALTH:
            given = Headers(scope=scope).get("authorization", "").encode()
            if not hmac.compare_digest(given, self._expected):
                said = f"Sign in as {USERNAME}; the password is {PASSWORD} of the home's secrets.env.\n"
                answer = PlainTextResponse(said, 401, {"WWW-Authenticate": 'Basic realm="cxloop reports"'})
        await answer(scope, receive, send)


def build_app(folder: Path, password: str) -> ASGIApp:
    """Return the app that serves the files in ``folder``, and an index of its pages, to whoever signs in."""

    def index(_: Request) -> HTMLResponse:
        pages = sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.html"))
        links = "".join(f'<li><a href="/{escape(page)}">{escape(page)}</a></li>' for page in pages)
        listed = f"<ul>{links}</ul>" if pages else "<p>No report was written yet.</p>"
        return HTMLResponse(f'<!doctype html><html lang="en"><title>cxloop reports</title><h1>Reports</h1>{listed}')

    folder.mkdir(parents=True, exist_ok=True)
    health = Route(HEALTH, lambda _: PlainTextResponse("ok"))
    pages = Starlette(routes=[health, Route("/", index), Mount("/", StaticFiles(directory=folder))])
    return _SignedIn(pages, password)


def main() -> None:
    """Serve the reports of CXLOOP_HOME on the port given, on loopback, until stopped."""
    import uvicorn

    home = Home.from_environment()
    app = build_app(home.reports, home.secret(PASSWORD))
    uvicorn.run(app, host=_LOOPBACK, port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
