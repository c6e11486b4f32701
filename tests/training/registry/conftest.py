import shutil

import pytest

from tests.training.registry.stage import Stage, add_release, open_stage


@pytest.fixture
def stage(mlflow_registry, tmp_path) -> Stage:
    """An empty ledger and an empty registry."""
    assert mlflow_registry.tracking_uri.startswith(f"sqlite:///{tmp_path}")
    return open_stage(tmp_path)


@pytest.fixture(scope="session")
def made_record(migrated_mlflow, tmp_path_factory):
    """The folder of a record; copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("record")
    (folder / "mlflow").mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow" / "mlflow.db")
    stage = open_stage(folder)
    stage.promote(add_release(stage.registry))
    stage.judge(add_release(stage.registry), "hold")
    stage.name(add_release(stage.registry))
    return folder


@pytest.fixture
def record(made_record, tmp_path) -> Stage:
    """A champion (version 1), a release on hold (2) and a challenger that waits (3), with their case files."""
    shutil.copytree(made_record, tmp_path / "record")
    return open_stage(tmp_path / "record")
