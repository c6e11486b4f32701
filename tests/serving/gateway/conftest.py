from types import SimpleNamespace

import pytest

from serving.gateway.config import GatewayConfig
from tests.serving.gateway.releases import build_small_releases
from tests.serving.gateway.stage import GatewayStage, make_stage


@pytest.fixture(scope="session")
def small_releases(tmp_path_factory):
    return build_small_releases(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def stage(tmp_path, migrated_mlflow) -> GatewayStage:
    """An empty home."""
    return make_stage(tmp_path / "home", migrated_mlflow)


@pytest.fixture(scope="module")
def served(tmp_path_factory, migrated_mlflow, small_releases):
    """A home whose gateway runs for all tests of a module: ``stage`` and ``client``."""
    stage = make_stage(tmp_path_factory.mktemp("served") / "home", migrated_mlflow)
    stage.config = GatewayConfig(reload_seconds=60, timeout_seconds=60, longest_batch=3, longest_conversation=50)
    stage.add_release(small_releases[0])
    with stage.serve() as client:
        yield SimpleNamespace(stage=stage, client=client)
