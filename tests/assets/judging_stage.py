"""Two real releases that answer otherwise, registered in a moment, over a home of one task."""

import json
import shutil
from pathlib import Path

import yaml

from assets.resources import Loop
from labeling import tables as t
from serving.release import Release, build_release
from tests.assets.conftest import NOW, StockedHome
from tests.serving.policies import policy_of
from tests.small_encoder import small_encoder
from tests.training.parts import MESSAGES, saved_model
from tests.training.registry.stage import PEOPLE, decide, write_case
from training.registry.decisions import apply_decision, name_challenger
from training.registry.judged import Judgement, record_judged
from training.registry.registry import MEMBERS_TAG, PARITY_TAG, PASSED, RELEASE, ModelVersion

TEXTS = [text for messages in MESSAGES.values() for text in messages]
LABELS = ("delivery", "refund")
OTHER = {"delivery": "refund", "refund": "delivery"}
_MLMODEL = """flavors:
  python_function:
    artifacts:
      folder: {path: artifacts/folder, uri: nowhere}
    loader_module: mlflow.pyfunc.model
"""


def build_pair(folder: Path) -> tuple[Path, Path]:
    """Return the folders of two releases of the task ``topic``: the second answers the contrary of the first."""
    one = saved_model(folder / "one", encoder_spec=small_encoder())
    contrary = shutil.copytree(folder / "one", folder / "contrary")
    about = json.loads((contrary / "model.json").read_text())
    (contrary / "model.json").write_text(json.dumps(about | {"labels": about["labels"][::-1]}))
    policy = policy_of("topic", promised_error_share=0.6)  # they are wrong as often as a test wants
    for name, model in (("of-one", one), ("of-contrary", contrary)):
        build_release({"topic": model}, policy, folder / name)
    return folder / "of-one", folder / "of-contrary"


class JudgedHome:
    """A home whose registry holds releases of the task ``topic``."""

    def __init__(self, stocked: StockedHome, names: tuple[str, ...] = LABELS) -> None:
        self.stocked = stocked
        self.registry = stocked.loop.open_registry()
        configs = stocked.home.configs
        labels = [{"name": name, "title": name} for name in names]
        task = {"name": "topic", "question": "About what?", "rejects": True, "labels": labels}
        self._write("taxonomy.yaml", {"schema_version": 1, "version": 1, "tasks": [task]})
        handoff = yaml.safe_load((configs / "handoff.yaml").read_text()) | {"tasks": [], "high_risk_labels": []}
        self._write("handoff.yaml", handoff)
        self.set_gates()

    @classmethod
    def copy(cls, of: "JudgedHome", folder: Path) -> "JudgedHome":
        """Return a copy of a home in ``folder``, which is made, to be changed."""
        shutil.copytree(of.stocked.home.path, folder)
        made = cls.__new__(cls)
        made.stocked = of.stocked.copy(folder)
        made.registry = made.stocked.loop.open_registry()
        return made

    def set_gates(self, **changes: object) -> None:
        """Change gates.yaml; few test cases are enough."""
        gates = yaml.safe_load((self.stocked.home.configs / "gates.yaml").read_text())
        self._write("gates.yaml", gates | {"min_cases": 20} | changes)

    def _write(self, name: str, content: dict) -> None:
        (self.stocked.home.configs / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        self.stocked.loop = Loop(home=str(self.stocked.home.path), now_is=NOW.isoformat(), desk="fake")

    @property
    def loop(self) -> Loop:
        return self.stocked.loop

    def later(self, now: object) -> None:
        """Let the clock say ``now``."""
        self.stocked.loop = Loop(home=str(self.stocked.home.path), now_is=now.isoformat(), desk="fake")  # type: ignore

    def register(self, folder: Path) -> ModelVersion:
        """Register the release in ``folder``."""
        client = self.registry._client  # type: ignore[attr-defined]
        tags = {PARITY_TAG: PASSED, MEMBERS_TAG: "{}"}
        if not self.registry.versions(RELEASE):
            client.create_registered_model(RELEASE)
            client.create_experiment("judged", artifact_location=str(self.stocked.home.path / "runs"))
        model = self.stocked.home.path / "models" / str(len(self.registry.versions(RELEASE)))
        shutil.copytree(folder, model / "artifacts" / "folder")
        (model / "MLmodel").write_text(_MLMODEL)
        run = client.create_run(client.get_experiment_by_name("judged").experiment_id)
        made = client.create_model_version(RELEASE, str(model), run.info.run_id, tags=tags)
        return self.registry.version(RELEASE, str(made.version))

    def crown(self, folder: Path) -> ModelVersion:
        """Register the release in ``folder`` and let it be the champion, as people would."""
        version = self.register(folder)
        ledger, case_files = self.loop.open_ledger(), self.loop.folder.case_files
        facts = {"version": version.version, "champion": None, "verdict": "promote", "look": 1}
        case_file = write_case(case_files, facts)
        judgement = Judgement(version.version, case_file, "promote", None, "improve", None, 1, 0.01)
        record_judged(judgement, at=NOW, ledger=ledger, registry=self.registry)
        where = {"ledger": ledger, "registry": self.registry}
        name_challenger(version.version, case_file=case_file, authors=(), at=NOW, **where)
        apply_decision(
            decide("approve", version.version),
            people=PEOPLE,
            case_files=case_files,
            taxonomy=self.loop.settings.taxonomy,
            **where,
        )
        return version

    def put_test(self, truth: list[str], *, part: str = "test", prefix: str = "case", **common: object) -> list[str]:
        """Put settled audit cases of the known texts, over and over, with ``truth``; return their names."""
        names = [f"{prefix}-{row:03d}" for row in range(len(truth))]
        for row, name in enumerate(names):
            text = TEXTS[row % len(TEXTS)]
            self.stocked.interactions(name, lot="audit", part=part, text=text, channel="chat", **common)
        self.stocked.labels(dict(zip(names, truth, strict=True)), task="topic")
        return names

    def put_open(self, texts: list[str], **common: object) -> list[str]:
        """Put open messages; return their names."""
        names = [f"fresh-{row:03d}" for row in range(len(texts))]
        self.stocked.put(
            t.INTERACTIONS,
            *(
                {"interaction_id": name, "conversation_id": f"of-{name}", "text": text}
                for name, text in zip(names, texts, strict=True)
            ),
            turn=1,
            lot="open",
            **common,
        )
        return names


def said_by(folder: Path, texts: list[str]) -> list[str]:
    """Return what the release in ``folder`` answers."""
    return Release.load(folder).scorers["topic"].score(texts).frame()["label"].to_list()
