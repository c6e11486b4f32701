import math
import os
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from labeling.errors import RegistryError
from tests.training.registry.stage import start
from training.registry.mlflow_registry import MlflowRegistry, _load_mlflow, _readable_errors, compare_answers
from training.registry.registry import FAILED, FILES_TAG, KEY_TAG, PARITY_TAG, PASSED, ModelPackage, Parity, RunRecord

CANARY = "canary 4111 1111 1111 1111"
RUN = RunRecord(
    experiment="topic",
    name="first",
    params={"rank": "8"},
    metrics={"accuracy": 0.75},
    curves={"loss": [1.0, 0.5, 0.25]},
    documents={"scorecard.json": '{"accuracy": 0.75}'},
    dataset=("set-1", "ab" * 32),
    tags={"week": "3"},
)


def package(folder: Path, *, says: str = "refund", answers: str | None = None, shift: float = 0.0) -> ModelPackage:
    folder.mkdir(exist_ok=True)
    (folder / "label.txt").write_text(says)
    probe = ("hi", CANARY)
    lengths = [len(text) + shift for text in probe]
    return ModelPackage(
        folder=folder,
        code=Path(__file__).with_name("echo_model.py"),
        code_paths=(Path(__file__).parents[3] / "labeling",),
        requirements=("mlflow", "numpy"),
        example=("an example of ours",),
        probe=probe,
        answers=pd.DataFrame({"label": [answers or says] * 2, "length": lengths}),
    )


@pytest.fixture
def registry(mlflow_registry):
    return mlflow_registry


def runs(registry):
    experiment = registry._client.get_experiment_by_name("topic")
    return registry._client.search_runs([experiment.experiment_id]) if experiment else []


def test_a_registered_model_is_all_there(registry, tmp_path):
    done = registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={"gate_verdict": "hold"})

    assert done.is_new
    assert done.parity == Parity(compared=2, disagreeing=0, gap=0.0)
    assert done.version.version == "1"
    assert done.version.tags == {
        "gate_verdict": "hold",
        KEY_TAG: "k1",
        PARITY_TAG: PASSED,
        FILES_TAG: "1 files, 6 bytes",
    }
    [run] = runs(registry)
    assert run.info.run_id == done.version.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"rank": "8"}
    assert run.data.metrics == {"accuracy": 0.75, "loss": 0.25}
    assert run.data.tags["week"] == "3"
    curve = registry._client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert run.inputs.dataset_inputs[0].dataset.name == "set-1"
    assert "ab" * 32 in run.inputs.dataset_inputs[0].dataset.source
    logged = registry._client.download_artifacts(run.info.run_id, "scorecard.json")
    assert Path(logged).read_text() == '{"accuracy": 0.75}'
    assert (registry.download("cxloop-topic", "1") / "label.txt").read_text() == "refund"


def test_the_model_carries_signature_example_code_and_exact_requirements(registry, tmp_path):
    done = registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={})
    root = registry.download("cxloop-topic", done.version.version).parents[1]
    about = _load_mlflow().models.Model.load(root)
    assert about.signature.inputs.to_dict() == [{"type": "string", "required": True}]
    assert about.signature.outputs.input_names() == ["label", "length"]
    assert "an example of ours" in (root / "input_example.json").read_text()
    assert (root / "code" / "labeling" / "errors.py").is_file()
    assert (root / "echo_model.py").is_file()
    pinned = (root / "requirements.txt").read_text().splitlines()
    assert [line.split("==")[0] for line in pinned] == ["mlflow", "numpy"]
    assert all(len(line.split("==")) == 2 for line in pinned)


def test_nothing_that_is_stored_holds_a_probed_text(registry, tmp_path):
    registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={})
    stored = [path for path in (tmp_path / "mlflow").rglob("*") if path.is_file()]
    assert len(stored) > 10
    assert [path for path in stored if b"canary" in path.read_bytes()] == []


def test_no_file_of_a_model_is_a_pickle(registry, tmp_path):
    registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={})
    assert list((tmp_path / "mlflow" / "artifacts").rglob("*.pkl")) == []


def test_the_same_key_finds_the_version_and_another_makes_one(registry, tmp_path):
    model = package(tmp_path / "model")
    first = registry.register("cxloop-topic", model, RUN, key="k1", tags={})
    again = registry.register("cxloop-topic", model, RUN, key="k1", tags={})
    other = registry.register("cxloop-topic", model, RUN, key="k2", tags={})
    assert (again.version, again.is_new, again.parity) == (first.version, False, None)
    assert other.version.version == "2"
    assert [version.version for version in registry.versions("cxloop-topic")] == ["1", "2"]
    assert len(runs(registry)) == 2
    assert registry.find("cxloop-topic", key="k2") == other.version
    assert registry.find("cxloop-topic", key="k3") is None


@pytest.mark.parametrize("wrong", [{"answers": "delivery"}, {"shift": 0.01}])
def test_a_model_that_answers_otherwise_after_reloading_is_marked(registry, tmp_path, wrong):
    done = registry.register("cxloop-topic", package(tmp_path / "model", **wrong), RUN, key="k1", tags={})
    assert not done.parity.is_exact(1e-4)
    assert done.version.tags[PARITY_TAG] == FAILED


def test_a_model_that_does_not_load_is_marked_and_told(registry, tmp_path):
    broken = package(tmp_path / "model")
    (broken.folder / "label.txt").unlink()
    (broken.folder / "else.txt").write_text("")
    with pytest.raises(RegistryError, match=r"version 1 was registered but does not answer when reloaded \(FileNot"):
        registry.register("cxloop-topic", broken, RUN, key="k1", tags={})
    assert registry.version("cxloop-topic", "1").tags[PARITY_TAG] == FAILED
    assert registry.aliases("cxloop-topic") == {}


@pytest.mark.parametrize("default", [None, "sqlite:///somewhere-else.db"])
def test_registering_leaves_process_environment_and_import_path_as_they_were(registry, tmp_path, monkeypatch, default):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, default) if default else monkeypatch.delenv(name, raising=False)
    mlflow = _load_mlflow()
    model = package(tmp_path / "model")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri(), list(sys.path), dict(os.environ)
    registry.register("cxloop-topic", model, RUN, key="k1", tags={})
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), list(sys.path), dict(os.environ)) == before
    assert before[0] == (default or before[0])


def test_aliases_tags_and_later_figures(registry, tmp_path):
    version = registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={}).version
    registry.set_alias("cxloop-topic", "champion", "1")
    assert registry.aliases("cxloop-topic") == {"champion": "1"}
    assert registry.alias("cxloop-topic", "champion") == "1"
    assert registry.alias("cxloop-topic", "challenger") is None
    registry.remove_alias("cxloop-topic", "champion")
    registry.remove_alias("cxloop-topic", "champion")
    assert registry.aliases("cxloop-topic") == {}

    registry.tag("cxloop-topic", "1", {"gate_verdict": "promote"})
    assert registry.version("cxloop-topic", "1").tags["gate_verdict"] == "promote"
    registry.record(version, metrics={"test_accuracy": 0.9}, documents={"judging/gates.json": "[]"})
    [run] = runs(registry)
    assert run.data.metrics["test_accuracy"] == 0.9


def test_what_is_not_there(registry):
    assert registry.versions("cxloop-topic") == []
    assert registry.aliases("cxloop-topic") == {}
    assert registry.find("cxloop-topic", key="k1") is None
    for ask in (
        lambda: registry.version("cxloop-topic", "1"),
        lambda: registry.set_alias("cxloop-topic", "champion", "1"),
        lambda: registry.download("cxloop-topic", "1"),
    ):
        with pytest.raises(RegistryError, match=r"lacks .*cxloop-topic version 1: list what it has"):
            ask()


def test_files_that_are_gone_are_told(registry, tmp_path):
    registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={})
    registry.require_files("cxloop-topic", "1")
    (registry.download("cxloop-topic", "1") / "label.txt").write_text("short")
    with pytest.raises(RegistryError, match=r"are needed \(1 files, 6 bytes\), found 1 files, 5 bytes"):
        registry.require_files("cxloop-topic", "1")
    (registry.download("cxloop-topic", "1") / "label.txt").unlink()
    registry.download("cxloop-topic", "1").rmdir()
    with pytest.raises(RegistryError, match="found 0 files, 0 bytes: they are gone"):
        registry.require_files("cxloop-topic", "1")
    with pytest.raises(RegistryError, match="they are gone: restore the artifact folder"):
        registry.download("cxloop-topic", "1")


def test_figures_that_are_no_numbers_and_missing_distributions_are_refused(registry, tmp_path):
    model = package(tmp_path / "model")
    bad = RunRecord(experiment="topic", name="r", metrics={"a": 1.0, "b": math.nan}, curves={"c": [math.inf]})
    with pytest.raises(RegistryError, match="found others in b, c"):
        registry.register("cxloop-topic", model, bad, key="k1", tags={})
    missing = ModelPackage(**{**vars(model), "requirements": ("no-such-distribution",)})
    with pytest.raises(RegistryError, match="no-such-distribution, it is not installed"):
        registry.register("cxloop-topic", missing, RUN, key="k1", tags={})
    assert registry.versions("cxloop-topic") == []


def test_a_locked_database_is_told(tmp_path):
    """Not through MLflow, which waits 20 s for a lock, whatever it is told."""
    from sqlalchemy import create_engine, text

    address = f"sqlite:///{tmp_path / 'any.db'}?timeout=0.05"
    with create_engine(address).connect() as holder, create_engine(address).connect() as other:
        holder.execute(text("BEGIN EXCLUSIVE"))
        with (
            pytest.raises(RegistryError, match=r"database is locked \(a list\): run again"),
            _readable_errors("a list"),
        ):
            other.execute(text("CREATE TABLE t (n)"))


def test_a_server_that_is_down_is_told(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"cannot be used .*see that it runs"):
        MlflowRegistry("http://127.0.0.1:9", None).versions("cxloop-topic")


class DoomedRegistry(MlflowRegistry):
    """Dies when the model is stored, or when its parity is about to be checked."""

    at = ""

    def _store_model(self, *args, **kwargs):
        self._die("store")
        return super()._store_model(*args, **kwargs)

    def _check_parity(self, *args, **kwargs):
        self._die("parity")
        return super()._check_parity(*args, **kwargs)

    def _die(self, point):
        if self.at == point:
            os.kill(os.getpid(), signal.SIGKILL)


def _register_and_die(uri, artifacts, folder, point):
    DoomedRegistry.at = point
    DoomedRegistry(uri, artifacts).register("cxloop-topic", package(folder), RUN, key="k1", tags={})


@pytest.mark.parametrize(("point", "left"), [("store", 0), ("parity", 1)])
def test_a_kill_while_registering_is_made_good_by_the_next_try(registry, tmp_path, point, left):
    victim = start(_register_and_die, registry.tracking_uri, registry.artifact_root, tmp_path / "model", point)
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert len(registry.versions("cxloop-topic")) == left

    done = registry.register("cxloop-topic", package(tmp_path / "model"), RUN, key="k1", tags={})

    assert done.version.tags[PARITY_TAG] == PASSED
    assert done.parity == Parity(2, 0, 0.0)
    assert done.is_new == (left == 0)
    assert len(registry.versions("cxloop-topic")) == 1
    assert len(runs(registry)) == 1


def test_compared_answers():
    one = pd.DataFrame({"intent": ["a", "b"], "confidence": [0.5, 0.25], "handoff": [True, False]})
    assert compare_answers(one, one.copy()) == Parity(2, 0, 0.0)
    assert compare_answers(one, one.assign(handoff=[True, True])) == Parity(2, 1, 0.0)
    assert compare_answers(one, one.assign(confidence=[0.5, 0.75])) == Parity(2, 0, 0.5)
    assert compare_answers(one, one.assign(confidence=[0.5, math.nan])).gap == math.inf
    assert compare_answers(one, one.drop(columns="handoff")) == Parity(2, 2, math.inf)
    assert compare_answers(one, one.head(1)) == Parity(2, 2, math.inf)
    assert compare_answers(one.head(0), one.head(0)) == Parity(0, 0, 0.0)
    assert Parity(2, 0, 0.1).is_exact(0.1)
    assert not Parity(2, 1, 0.0).is_exact(0.1)
