"""Change which keys stand in a home's api_keys.yaml."""

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.listed_file import write_entries
from serving.gateway.config import Role
from serving.gateway.keys import API_KEYS, ApiKeys, KeyEntry, load_keys
from training.registry.tokens import make_token, normalise_name


def add_key(home: Home, name: str, *, role: Role, renew: bool = False) -> tuple[str, KeyEntry]:
    """Put a key into ``home``'s api_keys.yaml, which is made where an older home lacks it.

    Args:
        home: whose.
        name: the program's; new, unless ``renew``.
        role: what it may ask.
        renew: give a program that is there a new key.

    Returns:
        The key, which is kept nowhere, and what stands in the file.

    Raises:
        ConfigError: the name is taken or (with ``renew``) unknown, or no name, or the file is wrong.
    """
    with home.exclusive("api-keys"):
        others, known = _split(home, name)
        if known and not renew:
            raise ConfigError([f"{API_KEYS}: {name!r} is there already: --renew gives it a new key"])
        if renew and not known:
            raise ConfigError([f"{API_KEYS}: no key is called {name!r}: leave out --renew to add it"])
        stated = known.name if known else name
        key, hashed = make_token(stated)
        entry = parse_config({"name": stated, "role": role, "key": hashed}, KeyEntry, name=API_KEYS)
        write_entries(home, API_KEYS, "keys", [*others, entry], ApiKeys)
        return key, entry


def remove_key(home: Home, name: str) -> None:
    """Take a key out of ``home``'s api_keys.yaml.

    Raises:
        ConfigError: none is called so, or the file is wrong.
    """
    with home.exclusive("api-keys"):
        others, known = _split(home, name)
        if known is None:
            raise ConfigError([f"{API_KEYS}: no key is called {name!r}: `cxloop keys list` shows the names"])
        write_entries(home, API_KEYS, "keys", others, ApiKeys)


def _split(home: Home, name: str) -> tuple[list[KeyEntry], KeyEntry | None]:
    """Return the other keys, and the one called ``name``."""
    keys, wanted = load_keys(home.configs).keys, normalise_name(name)
    mine = next((entry for entry in keys if normalise_name(entry.name) == wanted), None)
    return [entry for entry in keys if entry is not mine], mine
