"""What people write into sources.yaml about a SQL source, checked: its URL and its SELECT."""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<semicolon>;)
    | (?P<comment>--[^\n]*|/\*.*?\*/|/\*.*\Z)
    | (?P<quoted>
          \b[eE]'(?:[^'\\]|\\.|'')*'          # PostgreSQL's strings with backslashes
        | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
        | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$     # PostgreSQL's dollar quotes
      )
    | (?P<space>\s+)
    | (?P<word>\w+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PASSWORDS: Final = ("password", "passwd", "pwd", "sslpassword", "token", "access_token", "private_key_passphrase")
_ODBC_PASSWORD: Final = re.compile(r"(^|;)\s*(pwd|password)\s*=", re.IGNORECASE)
_OPENING: Final = ("select", "with", "(")


def bare_select(query: str) -> str:
    """Return ``query`` without the semicolon and comments at its end, so that it can be a subquery.

    Raises:
        ValueError: it is not one SELECT or WITH; what it writes, if anything, the database itself refuses.
    """
    end, first, after = len(query), "", False
    for token in _TOKEN.finditer(query):
        kind = token.lastgroup
        if kind in {"space", "comment"}:
            continue
        if kind == "semicolon":
            end, after = (end if after else token.start()), True
            continue
        if after:
            raise ValueError("query needs one statement, found more than one")
        first = first or token.group().lower()
    if first not in _OPENING:
        raise ValueError("query needs a SELECT (or WITH … SELECT), found something else")
    return query[:end].strip()


def holds_password(url: str) -> bool:
    """Whether a SQLAlchemy URL carries a password, in its usual place or among its options.

    Raises:
        sqlalchemy.exc.ArgumentError, ValueError: it is no such URL.
    """
    from sqlalchemy import make_url

    parsed = make_url(url)
    options = {name.lower(): str(value) for name, value in parsed.query.items()}
    return parsed.password is not None or any(
        name in _PASSWORDS or _ODBC_PASSWORD.search(value) for name, value in options.items()
    )
