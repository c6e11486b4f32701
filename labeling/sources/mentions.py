"""Which of the files that sources read still mention an id: they are their owner's, and not ours to change."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from labeling.sources.source import FilesSource, SourcesConfig

_CHUNK: Final = 1 << 20
_IDS_AT_ONCE: Final = 200


def find_mentions(ids: Iterable[str], *, sources: SourcesConfig, home: Path, inbox: Path) -> tuple[str, ...]:
    """Return the files of the inbox and of local sources that hold one of ``ids`` as a whole value, by name.

    Files that cannot be read or unpacked are named too: nobody can say what they hold. Sources that are not local files
    (object stores, databases, helpdesks) are not looked at.

    Args:
        ids: of customers or interactions, as the sources write them.
        sources: where else than in the inbox files lie.
        home: what relative paths are relative to; names of files under it are given so.
        inbox: the folder that is searched in any case.
    """
    wanted = sorted({form for name in ids for form in (name, *_without_prefixes(name, sources))})
    if not wanted:
        return ()
    files = {path for place in (inbox, *_local_places(sources, home)) for path in _files_at(place)}
    return tuple(
        path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix()
        for path in sorted(files)
        if _may_mention(path, wanted)
    )


def _without_prefixes(name: str, sources: SourcesConfig) -> Iterator[str]:
    """Yield ``name`` as the sources write it whose maps put something before their ids."""
    for source in sources.sources:
        for table_map in source.maps:
            for column in ("interaction_id", "customer_id"):
                origin = table_map.origins.get(column)
                if origin and origin.prefix and name.startswith(origin.prefix) and name != origin.prefix:
                    yield name.removeprefix(origin.prefix)


def _local_places(sources: SourcesConfig, home: Path) -> Iterator[Path]:
    for source in sources.sources:
        if isinstance(source, FilesSource) and "://" not in source.path:
            parts = (home / source.path).parts
            fixed = next((place for place, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
            yield Path(*parts[:fixed])


def _files_at(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else []


def _may_mention(path: Path, ids: list[str]) -> bool:
    try:
        if path.name.lower().endswith((".parquet", ".parquet.gz")):
            return _parquet_mentions(path, ids)
        return any(
            _text_mentions(path, ids[start : start + _IDS_AT_ONCE]) for start in range(0, len(ids), _IDS_AT_ONCE)
        )
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError):
        return True


def _text_mentions(path: Path, ids: list[str]) -> bool:
    """Whether one of ``ids`` stands in a text file with nothing beside it that could be part of a longer id."""
    spelt = {form for name in ids for form in (name.encode(), _in_json(name))}
    pattern = re.compile(rb"(?<![\w-])(?:" + b"|".join(map(re.escape, sorted(spelt))) + rb")(?![\w-])")
    overlap = max(map(len, spelt)) + 1
    tail = b""
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if pattern.search(tail + chunk):
                return True
            tail = (tail + chunk)[-overlap:]
    return False


def _in_json(name: str) -> bytes:
    """Return how JSON writes ``name`` where it keeps to ASCII."""
    return json.dumps(name)[1:-1].encode()


def _parquet_mentions(path: Path, ids: list[str]) -> bool:
    content = path if path.suffix.lower() == ".parquet" else gzip.decompress(path.read_bytes())
    rows = pl.scan_parquet(content)
    wanted = pl.Series(ids, dtype=pl.String).implode()
    simple = [name for name, kind in rows.collect_schema().items() if not kind.is_nested() and kind != pl.Binary]
    if not simple:
        return True
    hits = rows.select(pl.any_horizontal(pl.col(name).cast(pl.String).is_in(wanted) for name in simple).any())
    return bool(hits.collect().item())
