"""What people send: who they are, and what they decide. Whatever is refused keeps the note that came along."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Annotated, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from labeling.errors import CxloopError, DecisionRefused, NotAllowed
from serving.reviewers.faults import TooSlow, describe_fault
from serving.reviewers.forms import Form, read_fields
from serving.reviewers.identity import Visitor, address_of, safe_path
from serving.reviewers.reading import show_challenger, show_history
from serving.reviewers.site import Here, SignedIn, Site, quiet_visitor, render
from training.registry.decisions import Applied, Decision, Kind, apply_decision
from training.registry.people import require_decider

SIGN_IN: Final = "/sign-in"
_KINDS: Final = ("approve", "reject", "more_evidence")
_PATIENCE_SECONDS: Final = 30.0
_KEPT_NOTE: Final = 20_000
"""A note that was refused comes back for shortening, up to this length."""

router = APIRouter()
_appliers = ThreadPoolExecutor(4, "decision")

Fields = Annotated[dict[str, str], Depends(read_fields)]


@router.get(SIGN_IN)
def ask_to_sign_in(request: Request, site: Here) -> Response:
    """Show the form that takes a token."""
    return _show_sign_in(request, site, safe_path(request.query_params.get("next", "/")))


@router.post(SIGN_IN)
def sign_in(request: Request, site: Here, fields: Fields) -> Response:
    """Sign the owner of a token in, and send them where they wanted to go."""
    site.limits.count_sign_in(address_of(request))
    site.forms.take(fields, "sign in", site.sessions.visited(request))
    people, wanted = site.records.people(), safe_path(fields.get("next", "/"))
    try:
        with site.checking:
            person = people.identify_token(fields.get("token", "").strip())
    except NotAllowed:
        refused = "this token is nobody's: check that it is whole, or ask for a new one"
        return _show_sign_in(request, site, wanted, status=401, refused=refused)
    answer = RedirectResponse(wanted, 303)
    site.sessions.begin(person, people, request, answer)
    return answer


@router.post("/sign-out")
def sign_out(site: Here, visitor: SignedIn, fields: Fields) -> Response:
    """End the session."""
    site.forms.take(fields, "sign out", visitor.key)
    answer = RedirectResponse(SIGN_IN, 303)
    site.sessions.end(visitor, answer)
    return answer


@router.post("/challengers/{version}/decision")
def decide(request: Request, version: str, site: Here, visitor: SignedIn, fields: Fields) -> Response:
    """Approve, reject, or ask for more evidence."""
    form = _take(site, visitor, fields, f"decide on {version}")
    kind = form.fields.get("decision", "")

    def send() -> Applied:
        if kind not in _KINDS:
            raise DecisionRefused("a decision needs one of the buttons, none was pressed: choose what to decide")
        return _apply(site, visitor, form, cast(Kind, kind), version)

    try:
        applied = send()
    except CxloopError as error:
        status, _ = describe_fault(error)
        return show_challenger(
            request, version, site, visitor, status=status, refused=error, note=_kept_note(form.fields)
        )
    return RedirectResponse(f"/challengers/{quote(version)}?entry={applied.entry.number}", 303)


@router.post("/challengers/{version}/waiver")
def waive(request: Request, version: str, site: Here, visitor: SignedIn, fields: Fields) -> Response:
    """Waive one gate that could not show what it must."""
    form = _take(site, visitor, fields, f"waive for {version}")
    try:
        applied = _apply(site, visitor, form, "waive", version)
    except CxloopError as error:
        status, _ = describe_fault(error)
        return show_challenger(request, version, site, visitor, status=status, refused=error)
    return RedirectResponse(f"/challengers/{quote(version)}?entry={applied.entry.number}", 303)


@router.post("/rollback")
def roll_back(request: Request, site: Here, visitor: SignedIn, fields: Fields) -> Response:
    """Take the champion back."""
    form = _take(site, visitor, fields, "roll back")
    try:
        applied = _apply(site, visitor, form, "rollback", form.about["version"])
    except CxloopError as error:
        status, _ = describe_fault(error)
        return show_history(request, site, visitor, status=status, refused=error, note=_kept_note(form.fields))
    return RedirectResponse(f"/history?entry={applied.entry.number}", 303)


def _take(site: Site, visitor: Visitor, fields: Mapping[str, str], purpose: str) -> Form:
    """Return a decision's form; readers have none, and are told so before anything is looked at."""
    require_decider(visitor.person)
    site.limits.count_decision(visitor.person.name)
    return site.forms.take(fields, purpose, visitor.key)


def _apply(site: Site, visitor: Visitor, form: Form, kind: Kind, version: str) -> Applied:
    note, records = form.fields.get("note", "").strip(), site.records
    if not note:
        raise DecisionRefused("a decision needs a note, found none: say in a sentence why")
    decision = Decision(
        kind,
        version,
        visitor.person.name,
        note,
        records.now(),
        case_file=form.about.get("case_file", ""),
        gate=form.about.get("gate", ""),
    )
    running = _appliers.submit(
        apply_decision,
        decision,
        people=records.people(),
        ledger=records.ledger,
        registry=records.registry,
        case_files=records.home.case_files,
        taxonomy=records.taxonomy() if kind == "approve" else None,
    )
    try:
        return running.result(_PATIENCE_SECONDS)
    except NotYet:
        raise TooSlow(
            f"the model registry has not answered for {_PATIENCE_SECONDS:.0f} s; the decision may still be taken: "
            "look at the history before you decide again"
        ) from None


def _kept_note(fields: Mapping[str, str]) -> str:
    return fields.get("note", "")[:_KEPT_NOTE]


def _show_sign_in(request: Request, site: Site, wanted: str, *, status: int = 200, refused: str = "") -> Response:
    mark = site.sessions.visited(request)
    token = site.forms.make("sign in", mark)
    answer = render(
        request,
        "sign_in.html.j2",
        status=status,
        visitor=quiet_visitor(request),
        wanted=wanted,
        token=token,
        refused=refused,
    )
    site.sessions.mark_visit(mark, site.records.people(), request, answer)
    return answer
