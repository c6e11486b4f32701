"""A record of decisions that is made once a session (a second or two) and copied for each test that wants its own."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made_record(migrated_mlflow, tmp_path_factory) -> Path:
    """A folder with ledger, case files and MLflow store where a home has them; copy it, do not write to it."""
    from tests.training.registry.stage import add_release, open_stage

    folder = tmp_path_factory.mktemp("record")
    (folder / "mlflow").mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow" / "mlflow.db")
    stage = open_stage(folder)
    stage.promote(add_release(stage.registry))
    stage.judge(add_release(stage.registry), "hold")
    stage.name(add_release(stage.registry))
    return folder


@pytest.fixture
def record(made_record, tmp_path):
    """A champion (version 1), a release on hold (2) and a challenger that waits (3), with their case files."""
    from tests.training.registry.stage import open_stage

    shutil.copytree(made_record, tmp_path / "record")
    return open_stage(tmp_path / "record")
