"""Who may ask: programs with keys of their own, each with one role.

A key is checked against its Argon2id hash once; from then on its keyed digest is recognised, at no cost. What is
recognised is forgotten whenever the file changes, so that a key that was taken out stops working at once.
"""

import hmac
import os
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from labeling.config import Config, load_config
from labeling.errors import ConfigError
from serving.gateway.config import Role
from training.registry.tokens import NOBODY, TokenHash, check_name, matches, name_in, normalise_name

API_KEYS: Final = "api_keys.yaml"
"""The file of settings that names the keys. A home that was made before there was a gateway lacks it."""

_REMEMBERED: Final = 10_000
"""Digests of keys and of what is no key that are kept; the oldest go first."""


@dataclass(frozen=True)
class Client:
    """A program that was recognised."""

    name: str
    role: Role


class KeyEntry(Config):
    """One key of the file: the program's ``name``, its ``role`` and the argon2id hash of its ``key``."""

    name: Annotated[str, AfterValidator(check_name)]
    role: Role
    key: TokenHash


class ApiKeys(Config):
    """``api_keys.yaml``: which programs may ask; none where the file has just been made."""

    schema_version: int = Field(default=1, ge=1, le=1)
    keys: tuple[KeyEntry, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [normalise_name(entry.name) for entry in self.keys]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"keys need names of their own, found {', '.join(repeated)} more than once")
        return self

    def identify(self, token: str) -> Client | None:
        """Return whose key this is, None where it is nobody's; an unknown name takes the work of a known one."""
        name = name_in(token)
        entry = next((each for each in self.keys if normalise_name(each.name) == name), None)
        is_right = matches(token, entry.key if entry else NOBODY)
        return Client(entry.name, entry.role) if entry and is_right else None


def load_keys(configs: Path) -> ApiKeys:
    """Return the keys of ``api_keys.yaml`` in ``configs``; none where an older home lacks the file.

    Raises:
        ConfigError: the file is wrong; holds every fault.
    """
    path = configs / API_KEYS
    return load_config(path, ApiKeys) if path.exists() else ApiKeys()


class KeyRing:
    """The keys of one home, as they are now. Safe to use from several threads."""

    def __init__(self, configs: Path) -> None:
        self._configs = configs
        self._path = str(configs / API_KEYS)
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._checking = threading.Semaphore(2)
        self._stamp: tuple[int, int] | None = None
        self._keys = ApiKeys()
        self._known: OrderedDict[bytes, Client | None] = OrderedDict()
        self._refresh()

    def recall(self, token: str) -> tuple[bool, Client | None]:
        """Return whether ``token`` was checked before, and whose it is; takes microseconds."""
        self._refresh()
        digest = self._digest(token)
        with self._lock:
            return digest in self._known, self._known.get(digest)

    def check(self, token: str) -> Client | None:
        """Return whose ``token`` is, None where it is nobody's; takes tens of milliseconds, two at a time."""
        self._refresh()
        keys = self._keys
        with self._checking:
            client = keys.identify(token)
        with self._lock:
            if keys is self._keys:
                self._known[self._digest(token)] = client
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return client

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._secret, token.encode("utf-8", "replace"), "sha256")

    def _refresh(self) -> None:
        """Read the file anew where it changed; where it cannot be read, the keys are those of before."""
        try:
            about = os.stat(self._path)  # noqa: PTH116 - twice as quick as a Path's, and asked at every request
            stamp = (about.st_mtime_ns, about.st_size)
        except OSError:
            stamp = None
        with self._lock:
            if stamp == self._stamp:
                return
            try:
                self._keys = load_keys(self._configs)
            except ConfigError:
                if self._stamp is None:
                    raise
            self._stamp = stamp
            self._known.clear()
