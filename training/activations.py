"""What the layers below the adapter say of each text, kept between runs: a retrain computes only what is new."""

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from labeling.digests import digest
from training.features import digest_text

if TYPE_CHECKING:
    import torch

_SCHEMA: Final = 1
_SUFFIX: Final = ".safetensors"
_MOST_SHARDS: Final = 16
"""More files than this for one encoder are joined: a night adds one."""

_ABANDONED_SECONDS: Final = 3600
"""A draft that nobody has touched for so long belongs to a run that was killed."""


class ActivationCache:
    """Hidden states by encoder, number of layers and keyed text digest, in files that never change once written.

    A file is named by the SHA-256 of its bytes; one that was damaged is noticed when it is read, removed, and its texts
    are computed anew. Two runs may share a folder: files are drafted aside and renamed, one run at a time writes or
    removes, and a reader looks again for what was joined while it read. Where all files together outgrow ``max_bytes``,
    those that were used longest ago go.

    Args:
        folder: made when first written to.
        key: of the keyed digests: another home's key never meets a row of this one.
        max_bytes: what all files together may take.
    """

    def __init__(self, folder: Path, *, key: bytes, max_bytes: int) -> None:
        self._folder, self._key, self._max_bytes = folder, key, max_bytes

    def digests(self, texts: Sequence[str]) -> list[str]:
        """Return the name of each text, as tables and manifests have it."""
        return [digest_text(self._key, text) for text in texts]

    def find(self, encoder: str, layers: int, digests: Collection[str]) -> dict[str, "torch.Tensor"]:
        """Return the hidden states (tokens, d) of those texts that are kept, by digest.

        Args:
            encoder: its digest and what it ran in.
            layers: how many layers, from the bottom, the states come out of.
            digests: of ``digests``.
        """
        from safetensors import safe_open

        wanted = set(digests)
        found: dict[str, torch.Tensor] = {}
        for shard, names in _shards(self._place(encoder, layers)):
            rows = [row for row, name in enumerate(names) if name in wanted and name not in found]
            if not rows or not _is_whole(shard):
                continue
            try:
                with safe_open(shard, framework="pt") as file:
                    values, ends = file.get_tensor("values"), np.cumsum(file.get_tensor("lengths").numpy())
            except FileNotFoundError:
                continue  # joined a moment ago: what it went into comes later
            found |= {names[row]: values[ends[row - 1] if row else 0 : ends[row]] for row in rows}
            _touch(shard)
        return found

    def keep(self, encoder: str, layers: int, states: Mapping[str, "torch.Tensor"]) -> None:
        """Keep hidden states, each (tokens, d) float16, by digest; a full disk keeps nothing and is no error.

        Args:
            encoder: as in ``find``.
            layers: as in ``find``.
            states: of texts that ``find`` did not return.
        """
        from safetensors import SafetensorError

        place = self._place(encoder, layers)
        try:
            place.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if states:
                    _write(place, states)
                    self._join(place, encoder, layers)
                self._evict()
        except (OSError, SafetensorError):
            return  # a cache that cannot be written costs time, never a result

    def forget(self, digests: Collection[str]) -> int:
        """Remove every file that holds one of the texts (its other texts are computed anew); return how many went."""
        if not self._folder.is_dir():
            return 0
        gone = set(digests)
        with self._alone():
            held = [shard for place in self._places() for shard, names in _shards(place) if gone & set(names)]
            for shard in held:
                shard.unlink(missing_ok=True)
        return len(held)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _place(self, encoder: str, layers: int) -> Path:
        return self._folder / digest({"schema": _SCHEMA, "encoder": encoder, "layers": layers})[:32]

    def _places(self) -> list[Path]:
        return sorted(place for place in self._folder.glob("*") if place.is_dir())

    def _join(self, place: Path, encoder: str, layers: int) -> None:
        """Write the shards but the largest as one, where there are too many."""
        shards = sorted(_shards(place), key=lambda shard: len(shard[1]))
        if len(shards) <= _MOST_SHARDS:
            return
        small = shards[:-1]
        states = self.find(encoder, layers, {name for _, names in small for name in names})
        joined = _write(place, states)
        for shard, _ in small:
            if shard != joined:  # alike where a run was killed before it had removed what it joined
                shard.unlink(missing_ok=True)

    def _evict(self) -> None:
        for draft in self._folder.glob("*/*.partial"):
            if (stat := _stat(draft)) and time.time() - stat.st_mtime > _ABANDONED_SECONDS:
                draft.unlink(missing_ok=True)
        kept = {path: stat for path in self._folder.glob(f"*/*{_SUFFIX}") if (stat := _stat(path))}
        total = sum(stat.st_size for stat in kept.values())
        for path in sorted(kept, key=lambda path: kept[path].st_mtime):
            if total <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= kept[path].st_size


def _shards(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each file and the digests of its texts, until none is new; one that cannot be read is removed."""
    from safetensors import SafetensorError, safe_open

    seen: set[Path] = set()
    while new := set(place.glob(f"*{_SUFFIX}")) - seen:
        seen |= new
        for path in sorted(new):
            try:
                with safe_open(path, framework="np") as file:
                    names = file.get_tensor("digests")
            except (SafetensorError, OSError):
                path.unlink(missing_ok=True)
                continue
            yield path, [name.tobytes().hex() for name in names]


def _is_whole(shard: Path) -> bool:
    """Whether the file's bytes are those that it is named by; one that is not is removed."""
    try:
        with shard.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    if found != shard.stem:
        shard.unlink(missing_ok=True)
    return found == shard.stem


def _write(place: Path, states: Mapping[str, "torch.Tensor"]) -> Path:
    import torch
    from safetensors.torch import save_file

    tensors = {
        "values": torch.cat(list(states.values())),
        "lengths": torch.tensor([len(state) for state in states.values()]),
        "digests": torch.frombuffer(bytearray.fromhex("".join(states)), dtype=torch.uint8).reshape(-1, 32),
    }
    draft = place / f"{uuid.uuid4().hex}.partial"
    try:
        save_file(tensors, draft)
        with draft.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()
        return draft.replace(place / f"{name}{_SUFFIX}")
    finally:
        draft.unlink(missing_ok=True)


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        return


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
