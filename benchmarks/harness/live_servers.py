"""A home with a champion, served live: by the gateway, and by MLflow's own server of registered models."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import psutil
import yaml

from assets.settings import load_settings
from labeling.home import Home
from labeling.tables import INTERACTIONS
from pipelines.keys_file import add_key
from pipelines.new_home import make_home
from pipelines.processes import find_port
from serving.gateway.config import GatewayConfig, Rates
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.registry import PARITY_TAG, PASSED, RELEASE

_START_SECONDS = 180.0
_CXLOOP = [sys.executable, "-c", "from pipelines.cli import main; main()"]


@dataclass(frozen=True)
class Served:
    """A server under test: its process, and how a message is asked of it."""

    process: psutil.Process
    port: int
    path: str
    headers: dict[str, str]

    def body(self, text: str) -> object:
        """Return the request that asks of ``text``."""
        return {"text": text} if self.path == "/v1/triage" else {"inputs": [text]}

    def cpu_seconds(self) -> float:
        """Return how long the server's processes have worked so far, on all cores together."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [each.cpu_times() for each in family]
        return sum(each.user + each.system for each in times)


@dataclass(frozen=True)
class LiveHome:
    """A home to serve: its registry, the key that may ask, and texts of its messages."""

    home: Home
    registry: MlflowRegistry
    key: str
    texts: list[str]
    versions: list[str]
    """Releases that may be champion; the last one is."""


def play_demo(folder: Path) -> Path:
    """Return the home that `cxloop demo --desk fake` makes in ``folder``, in some minutes."""
    subprocess.run([*_CXLOOP, "demo", "--desk", "fake", "--home", str(folder)], check=True)
    return folder


def copy_home(original: Path, folder: Path, *, texts: int) -> LiveHome:
    """Return a new home in ``folder`` with the releases of the home ``original``, whose artifacts it reads in place."""
    home = Home(folder / "home")
    make_home(home, profile="local", check=load_settings)
    shutil.copyfile(original / "configs" / "taxonomy.yaml", home.configs / "taxonomy.yaml")
    home.mlflow_artifacts.mkdir(parents=True)
    shutil.copyfile(original / "mlflow" / "mlflow.db", home.path / "mlflow" / "mlflow.db")
    often = Rates(assistant="1000000/second")
    config = GatewayConfig(rates=often, timeout_seconds=30, largest_queue=4096)
    (home.configs / "gateway.yaml").write_text(yaml.safe_dump(config.model_dump()))
    key, _ = add_key(home, "load", role="assistant")
    registry = MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts)
    champion = registry.alias(RELEASE, "champion")
    if champion is None:
        raise SystemExit(f"a home with a champion is needed, {original} has none: `cxloop demo` makes one")
    others = [each.version for each in registry.versions(RELEASE) if each.tags.get(PARITY_TAG) == PASSED]
    messages = Home(original).tables.read(INTERACTIONS, columns=["text"])["text"].unique(maintain_order=True)
    chosen = messages.sample(min(texts, messages.len()), seed=0) if messages.len() else pl.Series(["hello"])
    versions = [*(version for version in others if version != champion), champion]
    return LiveHome(home, registry, key, chosen.to_list(), versions)


@contextmanager
def serve_gateway(live: LiveHome) -> Iterator[Served]:
    """Run ``cxloop serve`` over ``live``, until the block ends."""
    port = find_port(33_000)
    command = [*_CXLOOP, "serve", "--home", str(live.home.path), "--port", str(port)]
    headers = {"Authorization": f"Bearer {live.key}"}
    with _run(command, {}, f"http://127.0.0.1:{port}/ready") as process:
        yield Served(process, port, "/v1/triage", headers)


@contextmanager
def serve_mlflow(live: LiveHome, *, workers: int) -> Iterator[Served]:
    """Run ``mlflow models serve`` of the same champion, until the block ends."""
    port = find_port(34_000)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{RELEASE}@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts uvicorn by its name
    env = {"MLFLOW_TRACKING_URI": live.home.mlflow_uri, "PATH": path}
    with _run(command, env, f"http://127.0.0.1:{port}/ping") as process:
        yield Served(process, port, "/invocations", {})


@contextmanager
def _run(command: list[str], env: dict[str, str], ready: str) -> Iterator[psutil.Process]:
    started = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, start_new_session=True)
    process = psutil.Process(started.pid)
    try:
        _wait(started, ready)
        yield process
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for each in family:
            each.terminate()
        psutil.wait_procs(family, timeout=20)
        started.wait()


def _wait(started: subprocess.Popen[bytes], ready: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(ready).status_code == 200:
                return
        except httpx.HTTPError:
            if started.poll() is not None:
                raise SystemExit(f"a server ended with code {started.returncode} before it answered {ready}") from None
        time.sleep(0.2)
    raise SystemExit(f"a server did not answer {ready} within {_START_SECONDS:.0f} s")
