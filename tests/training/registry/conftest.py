import pytest

from tests.training.registry.stage import Stage, open_stage


@pytest.fixture
def stage(mlflow_registry, tmp_path) -> Stage:
    """An empty ledger and an empty registry."""
    assert mlflow_registry.tracking_uri.startswith(f"sqlite:///{tmp_path}")
    return open_stage(tmp_path)
