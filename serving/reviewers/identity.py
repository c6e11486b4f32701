"""Who asks: a person who signed in with a token, or whom a named proxy vouches for.

Who they are is looked up anew with every request, so that a person who was taken off the list, or whose token was made
anew, is out at once.
"""

import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from itsdangerous import BadData, URLSafeTimedSerializer

from labeling.digests import digest
from serving.reviewers.faults import Forbidden, NotSignedIn
from training.registry.people import People, Person

SESSION: Final = "cxloop_session"
VISIT: Final = "cxloop_visit"
_SECONDS: Final = 12 * 3600


@dataclass(frozen=True)
class Visitor:
    """A person, and the ``session`` in which they look (empty where a proxy vouches for each request)."""

    person: Person
    session: str

    @property
    def key(self) -> str:
        """What forms are tied to."""
        return f"{self.person.name} {self.session}"


class Sessions:
    """Signed cookies; those of whoever signed out are remembered until this process ends."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="cxloop reviewers session")
        self._ended: set[str] = set()

    def begin(self, person: Person, people: People, request: Request, response: Response) -> None:
        """Let ``response`` sign ``person`` in for twelve hours."""
        content = [person.name, secrets.token_hex(16), _token_mark(people, person.name)]
        _set_cookie(response, SESSION, self._signer.dumps(content), is_secure=_is_secure(request, people))

    def find(self, request: Request, people: People) -> Visitor | None:
        """Return who signed in in this browser and still may look, None where nobody did."""
        try:
            name, session, mark = self._signer.loads(request.cookies.get(SESSION, ""), max_age=_SECONDS)
        except (BadData, ValueError):
            return None
        person = people.find(name)
        is_standing = person is not None and mark == _token_mark(people, name) and session not in self._ended
        return Visitor(person, session) if person and is_standing else None

    def end(self, visitor: Visitor, response: Response) -> None:
        """Sign ``visitor`` out, here and wherever the cookie was copied to."""
        self._ended.add(visitor.session)
        response.delete_cookie(SESSION)

    def mark_visit(self, mark: str, people: People, request: Request, response: Response) -> None:
        """Let ``response`` mark a browser in which nobody signed in, so that its form is tied to it."""
        _set_cookie(response, VISIT, self._signer.dumps(mark), is_secure=_is_secure(request, people))

    def visited(self, request: Request) -> str:
        """Return the mark of this browser, a new one where it has none."""
        try:
            return str(self._signer.loads(request.cookies.get(VISIT, ""), max_age=_SECONDS))
        except BadData:
            return secrets.token_hex(16)


def identify(request: Request, people: People, sessions: Sessions) -> Visitor:
    """Return who asks: whom the proxy names, else who signed in.

    Raises:
        NotAllowed: the proxy's header came from elsewhere, or names nobody of reviewers.yaml.
        Forbidden: the header came twice.
        NotSignedIn: nobody.
    """
    named = request.headers.getlist(people.proxy.header) if people.proxy else []
    if len(named) > 1:
        raise Forbidden(
            f"a visitor's name is needed once, it came {len(named)} times: have the proxy remove what visitors send"
        )
    if named:
        return Visitor(people.identify_proxied(named[0], address=address_of(request)), "")
    visitor = sessions.find(request, people)
    if visitor is None:
        raise NotSignedIn("nobody is signed in here, or the session has ended: sign in with your token")
    return visitor


def address_of(request: Request) -> str:
    """Return the address that the connection comes from; what headers say of it is not believed."""
    return request.client.host if request.client else ""


def safe_path(path: str) -> str:
    """Return ``path`` where it leads to this page, else "/"."""
    parts = urlsplit(path)
    is_ours = not parts.scheme and not parts.netloc and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_ours and path.isprintable() else "/"


def _is_secure(request: Request, people: People) -> bool:
    is_proxy = people.proxy is not None and people.proxy.holds(address_of(request))
    return request.url.scheme == "https" or (is_proxy and request.headers.get("x-forwarded-proto") == "https")


def _token_mark(people: People, name: str) -> str:
    """Return what stands for a person's present token: a session does not outlive it."""
    return next((digest(entry.token)[:16] for entry in people.people if entry.name == name), "")


def _set_cookie(response: Response, name: str, value: str, *, is_secure: bool) -> None:
    response.set_cookie(name, value, max_age=_SECONDS, httponly=True, samesite="strict", secure=is_secure)
