"""Tokens of people and programs: ``cxl_<name>_<secret>``, of which the settings hold an Argon2id hash alone.

The secret has 192 random bits. The hash is Argon2id's (Biryukov, Dinu, Khovratovich, 2016; RFC 9106). A wrong token and
an unknown name take the same work, so that neither answers nor their time tell who is known.
"""

import secrets
import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator

NAME_LENGTH: Final = 80
NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$2OGz4lRJRuNpDMpjIIDQgQ$zBzSo2GTFTKxhp3H6IVs0G7NuDDWmbdmaNuBSrAx3Xo"
"""The hash of a secret that nobody was given: checked where nobody is named, for the same work."""

_TOKEN_LENGTH: Final = 400
_SECRET_BYTES: Final = 24
_PREFIX: Final = "cxl"


def normalise_name(name: str) -> str:
    """Return ``name`` as names are compared: without regard to case, width of letters, and blanks around it."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def check_name(name: str) -> str:
    """Return ``name`` where it can stand on one line, without blanks around it; else raise ValueError."""
    if name != name.strip() or not name.isprintable() or not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"needs 1 to {NAME_LENGTH} printable characters without blanks around them")
    return name


def _check_hash(encoded: str) -> str:
    from argon2 import Type, extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        kind = extract_parameters(encoded).type
    except InvalidHashError:
        kind = None
    if kind is not Type.ID:
        raise ValueError("needs an argon2id hash, never the token itself: the command that adds NAME writes one")
    return encoded


TokenHash = Annotated[str, AfterValidator(_check_hash)]
"""What the settings hold of a token."""


def make_token(name: str) -> tuple[str, str]:
    """Return a new token for ``name``, to be shown once, and its hash, to be kept."""
    from argon2 import PasswordHasher

    token = f"{_PREFIX}_{name}_{secrets.token_hex(_SECRET_BYTES)}"
    return token, PasswordHasher().hash(token)


def name_in(token: str) -> str:
    """Return the name that a token claims, as names are compared; "" where it has not a token's form."""
    prefix, _, rest = token.partition("_")
    name, _, _ = rest.rpartition("_")
    return normalise_name(name) if prefix == _PREFIX and len(token) <= _TOKEN_LENGTH else ""


def matches(token: str, encoded: str) -> bool:
    """Say whether ``encoded`` is the hash of ``token``; takes tens of milliseconds and 64 MiB, by design."""
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    try:
        return PasswordHasher().verify(encoded, token[:_TOKEN_LENGTH].encode("utf-8", "replace"))
    except VerificationError:
        return False
