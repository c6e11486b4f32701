"""Files of any store: which of them are new, and their rows in batches."""

import fnmatch
import glob
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

from labeling.errors import SourceError
from labeling.sources.columnar import read_parquet, unpack
from labeling.sources.delimited import read_csv
from labeling.sources.formats import Piece, read_json_lines
from labeling.sources.lines import DamagedFile, StorageFault, StoredFile, is_zipped, read_chunks, unzip
from labeling.sources.records import Batch, raw_frame
from labeling.sources.refusals import Refusal
from labeling.sources.source import FilesSource

FORMATS: Final = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
"""Formats by the ends of names, each also with ``.gz``."""
UNPACKED_LIMIT: Final = 1 << 29
"""Bytes of the largest gzipped Parquet file that is unpacked, which happens in memory."""
_UNDER_WAY: Final = (".growing", ".tmp", ".part")
_BLOCK: Final = 1 << 22
"""Bytes that a store is asked for at a time."""
_ETAGS: Final = ("ETag", "etag")
_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "created", "modified")
_NAMES_SHOWN: Final = 20


@dataclass(frozen=True)
class _Found:
    """A file that a source has; ``find_version`` may read it where its store tells no version."""

    origin: str
    find_version: Callable[[], str]
    open: Callable[[], Any]


def read_files(
    source: FilesSource, *, folder: Path, taken: frozenset[tuple[str, str]], batch_rows: int = 50_000
) -> Iterator[Batch]:
    """Yield the rows of each new file of ``source``, by address.

    The origin of a file is its path relative to ``folder`` where it lies inside, else its whole address without
    credentials. The version is the store's etag; of a local file its size and time of change, so that one that was
    only touched is read again, which changes nothing; the content's digest where a store tells neither. Hidden files
    and those named ``*.growing``, ``*.tmp`` or ``*.part`` are ignored. Nothing is written anywhere. Rows and refusals
    of all batches of a file are as many as its records (see the readers of each format).

    Args:
        source: where to look; a folder that does not exist holds no files.
        folder: the home.
        taken: origin and version of what was read before.
        batch_rows: the most rows and refusals of a batch.

    Raises:
        SourceError: the source cannot be listed; or, when all others have been read, some files cannot be read.
    """
    _check(source)
    unread: list[str] = []
    for file in _find_remote(source) if _is_remote(source.path) else _find_local(source, folder):
        try:
            version = file.find_version()
            if (file.origin, version) not in taken:
                yield from _read(source, file, version, batch_rows)
        except StorageFault as fault:
            unread.append(f"{file.origin} ({fault})")
    if unread:
        more = f" and {len(unread) - _NAMES_SHOWN} more" if len(unread) > _NAMES_SHOWN else ""
        raise SourceError(
            f"source {source.name}: the other files were read, these could not be: {', '.join(unread[:_NAMES_SHOWN])}"
            f"{more}; check their rights and format, and run again"
        )


def _check(source: FilesSource) -> None:
    if source.separator in '"\r\n':
        raise SourceError(f"source {source.name}: separator needs a character other than a quote and a line end")
    if _is_remote(source.path) and "::" in source.path:
        raise SourceError(f"source {source.name}: chained addresses (::) may write copies to disk, give a plain one")


def _read(source: FilesSource, file: _Found, version: str, batch_rows: int) -> Iterator[Batch]:
    format_ = source.format if source.format != "auto" else _format(file.origin)
    if not format_:
        raise StorageFault("unknown format: set format to csv, jsonl or parquet")
    held = Piece(raw_frame([], source.paths))
    with cast("io.BufferedReader", io.BufferedReader(StoredFile(_ask(file.open)))) as opened:
        for number, piece in enumerate(_pieces(source, file, format_, opened, batch_rows)):
            if number:
                yield Batch(file.origin, version, held.rows, held.refused, is_last=False)
            held = piece
    yield Batch(file.origin, version, held.rows, held.refused, is_last=True)


def _pieces(
    source: FilesSource, file: _Found, format_: str, opened: io.BufferedReader, batch_rows: int
) -> Iterator[Piece]:
    is_gzip = file.origin.lower().endswith(".gz")
    paths, required = source.paths, source.required_paths
    if format_ == "parquet":
        return _parquet_pieces(opened, is_gzip, source, batch_rows)
    chunks = read_chunks(opened, is_gzip=is_gzip)
    if format_ == "csv":
        return read_csv(chunks, separator=source.separator, paths=paths, required=required, batch_rows=batch_rows)
    return read_json_lines(chunks, paths=paths, batch_rows=batch_rows)


def _parquet_pieces(opened: io.BufferedReader, is_gzip: bool, source: FilesSource, batch_rows: int) -> Iterator[Piece]:
    plain: io.BytesIO | io.BufferedReader | None = opened
    fault = DamagedFile("file_too_large", f"a gzipped Parquet file of over {UNPACKED_LIMIT:,} bytes: give it unpacked")
    if is_gzip or is_zipped(opened):
        try:
            plain = unpack(unzip(opened), limit=UNPACKED_LIMIT)
        except DamagedFile as damaged:
            plain, fault = None, damaged
    if plain is None:
        yield Piece(raw_frame([], source.paths), (Refusal(0, fault.code, fault.reason),))
    else:
        yield from read_parquet(plain, paths=source.paths, required=source.required_paths, batch_rows=batch_rows)


def _format(name: str) -> str:
    return FORMATS.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix, "")


def _is_wanted(name: str, source: FilesSource, *, in_folder: bool) -> bool:
    if name.startswith(".") or name.endswith(_UNDER_WAY):
        return False
    return not in_folder or source.format != "auto" or bool(_format(name))


def _is_remote(path: str) -> bool:
    return "://" in path


def _find_local(source: FilesSource, folder: Path) -> list[_Found]:
    place = folder / source.path
    try:
        if place.is_dir():
            paths = [path for path in place.iterdir() if _is_wanted(path.name, source, in_folder=True)]
        elif glob.has_magic(source.path) and not place.exists():
            anchor, pattern = (folder, source.path) if not Path(source.path).is_absolute() else _split_anchor(place)
            paths = [path for path in anchor.glob(pattern) if _is_wanted(path.name, source, in_folder=False)]
        else:
            paths = [place] if place.exists() else []
        files = sorted(path for path in paths if path.is_file() or (path.is_symlink() and not path.is_dir()))
    except OSError as error:
        raise _unlisted(source, error) from None
    return [
        _Found(_local_origin(path, folder), partial(_local_version, path), partial(path.open, "rb")) for path in files
    ]


def _without_secrets(address: str) -> str:
    """Drop user, password and, of web addresses, the query, which often holds a token."""
    address = re.sub(r"^(\w+://)[^/@]*:[^/@]*@", r"\1", address)
    return address.partition("?")[0] if address.startswith(("http://", "https://")) else address


def _split_anchor(place: Path) -> tuple[Path, str]:
    return Path(place.anchor), place.relative_to(place.anchor).as_posix()


def _local_origin(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _local_version(path: Path) -> str:
    about = _ask(path.stat)
    return f"{about.st_size}-{about.st_mtime_ns}"


def _find_remote(source: FilesSource) -> list[_Found]:
    import fsspec

    try:
        system, place = fsspec.url_to_fs(source.path, skip_instance_cache=True, **source.storage)
        found = _list_remote(source, system, place)
    except Exception as error:  # each file system's library has errors of its own
        raise _unlisted(source, error) from None
    return [
        _Found(
            _without_secrets(system.unstrip_protocol(about["name"])),
            partial(_remote_version, system, about),
            partial(system.open, about["name"], "rb", block_size=_BLOCK),
        )
        for about in sorted(found, key=lambda about: about["name"])
    ]


def _list_remote(source: FilesSource, system: Any, place: str) -> list[dict[str, Any]]:
    is_pattern = glob.has_magic(place)
    root, _, last = place.rpartition("/")
    try:
        if not is_pattern and (about := system.info(place))["type"] == "file":
            return [about]
        if is_pattern and glob.has_magic(root):
            found = list(system.glob(place, detail=True).values())
        else:
            found = system.ls(root if is_pattern else place, detail=True)
    except FileNotFoundError:
        found = []
    if not found and not system.exists(place.partition("/")[0] or "/"):
        raise FileNotFoundError(place)
    if is_pattern:
        found = [about for about in found if fnmatch.fnmatchcase(about["name"].rpartition("/")[2], last)]
    files = [about for about in found if about["type"] == "file" and about["name"].rstrip("/") != place.rstrip("/")]
    return [about for about in files if _is_wanted(about["name"].rpartition("/")[2], source, in_folder=not is_pattern)]


def _remote_version(system: Any, about: dict[str, Any]) -> str:
    for key in _ETAGS:
        if about.get(key):
            return str(about[key]).strip('"')
    for key in _TIMES:
        if about.get(key):
            return f"{about.get('size')}-{about[key]}"
    with StoredFile(_ask(partial(system.open, about["name"], "rb", block_size=_BLOCK))) as file:
        return hashlib.file_digest(io.BufferedReader(file), "sha256").hexdigest()


def _ask(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # each file system's library has errors of its own
        raise StorageFault(type(error).__name__) from None


def _unlisted(source: FilesSource, error: Exception) -> SourceError:
    address = _without_secrets(source.path)
    if isinstance(error, ImportError):
        extra = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}.get(address.split("://")[0])
        what = f": pip install 'cxloop[{extra}]'" if extra else ", which reads such addresses"
        return SourceError(f"source {source.name}: {address} needs a package that is not installed{what}")
    return SourceError(
        f"source {source.name}: {address} cannot be listed ({type(error).__name__}): check the address, the rights and"
        " the credentials in the environment, and run again"
    )
