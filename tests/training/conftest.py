import pytest

from tests.training.parts import saved_model
from training.encoder import EncoderSpec, load_encoder


@pytest.fixture(scope="session")
def encoder():
    """The packaged encoder, shared by the tests that leave its weights alone."""
    return load_encoder(EncoderSpec())


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A saved model of two labels whose adapter changes what the encoder says."""
    return saved_model(tmp_path_factory.mktemp("model"))
