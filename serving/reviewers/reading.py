"""The pages that people read."""

import re
from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from labeling.errors import CxloopError
from serving.reviewers.cases import KINDS, SAMPLES
from serving.reviewers.compare import compare
from serving.reviewers.faults import NotFound
from serving.reviewers.offering import offer_decisions
from serving.reviewers.records import History, Seen
from serving.reviewers.reigns import list_decisions, list_reigns
from serving.reviewers.site import Here, SignedIn, Site, render
from training.registry.ledger import Entry
from training.registry.people import Person
from training.registry.standing import Standing

HEALTH: Final = "/health"
"""Answers everybody, and says nothing but that the page is served."""

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_JUDGED: Final = 20
_DECISIONS: Final = 50

router = APIRouter()


@router.get(HEALTH)
def health() -> PlainTextResponse:
    """Say that the page is served."""
    return PlainTextResponse("ok")


@router.get("/")
def index(request: Request, site: Here, visitor: SignedIn) -> Response:
    """Show what waits, what is live, and what was judged since."""
    seen = site.records.look()
    others = _judged_this_reign(seen.history)
    return render(
        request,
        "index.html.j2",
        visitor=visitor,
        seen=seen,
        others=others,
        needed=site.records.people().required_approvals,
        done=_done(request, seen, visitor.person),
    )


@router.get("/challengers/{version}")
def challenger(request: Request, version: str, site: Here, visitor: SignedIn) -> Response:
    """Show everything that is known of one judged release, and what may be decided on it."""
    return show_challenger(request, version, site, visitor)


def show_challenger(
    request: Request,
    version: str,
    site: Site,
    visitor: SignedIn,
    *,
    status: int = 200,
    refused: CxloopError | None = None,
    note: str = "",
) -> Response:
    """Return the page of ``version``; with what was ``refused`` and the ``note`` that came along, after a form."""
    seen = site.records.look()
    judged = _require_judged(version, seen.standing)
    query = dict(request.query_params)
    case = site.records.open_case(judged.body["case_file"])
    comparison = compare(version, judged, case, records=site.records, query=query)
    offer = offer_decisions(comparison, seen, visitor.person, site.records.people())
    return render(
        request,
        "challenger.html.j2",
        status=status,
        visitor=visitor,
        seen=seen,
        shown=comparison,
        offer=offer,
        kinds=KINDS,
        samples=SAMPLES,
        query=query,
        done=_done(request, seen, visitor.person),
        refused=refused,
        note=note,
    )


@router.get("/challengers/{version}/files/{path:path}")
def case_file(version: str, path: str, site: Here, visitor: SignedIn) -> Response:
    """Hand out one file of the case file, checked against its digest; as a download, whatever is in it."""
    judged = _require_judged(version, site.records.history().standing)
    case = site.records.open_case(judged.body["case_file"])
    if path not in case.about.files:
        raise NotFound("this case file has no such file: the page of the release lists those that it has")
    name = f"{version}-{path.replace('/', '-')}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(case.read(path), media_type="application/octet-stream", headers=headers)


@router.get("/history")
def history(request: Request, site: Here, visitor: SignedIn) -> Response:
    """Show every champion and every decision."""
    return show_history(request, site, visitor)


def show_history(
    request: Request,
    site: Site,
    visitor: SignedIn,
    *,
    status: int = 200,
    refused: CxloopError | None = None,
    note: str = "",
) -> Response:
    """Return the history; with what was ``refused`` and the ``note`` that came along, after a form."""
    seen = site.records.look()
    decisions = list_decisions(seen.history.entries)
    page = request.query_params.get("page", "")
    pages = max(1, -(-len(decisions) // _DECISIONS))
    number = min(max(1, int(page)), pages) if page.isdecimal() else 1
    return render(
        request,
        "history.html.j2",
        status=status,
        visitor=visitor,
        seen=seen,
        reigns=list_reigns(seen.history.entries),
        decisions=decisions[(number - 1) * _DECISIONS : number * _DECISIONS],
        number=number,
        pages=pages,
        done=_done(request, seen, visitor.person),
        refused=refused,
        note=note,
    )


def _require_judged(version: str, standing: Standing) -> Entry:
    judged = standing.judged.get(version) if _VERSION.fullmatch(version) else None
    if judged is None:
        raise NotFound("no release of this version was judged: the first page lists those that were")
    return judged


def _judged_this_reign(history: History) -> Sequence[Entry]:
    """Return the newest judging of each version that met the present champion and neither waits nor was decided on."""
    standing = history.standing
    met = [
        entry
        for version, entry in standing.judged.items()
        if entry.body["champion"] == standing.champion
        and version not in standing.decided
        and version != standing.challenger
    ]
    return sorted(met, key=lambda entry: -entry.number)[:_JUDGED]


def _done(request: Request, seen: Seen, person: Person) -> Entry | None:
    """Return the visitor's own decision that the address names after a form was sent."""
    asked = request.query_params.get("entry", "")
    mine = (
        entry
        for entry in list_decisions(seen.history.entries)
        if str(entry.number) == asked and entry.body["reviewer"] == person.name
    )
    return next(mine, None)
