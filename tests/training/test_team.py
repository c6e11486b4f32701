import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.training.test_finetune import outcome
from tests.training.two_processes import train
from training.team import Team


def test_two_processes_train_what_one_does(tmp_path):
    found = tmp_path / "outcome.npy"
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.training.two_processes"]
    done = subprocess.run(
        [sys.executable, "-m", *command, str(found)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    size, *together = np.load(found)
    assert size == 2
    assert np.allclose(together, outcome(train(Team("cpu"))), atol=1e-3)


def test_alone_everything_is_ones_own():
    import torch

    team, rows = Team("cpu"), np.arange(5)
    assert team.size == 1
    assert team.is_first
    assert np.array_equal(team.share(rows), rows)
    assert torch.equal(team.add_up(torch.ones(2)), torch.ones(2))
