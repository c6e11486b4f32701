"""What every route shares: the records, who is signed in, forms, limits, and the making of pages."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from labeling.errors import CxloopError
from serving.reviewers.faults import describe_fault
from serving.reviewers.forms import FIELD, Forms
from serving.reviewers.headers import STATIC
from serving.reviewers.identity import Sessions, Visitor, identify
from serving.reviewers.limiting import Limits
from serving.reviewers.records import Records


@dataclass
class Site:
    """One home's page.

    ``secret`` signs its cookies and forms; ``checking`` lets two tokens be checked at once, which takes 64 MiB each.
    """

    records: Records
    secret: str
    limits: Limits = field(default_factory=Limits)
    checking: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))
    sessions: Sessions = field(init=False)
    forms: Forms = field(init=False)

    def __post_init__(self) -> None:
        """Make what signs."""
        self.sessions, self.forms = Sessions(self.secret), Forms(self.secret)

    def identify(self, request: Request) -> Visitor:
        """Return who asks, as ``identity.identify`` does."""
        return identify(request, self.records.people(), self.sessions)


def site_of(request: Request) -> Site:
    """Return the site that ``request`` came to."""
    return request.app.state.site


def visitor_of(request: Request) -> Visitor:
    """Return who asks; raises as ``identity.identify`` does."""
    return site_of(request).identify(request)


Here = Annotated[Site, Depends(site_of)]
SignedIn = Annotated[Visitor, Depends(visitor_of)]


def render(
    request: Request, template: str, *, status: int = 200, visitor: Visitor | None = None, **context: Any
) -> HTMLResponse:
    """Return a page; forms on it are made for ``visitor``."""
    site = site_of(request)

    def form(purpose: str, **about: str) -> Mapping[str, str]:
        key = visitor.key if visitor else ""
        return {"name": FIELD, "value": site.forms.make(purpose, key, **about)}

    page = _environment().get_template(template)
    shown = page.render(
        visitor=visitor, here=request.url.path, now=site.records.now(), form=form, static=STATIC, **context
    )
    return HTMLResponse(shown, status)


def quiet_visitor(request: Request) -> Visitor | None:
    """Return who asks, None where that cannot be told: for pages that say what went wrong."""
    try:
        return visitor_of(request)
    except CxloopError:
        return None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("serving.reviewers"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "when": _when,
        "words": _words,
        "plural": _plural,
        "sentence": _sentence,
        "title_of": lambda error: describe_fault(error)[1],
    }
    return environment


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{share:.{digits}%}"


def _points(change: float | None) -> str:
    return "–" if change is None else f"{100 * change:+.1f}"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:].rstrip(".") + "."


def _plural(count: float, one: str, many: str = "") -> str:
    return f"{count:,.0f} {one if count == 1 else many or one + 's'}"
