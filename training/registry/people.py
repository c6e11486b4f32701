"""Who may decide: people with roles, known by a token of their own or through a reverse proxy that is trusted.

The settings hold a token's hash, never the token (training.registry.tokens). A wrong token, an unknown name and no
token at all are answered alike and after the same work.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyNetwork, field_validator, model_validator

from labeling.config import Config, load_config
from labeling.errors import NotAllowed
from training.registry.tokens import NOBODY, TokenHash, check_name, matches, name_in, normalise_name

REVIEWERS: Final = "reviewers.yaml"
"""The file of settings that names the people. A home that was made before there were reviewers lacks it."""

TOKEN: Final = "CXLOOP_REVIEWER_TOKEN"  # noqa: S105
"""The environment variable from which commands read a person's token."""

UNKNOWN_AUTHOR: Final = "unknown"
"""Stands among the authors where somebody started a run by hand and nobody can say who."""

Role = Literal["reviewer", "reader"]
"""A reviewer decides; a reader sees everything and decides nothing."""


def _check_name(name: str) -> str:
    if normalise_name(check_name(name)) == UNKNOWN_AUTHOR:
        raise ValueError(f"{UNKNOWN_AUTHOR} stands for an author whom nobody knows: choose another name")
    return name


Name = Annotated[str, AfterValidator(_check_name)]


@dataclass(frozen=True)
class Person:
    """Somebody who was recognised; ``accounts`` are their other names, such as those in git and on machines."""

    name: str
    role: Role
    accounts: tuple[str, ...] = ()

    @property
    def may_decide(self) -> bool:
        """Whether this person's role is to decide."""
        return self.role == "reviewer"

    def is_among(self, names: Iterable[str]) -> bool:
        """Say whether one of ``names`` is this person's name or account.

        ``Ada L <ada@example.org>``, as git writes it, is compared whole, by its name and by its address.
        """
        mine = {normalise_name(name) for name in (self.name, *self.accounts)}
        theirs = {normalise_name(part) for name in names for part in (name, *parseaddr(name)) if part}
        return not mine.isdisjoint(theirs)


class PersonEntry(Config):
    """One person of the file.

    Args of the file:
        name: how they stand in the ledger; on one line.
        role: reviewer or reader.
        token: the argon2id hash of their token; null where they come through the proxy alone.
        accounts: what else they are called (git's name or address, a machine's user, the proxy's name for them):
            whoever wrote a challenger's recipe under one of these may not approve it.
    """

    name: Name
    role: Role
    token: TokenHash | None = None
    accounts: tuple[Name, ...] = ()

    def person(self) -> Person:
        """Return whom this entry stands for."""
        return Person(self.name, self.role, self.accounts)


class TrustedProxy(Config):
    """A reverse proxy that signs people in and says who they are.

    Args of the file:
        header: the request's header that holds the name; the proxy must remove one that a browser sends.
        addresses: from which addresses or networks that header is believed; at least one, never all.
    """

    header: str = Field(pattern=r"^[A-Za-z0-9-]{1,80}$")
    addresses: tuple[IPvAnyNetwork, ...] = Field(min_length=1)

    @field_validator("addresses")
    @classmethod
    def _check_addresses(cls, addresses: tuple[IPvAnyNetwork, ...]) -> tuple[IPvAnyNetwork, ...]:
        if any(network.prefixlen == 0 for network in addresses):
            raise ValueError("needs the proxy's own address, found one that stands for every address")
        return addresses

    def holds(self, address: str) -> bool:
        """Say whether ``address``, from which a request came, is the proxy's."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found in network for network in self.addresses if network.version == found.version)


class People(Config):
    """``reviewers.yaml``: who may decide, and how many must agree.

    Args of the file:
        required_approvals: how many distinct people approve before a challenger becomes the champion (>= 1).
        proxy: a reverse proxy that is trusted to say who somebody is; null for none.
        people: nobody, where the file has just been made.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    required_approvals: int = Field(default=1, ge=1, le=20)
    proxy: TrustedProxy | None = None
    people: tuple[PersonEntry, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        seen: dict[str, str] = {}
        for entry in self.people:
            for name in {normalise_name(each) for each in (entry.name, *entry.accounts)}:
                if name in seen:
                    raise ValueError(f"{name} stands for two people, {seen[name]} and {entry.name}: rename one")
                seen[name] = entry.name
        return self

    @property
    def reviewers(self) -> tuple[Person, ...]:
        """Those who may decide."""
        return tuple(entry.person() for entry in self.people if entry.role == "reviewer")

    def find(self, name: str) -> Person | None:
        """Return the person called ``name`` or having it as an account, None where there is none."""
        wanted = normalise_name(name)
        found = (
            entry for entry in self.people if wanted in {normalise_name(each) for each in (entry.name, *entry.accounts)}
        )
        return next((entry.person() for entry in found), None)

    def identify_token(self, token: str) -> Person:
        """Return whose token this is; an unknown name takes the work of a known one.

        Raises:
            NotAllowed: it is nobody's; does not say whether the name is known.
        """
        name = name_in(token)
        entry = next((each for each in self.people if normalise_name(each.name) == name), None)
        if not matches(token, entry.token if entry and entry.token else NOBODY) or entry is None or not entry.token:
            raise NotAllowed(
                f"a person's token is needed, found {'none' if not token else 'one that is nobody’s'}: put yours into "
                f"{TOKEN}; `cxloop reviewers add NAME` makes one"
            )
        return entry.person()

    def identify_proxied(self, name: str, *, address: str) -> Person:
        """Return who the trusted proxy says it is.

        Args:
            name: what stands in the proxy's header.
            address: the request's own address, as the socket has it; never one from a header.

        Raises:
            NotAllowed: no proxy is trusted, the request does not come from it, or it names nobody of the file.
        """
        if self.proxy is None or not self.proxy.holds(address):
            raise NotAllowed(
                "a name in a header needs a proxy that reviewers.yaml trusts, this request comes from another address: "
                "sign in with your token"
            )
        if (person := self.find(name)) is None:
            raise NotAllowed(
                "the proxy names somebody who is not in reviewers.yaml: `cxloop reviewers add NAME`, or add the name "
                "to that person's accounts"
            )
        return person


def load_people(configs: Path) -> People:
    """Return who may decide, as ``reviewers.yaml`` in ``configs`` says; nobody where an older home lacks the file.

    Raises:
        ConfigError: the file is wrong; holds every fault.
    """
    path = configs / REVIEWERS
    return load_config(path, People) if path.exists() else People()


def require_decider(person: Person | None) -> Person:
    """Return ``person`` where their role is to decide.

    Raises:
        NotAllowed: they are a reader, or nobody of reviewers.yaml.
    """
    if person is None:
        raise NotAllowed(
            "a decision needs somebody of reviewers.yaml, found a name that is not there: `cxloop reviewers list`"
        )
    if not person.may_decide:
        raise NotAllowed(
            f"a decision needs the role reviewer, {person.name} has {person.role}: ask one of the reviewers, or have "
            "the role changed in reviewers.yaml"
        )
    return person
