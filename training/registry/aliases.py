"""The registry's aliases, made what the ledger says: nothing else moves one, and none before the ledger says why."""

from collections.abc import Mapping
from datetime import datetime

from labeling.errors import RegistryError
from training.registry.ledger import Entry, Ledger, LedgerTransaction, check_anchors
from training.registry.registry import ANCHOR_TAG, RELEASE, ModelRegistry, ModelVersion
from training.registry.standing import ALIAS_MOVED, ALIAS_PUT_RIGHT, CHALLENGER_NAMED, Standing, read_standing


def reconcile(ledger: Ledger, registry: ModelRegistry, *, now: datetime) -> list[str]:
    """Make the registry's aliases what the ledger says: finish what a crash left, put back what a hand moved.

    Holds the ledger's lock throughout, so that no decision falls between reading and moving. An alias whose version was
    deleted from the registry goes; the others are moved all the same.

    Returns:
        One line for each alias moved; empty where all agreed.

    Raises:
        LedgerError: the ledger does not verify against the anchors on the registered versions; nothing is moved.
        RegistryError: the registry cannot be reached; call again. Or the champion was deleted from it: roll back.
    """
    with ledger.transaction() as transaction:
        standing, versions = read_state(transaction, registry)
        moves = _move_aliases(standing, registry)
        if standing.unsettled:
            body = {"entry": standing.unsettled.number, "moves": moves}
            transaction.append(ALIAS_MOVED, body, at=now)
        elif moves:
            transaction.append(ALIAS_PUT_RIGHT, {"moves": moves}, at=now)
        head = transaction.entries()[-1:]
    if head and standing.last:
        _anchor(head[0], standing.last.body["version"], versions, registry)
    if standing.champion and standing.champion not in versions:
        raise RegistryError(
            f"{RELEASE} version {standing.champion} is the champion, and was deleted from the model registry: restore "
            "the registry from a backup, or `cxloop rollback`"
        )
    cause = _describe_cause(standing)
    return [f"{move['name']}@{move['alias']}: {move['found']} -> {move['put']} ({cause})" for move in moves]


def read_state(transaction: LedgerTransaction, registry: ModelRegistry) -> tuple[Standing, dict[str, ModelVersion]]:
    """Return where things stand, and the release's registered versions by their number.

    Raises:
        LedgerError: the ledger does not verify, or lacks an entry that the registry remembers.
        RegistryError: the registry cannot be reached.
    """
    versions = {version.version: version for version in registry.versions(RELEASE)}
    entries = transaction.entries()
    check_anchors(entries, [found.tags[ANCHOR_TAG] for found in versions.values() if ANCHOR_TAG in found.tags])
    return read_standing(entries), versions


def _move_aliases(standing: Standing, registry: ModelRegistry) -> list[dict[str, str | None]]:
    moves: list[dict[str, str | None]] = []
    wanted_aliases = standing.wanted_aliases()
    found = {name: registry.aliases(name) for name in {name for name, _ in wanted_aliases}}
    for (name, alias), named in wanted_aliases.items():
        current = found[name].get(alias)
        if current == named:
            continue
        wanted = named if named in {known.version for known in registry.versions(name)} else None
        if wanted is not None:
            registry.set_alias(name, alias, wanted)
        elif current is not None:
            registry.remove_alias(name, alias)
        if current != wanted:
            moves.append({"name": name, "alias": alias, "found": current, "put": wanted})
    return moves


def _anchor(head: Entry, version: str, versions: Mapping[str, ModelVersion], registry: ModelRegistry) -> None:
    known = versions.get(version)
    if known is not None and known.tags.get(ANCHOR_TAG) != head.anchor:
        registry.tag(RELEASE, version, {ANCHOR_TAG: head.anchor})


def _describe_cause(standing: Standing) -> str:
    entry = standing.unsettled
    if entry is None:
        return "moved by hand, put right"
    if entry.kind == CHALLENGER_NAMED:
        return f"entry {entry.number}: version {entry.body['version']} passed its gates"
    return f"entry {entry.number}: {entry.body['decision']} of {entry.body['version']} by {entry.body['reviewer']}"
