import pytest

from tests.serving.reviewers.stage import PageStage


@pytest.fixture
def stage(tmp_path, migrated_mlflow) -> PageStage:
    """An empty home."""
    return PageStage(tmp_path / "home", migrated_mlflow)


@pytest.fixture(scope="module")
def played(tmp_path_factory, migrated_mlflow) -> PageStage:
    """A home with two champions, one inconclusive release and one on hold, and a challenger that waits: read it only."""
    stage = PageStage(tmp_path_factory.mktemp("played") / "home", migrated_mlflow)
    stage.crown()
    stage.crown()
    stage.inconclusive, stage.held, stage.challenger = (
        stage.judge("inconclusive"),
        stage.judge("hold"),
        stage.challenge(),
    )
    stage.write_texts(stage.challenger)
    return stage
