"""``kill -9`` amid training: the same call goes on, or starts clean, and ends with the same model."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_finetune import LEARNING, outcome, train
from training.activations import ActivationCache
from training.checkpoint import Checkpoint

MODULES = ["torch", "transformers", "peft", "sklearn.linear_model", "tests.training.test_finetune"]


def play(folder: Path) -> None:
    """Train with everything that is kept between runs, and write what came out."""
    cache = ActivationCache(folder / "activations", key=b"key", max_bytes=10**9)
    trained = train(LEARNING, cache=cache, checkpoint=Checkpoint(folder / "run"))
    draft = folder / "draft.npy"
    np.save(draft, outcome(trained))
    draft.replace(folder / "outcome.npy")


@pytest.fixture(scope="module")
def processes():
    """Return what starts ``play`` in a process of its own, its imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    return context


def run(processes, folder: Path, *, kill_after: float | None = None) -> float:
    """Play in ``folder``, to the end or until it is killed; return the seconds that it took."""
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    process = processes.Process(target=play, args=(folder,))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return time.monotonic() - began


def test_killed_at_any_instant_it_ends_with_the_same_model(processes, tmp_path):
    run(processes, tmp_path / "warm-up")
    seconds = run(processes, tmp_path / "whole")
    whole = np.load(tmp_path / "whole" / "outcome.npy")
    rng = np.random.default_rng(7)
    for number in range(4):
        folder = tmp_path / str(number)
        run(processes, folder, kill_after=rng.uniform(0.1, 1.0) * seconds)
        run(processes, folder)
        assert np.allclose(np.load(folder / "outcome.npy"), whole, atol=1e-3)
        assert not list(folder.glob("*/*.partial"))
