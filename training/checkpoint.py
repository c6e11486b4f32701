"""How far a training run had come, so that a killed one goes on: safetensors for what is large, JSON for the rest."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labeling.digests import canonical_json

if TYPE_CHECKING:
    import torch

_SCHEMA: Final = 2
_STATE: Final = "state.json"


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: ``tensors`` by name, on the CPU, and a ``state`` of JSON values."""

    tensors: "dict[str, torch.Tensor]"
    state: dict[str, Any]


class Checkpoint:
    """One run's checkpoint, in a folder of its own; the newest replaces the one before.

    The tensors' file is named by the SHA-256 of its bytes. ``state.json`` names that file and carries a digest of
    itself, and is renamed into place last: a kill at any instant leaves the older checkpoint or the newer one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, saved: Saved) -> None:
        """Replace what is stored.

        Raises:
            OSError: the folder cannot be written (a full disk).
        """
        from safetensors.torch import save

        self._folder.mkdir(parents=True, exist_ok=True)
        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()})
        name = f"{hashlib.sha256(content).hexdigest()}.safetensors"
        self._write(name, content)
        body = {"schema_version": _SCHEMA, "tensors": name, "state": saved.state}
        whole = {"body": body, "sha256": hashlib.sha256(canonical_json(body)).hexdigest()}
        self._write(_STATE, json.dumps(whole).encode())
        for old in self._folder.glob("*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def load(self) -> Saved | None:
        """Return what is stored; None where nothing is, or what is there is damaged or of another version."""
        from safetensors.torch import load

        try:
            whole = json.loads((self._folder / _STATE).read_bytes())
            body = whole["body"]
            content = (self._folder / body["tensors"]).read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_whole = (
            hashlib.sha256(canonical_json(body)).hexdigest() == whole.get("sha256")
            and f"{hashlib.sha256(content).hexdigest()}.safetensors" == body["tensors"]
            and body["schema_version"] == _SCHEMA
        )
        return Saved(load(content), body["state"]) if is_whole else None

    def drop(self) -> None:
        """Remove the folder: the run is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        draft = self._folder / f"{name}.partial"
        draft.write_bytes(content)
        draft.replace(self._folder / name)


def stack(prefix: str, tensors: "Mapping[str, torch.Tensor] | list[torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return ``tensors`` under names that begin with ``prefix``."""
    parts = tensors if isinstance(tensors, Mapping) else {str(place): part for place, part in enumerate(tensors)}
    return {f"{prefix}.{name}": tensor for name, tensor in parts.items()}


def named(prefix: str, tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return what ``stack`` was given by name."""
    return {name.removeprefix(f"{prefix}."): part for name, part in tensors.items() if name.startswith(f"{prefix}.")}


def unstack(prefix: str, tensors: "Mapping[str, torch.Tensor]") -> "list[torch.Tensor]":
    """Return what ``stack`` was given as a list."""
    found = named(prefix, tensors)
    return [found[str(place)] for place in range(len(found))]
