"""The record as one zip that anybody can verify without cxloop: plain SHA-256 and JSON, steps in its README.txt."""

import json
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from labeling.errors import LedgerError
from training.registry.audit import LEDGER_FILE, Audit, Fault, verify
from training.registry.ledger import Ledger
from training.registry.registry import ModelRegistry

README: Final = "README.txt"
ANCHORS_FILE: Final = "anchors.json"
SUMS_FILE: Final = "SHA256SUMS"
CASE_FILES: Final = "case_files"

_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip, so that the same record gives the same bytes."""

_STEPS: Final = """\
The record of one cxloop: who decided what on which release, and on what evidence.
It holds ids, digests, figures, and the names and notes of those who decided; no customer's words.

To verify it, you need SHA-256 and a JSON reader, nothing else. Every step can be done by hand.

1. The files. SHA256SUMS lists every other file: `sha256sum -c SHA256SUMS`.
2. The ledger. ledger.jsonl has one entry a line. The digest of an entry is the SHA-256 of its line without the line
   end. Line 1 has "number" 1 and 64 zeros as "previous"; every other line counts one further, and its "previous" is
   the digest of the line before.
3. The anchors. anchors.json gives, under "registry", what versions of the model registry remember of the ledger, as
   "number:digest": line NUMBER must have that DIGEST. "head" is the last line, in the same form.
4. The case files. Every "case_file" that is a text, directly in the "body" of any line, names a folder
   case_files/DIGEST. The SHA-256 of its case.json is that DIGEST. "files" in case.json gives path and SHA-256 of every
   other file of the folder; none is missing, and there is none besides.
5. Against an earlier export. Whoever could change ledger and registry both could have made all of this anew. An export
   that was kept elsewhere shows it: each of its lines must still be the line of the same number here.

Keep this file, or at least the "head", where whoever runs the loop cannot change it.
"""


class AuditFailed(LedgerError):
    """The record does not verify, so it is not exported; ``faults`` says why."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__(
            f"an export needs a record that verifies, found {len(faults)} faults: `cxloop audit verify` lists them"
        )


def export_record(ledger: Ledger, registry: ModelRegistry, case_files: Path, target: Path) -> Audit:
    """Write the whole record to the zip ``target``, once it verifies; the same record gives the same bytes.

    The zip appears whole or not at all.

    Raises:
        AuditFailed: the record does not verify; nothing is written.
        LedgerError: the zip cannot be written.
    """
    audit = verify(ledger, registry, case_files)
    if audit.faults:
        raise AuditFailed(audit.faults)
    draft = target.with_name(f".{target.name}.new")
    try:
        _write(draft, _read_files(ledger, audit, case_files))
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise LedgerError(
            f"{target.name} cannot be written ({type(error).__name__}): name another file, or free some space"
        ) from error
    return audit


def _read_files(ledger: Ledger, audit: Audit, case_files: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and contents of every file, the sums last."""
    lines = [text for _, text, _ in ledger.rows()[: audit.entries]]
    head = f"{audit.entries}:{audit.head}" if audit.entries else None
    anchors = json.dumps({"head": head, "registry": audit.anchors}, indent=2, sort_keys=True)
    yield README, _STEPS.encode()
    yield LEDGER_FILE, "".join(f"{line}\n" for line in lines).encode()
    yield ANCHORS_FILE, f"{anchors}\n".encode()
    for digest in audit.case_files:
        folder = case_files / digest
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield f"{CASE_FILES}/{digest}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _write(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Write ``files`` and the list of their sums, all with one time and one mode."""
    sums = []
    with zipfile.ZipFile(path, "w") as packed:
        for name, contents in files:
            sums.append(f"{sha256(contents).hexdigest()}  {name}\n")
            packed.writestr(_entry(name), contents, compresslevel=9)
        packed.writestr(_entry(SUMS_FILE), "".join(sums), compresslevel=9)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _FIRST_DAY)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry
