"""Fixtures that are dear to make and shared by the whole session."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest

from pipelines.environment import prepare_environment

prepare_environment()
gc.set_threshold(20_000, 20, 20)  # loading libraries makes a million objects, none of them garbage
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background finds Ctrl-C ignored

pytest_plugins = [
    "tests.browser_fixture",
    "tests.e2e.played_fixture",
    "tests.label_studio_fixture",
    "tests.mlflow_fixture",
    "tests.postgres_fixture",
    "tests.record_fixture",
    "tests.s3_fixture",
]

_OURS = ("CXLOOP_", "DAGSTER_")


@pytest.fixture(autouse=True, scope="module")
def unchanged_environment() -> Iterator[None]:
    """Opening a home's Dagster instance names the home in the environment: the next module must not find it there."""
    before = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    yield
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True, scope="module")
def no_look_at_libraries() -> None:
    """Let the garbage collector pass over all that is loaded by now: to look through it took a tenth of all work."""
    gc.collect()
    gc.freeze()
