"""The command: quick help, one message for an error, and what each subcommand does to a home."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from assets.settings import load_settings
from pipelines.cli import app
from pipelines.terminal import resumable

COMMAND = (sys.executable, "-c", "from pipelines.cli import main; main()")
HEAVY = ("torch", "transformers", "mlflow", "dagster", "great_expectations", "polars", "deltalake", "numpy", "pydantic")
runner = CliRunner()


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = runner.invoke(app, ["init", "--home", str(tmp_path / "home")])
    assert made.exit_code == 0, made.output
    return tmp_path / "home"


def test_help_is_shown_within_a_second() -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        shown = run_command("--help")
        took.append(time.perf_counter() - began)
    assert shown.returncode == 0
    assert "champion" in shown.stdout
    assert min(took) < 1


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, pipelines.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(HEAVY).isdisjoint(loaded)


def test_a_foreseen_error_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    failed = run_command("status", "--home", str(tmp_path / "none"))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: a home folder is needed, found none at ")
    assert "Traceback" not in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which libraries a process has loaded")
def test_control_c_while_libraries_load_says_how_to_go_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--home", str(tmp_path / "home")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        while demo.poll() is None and "polars" not in Path(f"/proc/{demo.pid}/maps").read_text():
            time.sleep(0.001)
        demo.send_signal(signal.SIGINT)
        said, complained = demo.communicate()
    assert (demo.returncode, complained) == (130, "")
    assert "the same command goes on from here" in said


def test_control_c_in_a_callback_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    def forget() -> None:
        thing = set[int]()
        known.append(weakref.ref(thing, interrupt))

    @resumable()
    def wait() -> None:
        forget()
        time.sleep(60)

    known: list[object] = []
    with pytest.raises(typer.Exit) as ended:
        wait()
    assert ended.value.exit_code == 130
    assert "Traceback" not in capfd.readouterr().err


def test_version_is_shown() -> None:
    assert runner.invoke(app, ["--version"]).output.startswith("cxloop 0.")


def test_init_makes_a_home_that_config_check_accepts(home: Path) -> None:
    checked = runner.invoke(app, ["config", "check", "--home", str(home)])
    assert checked.exit_code == 0, checked.output
    assert "No faults" in checked.output
    assert "Next: " in checked.output


def test_init_refuses_an_existing_home(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    refused = run_command("init", "--home", str(home))
    assert refused.returncode == 1
    assert "a new home needs an empty place" in refused.stderr
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_config_check_tells_all_faults_of_all_files_at_once(home: Path) -> None:
    settings = home / "configs" / "settings.yaml"
    settings.write_text(settings.read_text().replace('collect: "5 * * * *"', "collect: never").replace("3000", "99999"))
    (home / "configs" / "taxonomy.yaml").write_text("tasks: [\n")
    (home / "configs" / "sources.yaml").unlink()
    checked = run_command("config", "check", "--home", str(home))
    assert checked.returncode == 1
    for fault in ("schedules.collect", "dagster.port", "taxonomy.yaml: line 2: not YAML", "sources.yaml: needed"):
        assert fault in checked.stderr
    assert checked.stderr.startswith("error: 4 configuration faults")


def test_init_takes_a_labelled_csv_over(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("body,topic\nmy card is gone,Card lost\nmoney back please,Refund\n,Refund\n")
    options = ["--from", str(tmp_path / "labels.csv"), "--text-column", "body", "--task", "intent=topic"]
    made = runner.invoke(app, ["init", "--home", str(tmp_path / "home"), *options])
    assert made.exit_code == 0, made.output
    assert "2 labelled texts (2 labels of intent)" in made.output
    events = (tmp_path / "home" / "inbox" / "reviews" / "csv.jsonl").read_text().splitlines()
    assert [json.loads(event)["label"] for event in events] == ["card_lost", "refund"]


def test_init_asks_in_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("text,label\nmy card is gone,Card lost\nmoney back please,Refund\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "init", "--home", str(tmp_path / "home")], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    ) as asking:
        os.write(ours, f"\n{tmp_path / 'labels.csv'}\n".encode())
        assert asking.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert load_settings(tmp_path / "home" / "configs").taxonomy.task("intent").label_names == ("card_lost", "refund")


def test_init_says_which_columns_a_csv_lacks(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    failed = run_command("init", "--home", str(tmp_path / "home"), "--from", str(tmp_path / "labels.csv"))
    assert failed.returncode == 1
    assert "found a, b" in failed.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from", "a.csv", "--label-studio", "http://127.0.0.1:1", "--project", "1"], "not both"),
        (["--label-studio", "http://127.0.0.1:1"], "belong together"),
        (["--profile", "cloud"], "needs one of local, production"),
        (["--from", "a.csv", "--task", "intent"], "needs TASK=COLUMN"),
    ],
)
def test_init_tells_options_that_do_not_fit(tmp_path: Path, options: list[str], told: str) -> None:
    refused = runner.invoke(app, ["init", "--home", str(tmp_path / "home"), *options])
    assert refused.exit_code == 2
    assert told in " ".join(refused.output.replace("│", " ").split())
    assert not (tmp_path / "home").exists()


def test_init_from_label_studio_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXLOOP_LABEL_STUDIO_TOKEN", raising=False)
    options = ["--label-studio", "http://127.0.0.1:1", "--project", "1"]
    failed = run_command("init", "--home", str(tmp_path / "home"), *options)
    assert failed.returncode == 1
    assert "a token for http://127.0.0.1:1 is needed" in failed.stderr


def test_status_of_a_fresh_home_says_that_nothing_is_there_yet(home: Path) -> None:
    shown = runner.invoke(app, ["status", "--home", str(home)])
    assert shown.exit_code == 0, shown.output
    for line in ("Pages      none are served", "Champion   none yet", "Challenger none", "Cases      0 wait", "Next: "):
        assert line in shown.output
