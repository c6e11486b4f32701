"""Check the whole record: every ledger entry, everything that bears witness to it, every case file that it names.

A ledger that is only chained can be cut at its tail or rewritten as a whole. What shows that are its *witnesses*:
anchors (an entry's number and digest) kept elsewhere, which are the head file beside it, a tag on each registered
version, and any earlier export. ``docs/auditing.md`` says what each of them withstands.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from labeling.digests import canonical_json
from labeling.errors import LedgerError, RegistryError
from training.judging.case_file import DESCRIPTION
from training.registry.alarm import PAUSE_SECONDS, look_twice
from training.registry.ledger import GENESIS, Entry, Ledger
from training.registry.registry import ANCHOR_TAG, RELEASE, ModelRegistry

LEDGER_FILE: Final = "ledger.jsonl"
"""The ledger in an export: one entry a line, each the exact bytes that its digest is of."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ANCHOR: Final = re.compile(r"[1-9][0-9]*:[0-9a-f]{64}")
_KEYS: Final = {"number", "kind", "body", "at", "previous"}
_SHOWN: Final = 12


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was written: ``where`` it is, and ``what`` is wrong with it."""

    where: str
    what: str


@dataclass(frozen=True)
class Audit:
    """What was checked, and every fault that was found.

    Attributes:
        entries: how many the ledger holds.
        head: the newest one's digest, ``GENESIS`` where there is none.
        witnesses: how many anchors were looked for.
        anchors: place to anchor, those on registered versions.
        case_files: digests of the case files that the ledger names, sorted.
        files: how many files stand in those.
        unnamed: names of folders beside them that no entry names (an interrupted judging leaves one).
        faults: empty where all is as it was written.
    """

    entries: int
    head: str
    witnesses: int
    anchors: dict[str, str]
    case_files: tuple[str, ...]
    files: int
    unnamed: tuple[str, ...]
    faults: tuple[Fault, ...]


def verify(
    ledger: Ledger,
    registry: ModelRegistry,
    case_files: Path,
    *,
    earlier: Path | None = None,
    pause: float = PAUSE_SECONDS,
) -> Audit:
    """Check ledger, witnesses, registry and case files; report every fault, not only the first. Changes nothing.

    A loop may be at work meanwhile: witnesses are read before the ledger, and the registry is looked at twice.

    Args:
        ledger: whose rows are read as they are stored.
        registry: whose versions carry anchors; where it cannot be reached, that is a fault, and the rest is checked.
        case_files: the folder of all case files.
        earlier: an export made before, whose entries must all still be there.
        pause: seconds between the two looks at the registry, where the first one finds something.
    """
    faults: list[Fault] = []
    anchors = _read_anchors(registry, faults)
    witnesses = [*anchors.items(), *_read_head_file(ledger, faults), *_read_export(earlier, faults)]
    rows = _read_rows(ledger, faults)
    entries, unsound = check_rows(rows)
    faults += [*unsound, *check_witnesses(entries, witnesses)]
    if not faults:
        faults += _check_registry(ledger, registry, pause=pause)
    named = name_case_files(entries, faults)
    files = 0
    for digest, naming in sorted(named.items()):
        found, count = check_case_file(case_files / digest, naming)
        faults += found
        files += count
    kept = {path.name for path in case_files.iterdir()} if case_files.is_dir() else set()
    head = entries[-1].digest if entries else GENESIS
    unnamed = tuple(sorted(kept - named.keys()))
    return Audit(len(rows), head, len(witnesses), anchors, tuple(sorted(named)), files, unnamed, tuple(faults))


def check_rows(rows: Sequence[tuple[Any, Any, Any]]) -> tuple[list[Entry], list[Fault]]:
    """Check each stored row (number, text, digest) by itself and against the one before.

    Returns:
        The entries whose own contents are sound, in order, and every fault.
    """
    sound: list[Entry] = []
    faults: list[Fault] = []
    before, previous = 0, GENESIS
    for number, text, digest in rows:
        where = f"ledger entry {number}"
        entry, wrong = _read_row(number, text, digest)
        faults += [Fault(where, what) for what in wrong]
        if entry is not None:
            sound.append(entry)
        if number != before + 1:
            faults.append(Fault(where, f"follows entry {before}: what stood between was cut, or the order was changed"))
        elif entry is not None and entry.previous != previous:
            faults.append(Fault(where, "names another digest for the entry before it: one of the two was changed"))
        before, previous = number if isinstance(number, int) else before + 1, digest
    return sound, faults


def _read_row(number: Any, text: Any, digest: Any) -> tuple[Entry | None, list[str]]:
    """Return a row's entry, None where its contents are not sound, and what is wrong with it."""
    try:
        sealed = json.loads(text)
        if set(sealed) != _KEYS or not isinstance(sealed["body"], dict) or not isinstance(sealed["kind"], str):
            raise ValueError("other keys")
        at = datetime.fromisoformat(sealed["at"])
        canonical, raw = canonical_json(sealed), text.encode()
    except (ValueError, TypeError, RecursionError):
        return None, ["is no entry: its text was changed or is damaged"]
    wrong = []
    if canonical != raw or at.astimezone(UTC).isoformat(timespec="microseconds") != sealed["at"]:
        wrong.append("is not in canonical form: its text was changed")
    if sha256(raw).hexdigest() != digest:
        wrong.append("has another digest than the one stored with it: its text or its digest was changed")
    if sealed["number"] != number or not isinstance(number, int):
        wrong.append(f"says of itself that it is entry {sealed['number']}: it was moved")
    if wrong:
        return None, wrong
    return Entry(number, sealed["kind"], sealed["body"], at, sealed["previous"], digest), []


def check_witnesses(entries: Iterable[Entry], witnesses: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    """Yield a fault for each witness (its place, its anchor) that the ledger does not bear out."""
    held = {entry.anchor for entry in entries}
    for where, anchor in witnesses:
        if not _ANCHOR.fullmatch(anchor):
            yield Fault(where, "holds no anchor (number:digest): it was changed")
        elif anchor not in held:
            number = anchor.partition(":")[0]
            yield Fault(where, f"remembers another entry {number} than the ledger holds: entries were cut or rewritten")


def _read_rows(ledger: Ledger, faults: list[Fault]) -> list[tuple[Any, Any, Any]]:
    try:
        return ledger.rows()
    except LedgerError as error:
        faults.append(Fault("ledger", str(error)))
        return []


def _read_head_file(ledger: Ledger, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    """Yield each line of the head file as a witness; a missing file is a fault where there is a ledger."""
    name = ledger.head_file.path.name
    try:
        lines = ledger.head_file.lines()
    except OSError as error:
        if ledger.path.exists():
            faults.append(Fault(name, f"cannot be read ({type(error).__name__}): it was removed, or never copied here"))
        return
    yield from ((f"{name} line {number}", line) for number, line in enumerate(lines, start=1))


def _read_anchors(registry: ModelRegistry, faults: list[Fault]) -> dict[str, str]:
    """Return the anchors on registered versions by place."""
    try:
        versions = registry.versions(RELEASE)
    except RegistryError as error:
        faults.append(Fault("model registry", str(error)))
        return {}
    tagged = [version for version in versions if ANCHOR_TAG in version.tags]
    return {f"{RELEASE} version {version.version}": version.tags[ANCHOR_TAG] for version in tagged}


def _read_export(path: Path | None, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    """Yield each ledger line of an earlier export as a witness."""
    if path is None:
        return
    try:
        with zipfile.ZipFile(path) as packed:
            lines = packed.read(LEDGER_FILE).splitlines()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        faults.append(Fault(path.name, f"is no export that can be read ({type(error).__name__})"))
        return
    for number, line in enumerate(lines, start=1):
        yield f"{path.name} line {number}", f"{number}:{sha256(line).hexdigest()}"


def _check_registry(ledger: Ledger, registry: ModelRegistry, *, pause: float) -> Iterator[Fault]:
    """Yield what the registry says otherwise than a ledger that is sound."""
    try:
        yield from (Fault(found.where, found.told) for found in look_twice(ledger, registry, pause=pause))
    except (LedgerError, RegistryError) as error:
        yield Fault("model registry", str(error))


def name_case_files(entries: Iterable[Entry], faults: list[Fault]) -> dict[str, list[Entry]]:
    """Return the digest of each case file that the ledger names, with the entries that name it.

    What is named and is no digest goes to ``faults``: no path is ever made of it.
    """
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        digest = entry.body.get("case_file")
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            named.setdefault(digest, []).append(entry)
        elif digest is not None:
            faults.append(Fault(f"ledger entry {entry.number}", "names a case file by something that is no digest"))
    return named


def check_case_file(folder: Path, naming: Iterable[Entry] = ()) -> tuple[list[Fault], int]:
    """Check one case file: its name against ``case.json``, and what that lists against the files that are there.

    Args:
        folder: the case file, named by its digest.
        naming: the ledger's entries that name it, which must say the same version and verdict.

    Returns:
        Every fault, and how many files are there.
    """
    where = f"case file {folder.name[:_SHOWN]}"
    if folder.is_symlink() or not folder.is_dir():
        return [Fault(where, "is missing: its folder was removed or replaced")], 0
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    present = {name for name, path in there.items() if path.is_symlink() or not path.is_dir()}
    try:
        raw = _read(folder / DESCRIPTION)
    except OSError:
        missing = Fault(f"{where}, {DESCRIPTION}", "is missing: nothing says what belongs to this case file")
        return [missing], len(present)
    faults = []
    if sha256(raw).hexdigest() != folder.name:
        faults.append(Fault(f"{where}, {DESCRIPTION}", "was changed: its digest is not the case file's name"))
    case = _parse(raw)
    listed = case.get("files") if isinstance(case, dict) else None
    if not isinstance(listed, dict):
        return [*faults, Fault(f"{where}, {DESCRIPTION}", "lists no files")], len(present)
    faults += [Fault(where, what) for entry in naming for what in _contradictions(entry, case)]
    faults += _compare(where, listed, there, present)
    return faults, len(present)


def _compare(where: str, listed: dict[str, str], there: dict[str, Path], present: set[str]) -> Iterator[Fault]:
    """Yield where the files (``present``) and folders that are ``there`` differ from those that case.json lists."""
    for name, digest in sorted(listed.items()):
        if name not in present:
            yield Fault(f"{where}, {name}", "is missing: it was removed or moved")
        elif (found := _digest(there[name])) != digest:
            yield Fault(f"{where}, {name}", "was changed" if found else "is a link, or cannot be read")
    for name in sorted(present - listed.keys() - {DESCRIPTION}):
        yield Fault(f"{where}, {name}", "was added: case.json does not list it")
    needed = {parent.as_posix() for name in listed for parent in Path(name).parents}
    for name in sorted(there.keys() - present - needed):
        yield Fault(f"{where}, {name}/", "was added: an empty folder that nothing needs")


def _contradictions(entry: Entry, case: dict[str, Any]) -> Iterator[str]:
    """Yield where an entry says otherwise than the case file that it names."""
    for key in ("version", "verdict"):
        if key in entry.body and entry.body[key] != case.get(key):
            yield f"says another {key} than ledger entry {entry.number}, which names it"


def _read(path: Path) -> bytes:
    """Return a file's bytes; a link is no file here, it could lead anywhere.

    Raises:
        OSError: it is not there, cannot be read, or is a link.
    """
    if path.is_symlink():
        raise OSError(f"{path.name} is a link")
    return path.read_bytes()


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, "" where it is a link or cannot be read."""
    try:
        return sha256(_read(path)).hexdigest()
    except OSError:
        return ""


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
