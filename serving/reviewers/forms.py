"""Forms that can be sent once, by the person they were shown to, for what they showed.

Each form carries a signed token that names its visitor, its purpose and what it is about. A page on another site cannot
make one (CSRF), one that was kept cannot be sent again, and one that shows an older case file says so.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from serving.reviewers.faults import Forbidden, FormSpent, FormStale, TooLarge

FIELD: Final = "form"
"""The field that carries the token."""

_SECONDS: Final = 12 * 3600
_BYTES: Final = 256 * 1024
_HEARD_OUT: Final = 64 * _BYTES
"""Of a longer form so much is read and dropped: a browser that is cut off while it sends shows no answer."""

_FIELDS: Final = 20


@dataclass(frozen=True)
class Form:
    """What a form that came in was about, and the other fields that were filled in."""

    about: Mapping[str, str]
    fields: Mapping[str, str]


class Forms:
    """Makes tokens and takes each once.

    Spent tokens are remembered in memory; a token of an earlier process is refused, so that a restart forgets none.
    """

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="cxloop reviewers form")
        self._process = secrets.token_hex(8)
        self._spent: dict[str, float] = {}
        self._lock = threading.Lock()

    def make(self, purpose: str, visitor: str, **about: str) -> str:
        """Return the token of a form for ``purpose``, shown to ``visitor``."""
        return self._signer.dumps([self._process, secrets.token_hex(8), purpose, visitor, about])

    def take(self, fields: Mapping[str, str], purpose: str, visitor: str) -> Form:
        """Return what came in, and spend its token.

        Raises:
            Forbidden: the token is missing, forged, for something else, or was shown to somebody else.
            FormStale: it is older than twelve hours, or was shown before the page was started anew.
            FormSpent: it came before.
        """
        try:
            content = self._signer.loads(fields.get(FIELD, ""), max_age=_SECONDS)
        except SignatureExpired as error:
            raise FormStale("this form is older than twelve hours: open the page again, then decide") from error
        except BadData as error:
            raise Forbidden("this form was not made by this page: open the page and fill in the form there") from error
        process, mark, made_for, shown_to, about = content
        if (made_for, shown_to) != (purpose, visitor):
            raise Forbidden("this form was made for somebody or something else: open the page again")
        if process != self._process:
            raise FormStale("the page was started anew since this form was shown: open it again, then decide")
        self._spend(mark)
        return Form(about, {name: text for name, text in fields.items() if name != FIELD})

    def _spend(self, mark: str) -> None:
        now = time.monotonic()
        with self._lock:
            self._spent = {each: until for each, until in self._spent.items() if until > now}
            if mark in self._spent:
                raise FormSpent("nothing was done a second time: the history shows what the first time did")
            self._spent[mark] = now + _SECONDS


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a posted form, each once.

    Raises:
        Forbidden: the form was sent from a page of another site, or is no form.
        TooLarge: more than 256 KiB, or more than 20 fields, came.
    """
    _require_same_site(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Forbidden("a form of this page is needed, something else came: fill in the form on the page")
    try:
        body = (await _read_body(request)).decode()
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS, errors="replace"))
    except ValueError as error:
        raise Forbidden("the form that came cannot be read: open the page and fill in the form there") from error


async def _read_body(request: Request) -> bytearray:
    body, came = bytearray(), 0
    async for chunk in request.stream():
        came += len(chunk)
        if came <= _BYTES:
            body += chunk
        if came > _HEARD_OUT:
            break
    if came > _BYTES:
        raise TooLarge(
            f"a form holds up to {_BYTES // 1024} KiB, more came: shorten the note, link to the rest; "
            "nothing was recorded"
        )
    return body


def _require_same_site(request: Request) -> None:
    """Refuse what a browser says comes from another site; what is no browser has no such header, and needs a token."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if is_foreign or site not in (None, "same-origin", "none"):
        raise Forbidden("this form was sent from a page of another site: nothing was done; open this page itself")
