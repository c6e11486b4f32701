"""Why a request is not served, each with the status that HTTP has for it. None of it holds what a client sent."""

import re
from collections.abc import Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from labeling.errors import CxloopError

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_FAULTS: Final = 20


class Refused(CxloopError):
    """A request that is not served; ``seconds`` (>= 1) until it may come again, 0 where that helps nothing."""

    status = 400
    title = "This cannot be done"

    def __init__(self, message: str, *, seconds: int = 0, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.faults = tuple(faults)


class KeyNeeded(Refused):
    """No key, or nobody's."""

    status = 401
    title = "A key is needed"


class RoleNeeded(Refused):
    """The key's role may not ask this."""

    status = 403
    title = "This key may not ask this"


class TooSlow(Refused):
    """The body did not come in time."""

    status = 408
    title = "The request came too slowly"


class TooLarge(Refused):
    """The body is larger than may be."""

    status = 413
    title = "The request is too large"


class NotUnderstood(Refused):
    """The request is not as the OpenAPI document says."""

    status = 422
    title = "The request is not as it should be"


class TooMany(Refused):
    """Too many requests of one key, or too many that wait."""

    status = 429
    title = "Too many requests"


class Unrecorded(Refused):
    """What was sent could not be put on disk."""

    status = 503
    title = "This could not be recorded"


def tell(fault: Refused) -> JSONResponse:
    """Return the answer for ``fault``."""
    headers = {"Retry-After": str(fault.seconds)} if fault.seconds else {}
    if fault.status == KeyNeeded.status:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(fault.status, fault.title, str(fault), faults=fault.faults, headers=headers)


def problem(
    status: int, title: str, detail: str, *, faults: Sequence[str] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return an answer of the form of ``serving.gateway.bodies.Problem``."""
    content = {"title": title, "status": status, "detail": detail, "faults": list(faults)}
    return JSONResponse(content, status, headers)


def describe(error: RequestValidationError) -> NotUnderstood:
    """Return what is wrong with which field, without what stood there; names of unknown fields are a client's words."""
    found = error.errors()
    faults = [f"{_place(fault)}: {_words(fault)}" for fault in found[:_MOST_FAULTS]]
    more = f" (and {len(found) - _MOST_FAULTS} more)" if len(found) > _MOST_FAULTS else ""
    return NotUnderstood(
        f"the request needs the form of /openapi.json, found {len(found)} faults{more}: mend these fields",
        faults=faults,
    )


def _place(fault: Any) -> str:
    parts = [str(part) for part in fault["loc"]]
    return ".".join(part if _PLAIN.fullmatch(part) else "…" for part in parts) or "body"


def _words(fault: Any) -> str:
    return str(fault["msg"]).removeprefix("Value error, ") if fault["type"] != "json_invalid" else "is not JSON"
