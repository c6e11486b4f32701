"""What tests of decisions play on: releases that are registered in a moment, and processes that start in one."""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.registry.decisions import Decision, apply_decision, name_challenger
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.registry import MEMBERS_TAG, PARITY_TAG, PASSED, PROMOTE, RELEASE, VERDICT_TAG

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.training.registry.preload"])


def add_release(registry: MlflowRegistry, **tags: str | None) -> str:
    """Register a release of one member, without any model behind it; return its version."""
    intent = _add_version(registry, "cxloop-intent", {})
    ready = {VERDICT_TAG: PROMOTE, PARITY_TAG: PASSED, MEMBERS_TAG: f'{{"cxloop-intent": "{intent}"}}'}
    return _add_version(registry, RELEASE, {tag: value for tag, value in (ready | tags).items() if value is not None})


def _add_version(registry: MlflowRegistry, name: str, tags: dict[str, str]) -> str:
    client = registry._client
    if not registry.versions(name):
        client.create_registered_model(name)
    return str(client.create_model_version(name, "/nowhere", tags=tags).version)


def decide(
    kind: Any, version: str, *, reviewer: str = "ana", note: str = "looks right", at: datetime = NOW
) -> Decision:
    return Decision(kind, version, reviewer, note, at)


class Stage:
    """A ledger and a registry; ``promote`` brings a version all the way."""

    def __init__(self, ledger: Ledger, registry: MlflowRegistry) -> None:
        self.ledger = ledger
        self.registry = registry

    def name(self, version: str):
        return name_challenger(version, at=NOW, ledger=self.ledger, registry=self.registry)

    def apply(self, decision: Decision):
        return apply_decision(decision, ledger=self.ledger, registry=self.registry)

    def promote(self, version: str):
        self.name(version)
        return self.apply(decide("approve", version))

    def aliases(self) -> dict[str, str]:
        return self.registry.aliases(RELEASE)


def open_stage(folder: Path, registry: type[MlflowRegistry] = MlflowRegistry) -> Stage:
    uri = f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}"
    return Stage(Ledger(folder / "ledger.sqlite"), registry(uri, folder / "mlflow" / "artifacts"))


def start(target: Callable, *args: Any):
    process = PROCESSES.Process(target=target, args=args)
    process.start()
    return process
