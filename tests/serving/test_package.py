"""Registered models, loaded again: in this process, and in a plain one that has nothing of ours but the registry."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import serving
from serving.package import package_release, package_task_model
from serving.release import open_champion
from tests.training.parts import TEXTS
from training.model_folder import describe_model
from training.registry.registry import PARITY_TAG, PASSED, RELEASE, RunRecord
from training.scoring import Scorer

PLAIN = """
import importlib.util, json, sys
root, uri = sys.argv[1:]
sys.path = [path for path in sys.path if path != root]
assert importlib.util.find_spec("serving") is None, "the project is still importable"
import mlflow
import pandas as pd
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/cxloop-triage@champion")
texts = json.loads(sys.stdin.read())
by_list = model.predict(texts)
by_frame = model.predict(pd.DataFrame({"text": texts}))
import training
needless = {"deltalake", "dagster", "great_expectations", "datasets", "label_studio_sdk", "matplotlib", "sklearn"}
print("RESULT" + json.dumps({
    "rows": by_list.to_dict("records"),
    "same": by_list.equals(by_frame),
    "code": training.__path__[0],
    "needless": sorted(needless & set(sys.modules)),
}))
"""


@pytest.fixture
def champion(mlflow_registry, release_folder, release):
    package = package_release(release_folder, release, probe=TEXTS)
    run = RunRecord(experiment="triage", name="release")
    done = mlflow_registry.register(RELEASE, package, run, key=release.about.release_id, tags={})
    mlflow_registry.set_alias(RELEASE, "champion", done.version.version)
    return done


def test_a_release_is_the_same_after_registering(champion, mlflow_registry, release):
    assert champion.version.tags[PARITY_TAG] == PASSED
    assert (champion.parity.compared, champion.parity.disagreeing) == (len(TEXTS), 0)
    opened = open_champion(mlflow_registry)
    assert opened is not None
    assert opened.version == "1"
    assert opened.release.about == release.about
    assert opened.release.answer(TEXTS)["topic"].to_list() == release.answer(TEXTS)["topic"].to_list()


def test_it_answers_in_a_plain_process_elsewhere(champion, mlflow_registry, release, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    root = str(Path(serving.__path__[0]).parent)
    plain = subprocess.run(
        [sys.executable, "-P", "-c", PLAIN, root, mlflow_registry.tracking_uri],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        cwd=tmp_path / "elsewhere",
        env=environment,
        timeout=120,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr[-2000:]
    told = json.loads(plain.stdout.rpartition("RESULT")[2])
    expected = release.public_answer(TEXTS)
    found = pd.DataFrame(told["rows"])
    for column in ("topic", "mood", "handoff", "handoff_reason", "release"):
        assert found[column].tolist() == expected[column].tolist()
    assert abs(found["topic_confidence"] - expected["topic_confidence"]).max() < 1e-5
    assert told["same"]
    assert str(tmp_path) in told["code"]
    assert told["needless"] == []


@pytest.mark.parametrize(
    ("said", "needed"), [({"precision": "int8"}, "onnxruntime"), ({"lexicon": "vader"}, "vadersentiment")]
)
def test_a_model_asks_for_what_it_answers_with(said, needed, topic_model, tmp_path):
    scorer, folder = Scorer.load(topic_model), shutil.copytree(topic_model, tmp_path / "model")
    assert needed not in package_task_model(folder, scorer, probe=TEXTS).requirements
    describe_model(folder, scorer.about.model_copy(update=said), files=list(scorer.about.files))
    assert needed in package_task_model(folder, scorer, probe=TEXTS).requirements


def test_the_model_of_one_task_answers_with_its_label(mlflow_registry, topic_model):
    scorer = Scorer.load(topic_model)
    package = package_task_model(topic_model, scorer, probe=TEXTS)
    run = RunRecord(experiment="topic", name="candidate")
    done = mlflow_registry.register("cxloop-topic", package, run, key="k", tags={})
    assert done.version.tags[PARITY_TAG] == PASSED
    assert list(package.answers.columns) == ["topic", "topic_confidence"]
    assert package.answers["topic"].tolist() == scorer.score(TEXTS).frame()["label"].to_list()
    stored = mlflow_registry.download("cxloop-topic", "1")
    assert Scorer.load(stored).labels == scorer.labels
