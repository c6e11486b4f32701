"""Change who stands in a home's reviewers.yaml; whatever else is in the file stays as it was written."""

from collections.abc import Sequence

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.listed_file import write_entries
from training.registry.people import REVIEWERS, People, PersonEntry, Role, load_people
from training.registry.tokens import make_token, normalise_name


def add_person(
    home: Home, name: str, *, role: Role | None = None, accounts: Sequence[str] = (), renew: bool = False
) -> tuple[str, PersonEntry]:
    """Put a person into ``home``'s reviewers.yaml, which is made where an older home lacks it.

    Args:
        home: whose.
        name: new, unless ``renew``.
        role: what they may do; None for a reviewer or, with ``renew``, for what it was.
        accounts: what else they are called; with ``renew``, those they have stay where none are given.
        renew: give somebody who is there a new token.

    Returns:
        Their token, which is kept nowhere, and what stands in the file.

    Raises:
        ConfigError: the name is taken or (with ``renew``) unknown, or no name, or the file is wrong.
    """
    with home.exclusive("reviewers"):
        people = load_people(home.configs)
        known = _find(people, name)
        if bool(known) != renew:
            raise ConfigError([f"{REVIEWERS}: {_why(name, is_known=bool(known))}"])
        before = known or PersonEntry(name="new", role="reviewer")
        stated = known.name if known else name
        token, hashed = make_token(stated)
        raw = {
            "name": stated,
            "role": role or before.role,
            "token": hashed,
            "accounts": list(accounts or before.accounts),
        }
        entry = parse_config(raw, PersonEntry, name=REVIEWERS)
        others = [each for each in people.people if each != known]
        _write(home, [*others, entry])
        return token, entry


def remove_person(home: Home, name: str) -> None:
    """Take a person out of ``home``'s reviewers.yaml.

    Raises:
        ConfigError: nobody is called so, or the file is wrong.
    """
    with home.exclusive("reviewers"):
        people = load_people(home.configs)
        known = _find(people, name)
        if known is None:
            raise ConfigError([f"{REVIEWERS}: nobody is called {name!r}: `cxloop reviewers list` shows the names"])
        _write(home, [each for each in people.people if each != known])


def _find(people: People, name: str) -> PersonEntry | None:
    wanted = normalise_name(name)
    return next((each for each in people.people if normalise_name(each.name) == wanted), None)


def _why(name: str, *, is_known: bool) -> str:
    if is_known:
        return f"{name!r} is there already: --renew gives them a new token, another name makes another person"
    return f"nobody is called {name!r}: leave out --renew to add them, or see `cxloop reviewers list`"


def _write(home: Home, entries: Sequence[PersonEntry]) -> None:
    write_entries(home, REVIEWERS, "people", entries, People)
