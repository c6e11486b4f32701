"""The reviewers' page as an application."""

from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from labeling.errors import CxloopError
from serving.reviewers import deciding, reading
from serving.reviewers.faults import NotSignedIn, PageFault, TooMany, describe_fault
from serving.reviewers.headers import STATIC, SecurityHeaders
from serving.reviewers.records import Records
from serving.reviewers.site import Site, quiet_visitor, render

_FOLDER: Final = Path(__file__).parent / "static"


def build_app(records: Records, secret: str) -> ASGIApp:
    """Return the page over ``records``; ``secret`` signs its cookies and forms."""
    app = FastAPI(title="cxloop reviewers", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(records, secret)
    app.mount(STATIC, StaticFiles(directory=_FOLDER))
    app.include_router(reading.router)
    app.include_router(deciding.router)
    app.add_exception_handler(CxloopError, _tell_fault)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_unforeseen)
    return SecurityHeaders(app)


def _tell_fault(request: Request, error: Exception) -> Response:
    if not isinstance(error, CxloopError):
        return _tell_unforeseen(request, error)
    if isinstance(error, NotSignedIn) and request.method == "GET":
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{deciding.SIGN_IN}?{urlencode({'next': path})}", 303)
    status, title = describe_fault(error)
    answer = _show(request, status, title, str(error))
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _tell_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return _show(request, 404, "Not found", "there is no such page: go to the first page")
    return _show(request, status, PageFault.title, "the page does not take requests of this kind: go to the first page")


def _tell_unforeseen(request: Request, error: Exception) -> Response:
    return _show(
        request,
        500,
        "Something is wrong",
        f"the page met a fault of its own ({type(error).__name__}): its log has more; other pages may still work",
    )


def _show(request: Request, status: int, title: str, message: str) -> Response:
    return render(request, "fault.html.j2", status=status, visitor=quiet_visitor(request), title=title, message=message)
