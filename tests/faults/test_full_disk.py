"""A disk that fills up under a job: one clear error. A whole play on such a disk stands in ``test_interrupted``."""

import pytest

from assets.settings import load_settings
from labeling.errors import StorageError
from labeling.home import Home
from pipelines.new_home import make_home
from pipelines.running import Runner, open_instance, told_when_full
from tests.faults.stopping import filled_disk, small_disk


def test_a_disk_that_fills_up_under_a_job_is_named_once(tmp_path, capfd):
    with small_disk(tmp_path) as no_small_disk:
        if no_small_disk:
            pytest.skip(f"no small disk can be mounted here: {no_small_disk}")
        home = Home(tmp_path / "home")
        make_home(home, profile="local", check=load_settings)
        with open_instance(home) as instance:
            runner = Runner(home, instance, desk="fake")
            refused = pytest.raises(StorageError, match="the disk is full")
            with filled_disk(home.path), refused, told_when_full(home):
                runner.run("collect_job")
    assert "Traceback" not in capfd.readouterr().err
