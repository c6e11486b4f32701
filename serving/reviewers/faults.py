"""What a visitor is told where a request cannot be served: each with the status that HTTP has for it."""

from typing import Final

from labeling.errors import (
    CaseFileError,
    ConfigError,
    CxloopError,
    DecisionRefused,
    LedgerError,
    NotAllowed,
    RegistryError,
    StorageError,
)


class PageFault(CxloopError):
    """A request that is answered with a page of plain words.

    ``status`` is HTTP's, ``title`` the page's heading.
    """

    status = 400
    title = "This cannot be done"


class NotFound(PageFault):
    """There is no such page, version or file."""

    status = 404
    title = "Not found"


class NotSignedIn(PageFault):
    """Nobody is signed in, or no longer."""

    status = 401
    title = "Sign in first"


class Forbidden(PageFault):
    """Whoever asks may not do this."""

    status = 403
    title = "You may not do this"


class FormSpent(PageFault):
    """The same form came a second time."""

    status = 409
    title = "This form was sent before"


class FormStale(PageFault):
    """The form is too old, or shows what no longer holds."""

    status = 409
    title = "Look again before you decide"


class TooLarge(PageFault):
    """More was sent than a form can hold."""

    status = 413
    title = "That is too long"


class TooMany(PageFault):
    """Too many requests; ``seconds`` (>= 1) until the next one is let in."""

    status = 429
    title = "Too often"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class TooSlow(PageFault):
    """An outside system did not answer in time; what was asked of it may still happen."""

    status = 504
    title = "No answer yet"


_OTHERS: Final[tuple[tuple[type[CxloopError], int, str], ...]] = (
    (NotAllowed, 403, "You may not do this"),
    (DecisionRefused, 409, "This decision was not taken"),
    (RegistryError, 503, "The model registry cannot be used"),
    (LedgerError, 503, "The ledger cannot be used"),
    (StorageError, 503, "The tables cannot be read"),
    (CaseFileError, 503, "The case file is not what it was"),
    (ConfigError, 503, "The settings are wrong"),
)


def describe_fault(error: CxloopError) -> tuple[int, str]:
    """Return the HTTP status and the heading for ``error``."""
    if isinstance(error, PageFault):
        return error.status, error.title
    return next(
        ((status, title) for kind, status, title in _OTHERS if isinstance(error, kind)),
        (500, "Something is wrong"),
    )
