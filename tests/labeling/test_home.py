import os
import re
import stat
import subprocess
import sys

import pytest

from labeling.errors import HomeError
from labeling.home import Home

HOLD = """
import sys
from pathlib import Path
from labeling.home import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.readline()
"""
ASK = "import sys; from pathlib import Path; from labeling.home import Home; print(Home(Path(sys.argv[1])).secret('S'))"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    for name in ("CXLOOP_KEY", "CXLOOP_HOME", "S"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path / "home")


def test_secrets_are_made_once_kept_and_readable_by_their_owner_only(home):
    old = os.umask(0)
    try:
        made = home.secret("CXLOOP_LABEL_STUDIO_TOKEN")
    finally:
        os.umask(old)
    assert re.fullmatch(r"[0-9a-f]{40}", made)
    assert stat.S_IMODE((home.path / "secrets.env").stat().st_mode) == 0o600
    key = home.key()
    assert key != made.encode()
    again = Home(home.path)
    assert (again.secret("CXLOOP_LABEL_STUDIO_TOKEN"), again.key()) == (made, key)
    assert stat.S_IMODE((home.path / "secrets.env").stat().st_mode) == 0o600


def test_the_environment_outranks_the_file(home, monkeypatch):
    made = home.secret("S")
    monkeypatch.setenv("S", "from outside = yes")
    assert home.secret("S") == "from outside = yes"
    monkeypatch.delenv("S")
    assert home.secret("S") == made


def test_processes_that_ask_at_once_get_one_secret(home):
    command = [sys.executable, "-c", ASK, str(home.path)]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate()[0].strip() for process in asking}
    assert answers == {home.secret("S")}


def test_a_second_run_is_told_who_holds_the_home_and_a_killed_one_lets_go(home):
    command = [sys.executable, "-c", HOLD, str(home.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HomeError, match=f"process {holder.pid}: .*CXLOOP_HOME"), home.lock():
            pass
        holder.kill()
    with home.lock(), pytest.raises(HomeError, match=f"process {os.getpid()}"), Home(home.path).lock():
        pass
    with home.lock():
        pass


def test_a_home_must_have_been_made(home, monkeypatch):
    with pytest.raises(HomeError, match="cxloop init"):
        home.require()
    home.configs.mkdir(parents=True)
    home.require()
    monkeypatch.setenv("CXLOOP_HOME", str(home.path))
    assert Home.from_environment().path == home.path
    monkeypatch.setenv("CXLOOP_HOME", "")
    assert Home.from_environment().path.name == ".cxloop"


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.delenv("CXLOOP_KEY", raising=False)
    (tmp_path / "file").write_text("in the way")
    home = Home(tmp_path / "file")
    with pytest.raises(HomeError, match="cannot be written"):
        home.key()
    with pytest.raises(HomeError, match="cannot be written"), home.lock():
        pass
