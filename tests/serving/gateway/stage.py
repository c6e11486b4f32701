"""A home with a gateway: a registry of small real releases, keys, and an application over them."""

import json
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from assets.settings import load_settings
from labeling.home import Home
from labeling.sources.events import SEGMENTS, decode_event, read_lines
from labeling.taxonomy import Taxonomy
from pipelines.new_home import make_home
from serving.gateway.app import make_app
from serving.gateway.config import GatewayConfig
from serving.gateway.serving import open_site
from serving.gateway.site import Site
from serving.parity import ANSWERS_TAG, note_answers
from serving.release import Release
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.registry import PARITY_TAG, PASSED, RELEASE

KEYS = {"bot": "assistant", "desk": "desktop", "prometheus": "monitor"}
"""Names of programs, and their roles."""
_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
_MLMODEL = """flavors:
  python_function:
    artifacts:
      folder: {path: artifacts/release, uri: nowhere}
    loader_module: mlflow.pyfunc.model
"""


def key_of(name: str) -> str:
    return f"cxl_{name}_{name}-s-secret"


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key_of(name)}"}


@dataclass
class GatewayStage:
    """One home; ``config`` is what the next ``serve`` runs with."""

    home: Home
    registry: MlflowRegistry
    config: GatewayConfig = field(default_factory=lambda: GatewayConfig(reload_seconds=0.05, timeout_seconds=60))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.home.ledger_path)

    @property
    def taxonomy(self) -> Taxonomy:
        return load_settings(self.home.configs).taxonomy

    def add_release(self, folder: Path, alias: str = "champion", **tags: str) -> str:
        """Register the release in ``folder`` with just the files that are loaded; return its version."""
        client = self.registry._client
        if not self.registry.versions(RELEASE):
            client.create_registered_model(RELEASE)
        model = Path(str(self.registry.artifact_root)) / f"model-{len(self.registry.versions(RELEASE))}"
        shutil.copytree(folder, model / "artifacts" / "release")
        (model / "MLmodel").write_text(_MLMODEL)
        usual = {PARITY_TAG: PASSED, ANSWERS_TAG: note_answers(Release.load(folder))}
        version = str(client.create_model_version(RELEASE, str(model), tags=usual | tags).version)
        self.registry.set_alias(RELEASE, alias, version)
        return version

    @contextmanager
    def site(self) -> Iterator[Site]:
        settings = load_settings(self.home.configs)
        parts = {"registry": self.registry, "taxonomy": settings.taxonomy, "rules": settings.redaction}
        site = open_site(self.home, self.config, **parts)
        try:
            site.releases.look()
            yield site
        finally:
            site.gateway.close()

    @contextmanager
    def serve(self) -> Iterator[TestClient]:
        """Run the gateway in this process for as long as the block lasts."""
        with self.site() as site, TestClient(make_app(site), headers=bearer("bot")) as client:
            yield client

    def events(self) -> list[dict[str, Any]]:
        """Return what the log holds, oldest first."""
        segments = sorted(self.home.gateway_log.glob(SEGMENTS))
        return [event for path in segments for _, line in read_lines(path) if (event := decode_event(line))]


def make_stage(folder: Path, migrated_mlflow: Path) -> GatewayStage:
    home = Home(folder)
    make_home(home, profile="local", check=load_settings)
    (folder / "mlflow").mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow" / "mlflow.db")
    labels = [{"name": name, "title": name} for name in ("delivery", "refund")]
    tasks = [{"name": name, "question": "What?", "labels": labels} for name in ("topic", "mood")]
    _write(home, "taxonomy.yaml", {"schema_version": 1, "version": 1, "tasks": tasks})
    sources = {"schema_version": 2, "sources": [{"name": "gateway", "kind": "gateway", "tasks": ["topic", "mood"]}]}
    _write(home, "sources.yaml", sources)
    write_keys(home)
    return GatewayStage(home, MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts))


def write_keys(home: Home, *without: str) -> None:
    entries = [
        {"name": name, "role": role, "key": _HASHER.hash(key_of(name))}
        for name, role in KEYS.items()
        if name not in without
    ]
    _write(home, "api_keys.yaml", {"schema_version": 1, "keys": entries})


def _write(home: Home, name: str, content: dict[str, Any]) -> None:
    (home.configs / name).write_text(yaml.safe_dump(content))


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def post(client: TestClient, path: str, body: Any, **headers: str) -> Any:
    """Send ``body`` (bytes as they are, else as JSON); ``key`` names whose key it comes with."""
    name = headers.pop("key", "")
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"Content-Type": "application/json", **(bearer(name) if name else {})}
    return client.post(path, content=sent, headers={**usual, **headers})


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
