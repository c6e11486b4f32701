"""An MLflow store that is migrated once a session (5 to 8 s) and copied for each test that wants its own."""

import shutil

import pytest

from training.registry.mlflow_registry import MlflowRegistry


@pytest.fixture(scope="session")
def migrated_mlflow(tmp_path_factory):
    """The path of an empty, migrated MLflow database; copy it, do not write to it."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowRegistry(f"sqlite:///{path}", None).versions("any")
    return path


@pytest.fixture
def mlflow_registry(migrated_mlflow, tmp_path):
    """A registry of this test's own, empty."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow.db")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
