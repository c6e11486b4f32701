import pytest

from serving.handoff.policy import HandoffPolicy
from serving.release import Release, build_release
from tests.serving.policies import policy_of
from tests.training.parts import saved_model


@pytest.fixture(scope="session")
def policy() -> HandoffPolicy:
    """Keeps every answer of confidence 0.9 and more; "refund" always goes to a person."""
    return policy_of("topic", high_risk_labels=("refund",))


@pytest.fixture(scope="session")
def topic_model(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("models") / "topic")


@pytest.fixture(scope="session")
def mood_model(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("models") / "mood", temperature=9.0)


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory, topic_model, mood_model, policy):
    folder = tmp_path_factory.mktemp("release") / "release"
    build_release({"topic": topic_model, "mood": mood_model}, policy, folder)
    return folder


@pytest.fixture(scope="session")
def release(release_folder) -> Release:
    return Release.load(release_folder)
