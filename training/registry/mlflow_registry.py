"""The model registry on MLflow: runs, versions as models from code, aliases. The only file that talks to MLflow."""

import gc
import json
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from labeling.errors import RegistryError
from training.registry.mlflow_store import make_store
from training.registry.registry import (
    FAILED,
    FILES_TAG,
    KEY_TAG,
    PARITY_TAG,
    PASSED,
    ModelPackage,
    ModelVersion,
    Parity,
    Registered,
    RunRecord,
)

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

_TOLERANCE: Final = 1e-4
"""How far a confidence may move between the model in memory and the reloaded one: float32 sums in another order."""

_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_SCHEMA_DETAILS": "true",  # else a refused input stands, text and all, in the error
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # seven by default: minutes before a server counts as down
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_PAGE: Final = 1_000


class MlflowRegistry:
    """A ``ModelRegistry`` on the MLflow store at ``tracking_uri`` (``sqlite:///…`` or a server's address).

    Args:
        tracking_uri: where runs and versions stand.
        artifact_root: folder or object store address for new experiments' files; None lets the server choose.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | str | None) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = None if artifact_root is None else str(artifact_root)
        self._opened: MlflowClient | None = None

    def register(
        self, name: str, package: ModelPackage, run: RunRecord, *, key: str, tags: Mapping[str, str]
    ) -> Registered:
        """See ``ModelRegistry.register``."""
        known = self.find(name, key=key)
        made = known or self._register_new(name, package, run, tags={**tags, KEY_TAG: key, FILES_TAG: _count(package)})
        parity = None
        if made.tags.get(PARITY_TAG) != PASSED:
            parity = self._check_parity(made, package)
            made = self.version(name, made.version)
        return Registered(made, parity, is_new=known is None)

    def versions(self, name: str) -> list[ModelVersion]:
        """See ``ModelRegistry.versions``."""
        return self._search(f"name = '{name}'")

    def version(self, name: str, version: str) -> ModelVersion:
        """See ``ModelRegistry.version``."""
        with _readable_errors(f"{name} version {version}"):
            return _read_version(self._client.get_model_version(name, version))

    def find(self, name: str, *, key: str) -> ModelVersion | None:
        """See ``ModelRegistry.find``."""
        found = self._search(f"name = '{name}' AND tags.`{KEY_TAG}` = '{key}'")
        return found[0] if found else None

    def aliases(self, name: str) -> dict[str, str]:
        """See ``ModelRegistry.aliases``."""
        with _readable_errors(name):
            found = self._client.search_registered_models(f"name = '{name}'", max_results=1)
            return {alias: str(at) for alias, at in found[0].aliases.items()} if found else {}

    def alias(self, name: str, alias: str) -> str | None:
        """See ``ModelRegistry.alias``."""
        return self.aliases(name).get(alias)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """See ``ModelRegistry.set_alias``."""
        with _readable_errors(f"{name} version {version}"):
            self._client.set_registered_model_alias(name, alias, version)

    def remove_alias(self, name: str, alias: str) -> None:
        """See ``ModelRegistry.remove_alias``."""
        with _readable_errors(name):
            self._client.delete_registered_model_alias(name, alias)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """See ``ModelRegistry.tag``."""
        with _readable_errors(f"{name} version {version}"):
            for tag, value in tags.items():
                self._client.set_model_version_tag(name, version, tag, value)

    def record(self, version: ModelVersion, *, metrics: Mapping[str, float], documents: Mapping[str, str]) -> None:
        """See ``ModelRegistry.record``."""
        with _readable_errors(f"the run of {version.name} version {version.version}"):
            self._log(version.run_id, metrics=metrics, curves={}, params={}, documents=documents)

    def require_files(self, name: str, version: str) -> None:
        """See ``ModelRegistry.require_files``; a version that an older cxloop registered needs only some files."""
        with _readable_errors(f"the files of {name} version {version}"):
            needed = self._client.get_model_version(name, version).tags.get(FILES_TAG, "")
            uri = self._client.get_model_version_download_uri(name, version)
            sizes = self._list_sizes(uri, "artifacts")
        found = _describe_files(sizes)
        if not sizes or (needed and needed != found):
            raise RegistryError(
                f"the files of {name} version {version} are needed ({needed or 'some'}), found {found}: "
                "they are gone or damaged; restore the artifact folder"
            )

    def _list_sizes(self, uri: str, folder: str) -> list[int]:
        """Return the bytes of every file under ``folder`` of the model at ``uri``."""
        listed = _load_mlflow().artifacts.list_artifacts(f"{uri}/{folder}", tracking_uri=self.tracking_uri)
        sizes: list[int] = []
        for each in listed:
            name = f"{folder}/{Path(each.path).name}"
            sizes += self._list_sizes(uri, name) if each.is_dir else [int(each.file_size or 0)]
        return sizes

    def download(self, name: str, version: str) -> Path:
        """See ``ModelRegistry.download``; a local store's own folder, else a copy in a temporary one."""
        with _readable_errors(f"the files of {name} version {version}"):
            uri = self._client.get_model_version_download_uri(name, version)
            model = Path(_load_mlflow().artifacts.download_artifacts(uri, tracking_uri=self.tracking_uri))
            flavor = _load_mlflow().models.Model.load(model).flavors["python_function"]
            folder = model / flavor["artifacts"]["folder"]["path"]
        if not folder.is_dir():
            raise RegistryError(
                f"the files of {name} version {version} are needed, they are gone: restore the artifact folder"
            )
        return folder

    @property
    def _client(self) -> "MlflowClient":
        if self._opened is None:
            from mlflow import MlflowClient

            make_store(self.tracking_uri)
            with _without_collecting():
                self._opened = MlflowClient(self.tracking_uri, self.tracking_uri)
        return self._opened

    def _search(self, filter_string: str) -> list[ModelVersion]:
        with _readable_errors("the list of versions"):
            found, token = [], None
            while True:
                page = self._client.search_model_versions(filter_string, max_results=_PAGE, page_token=token)
                found += [_read_version(each) for each in page]
                token = page.token
                if not token:
                    return sorted(found, key=lambda each: int(each.version))

    def _register_new(
        self, name: str, package: ModelPackage, run: RunRecord, *, tags: Mapping[str, str]
    ) -> ModelVersion:
        """Record the run, store the model, make the version last: a kill before that leaves none."""
        with _readable_errors(f"registering {name}"):
            experiment_id = self._experiment(run.experiment)
            self._discard_unfinished(experiment_id, key=tags[KEY_TAG])
            run_tags = {**run.tags, "mlflow.runName": run.name, KEY_TAG: tags[KEY_TAG]}
            run_id = self._client.create_run(experiment_id, tags=run_tags).info.run_id
            self._log(run_id, metrics=run.metrics, curves=run.curves, params=run.params, documents=run.documents)
            if run.dataset:
                self._log_dataset(run_id, *run.dataset)
            model_id = self._store_model(name, package, experiment_id=experiment_id, run_id=run_id)
            if not self._client.search_registered_models(f"name = '{name}'", max_results=1):
                self._client.create_registered_model(name)
            with self._as_default():
                made = self._client.create_model_version(
                    name, f"models:/{model_id}", run_id, tags=dict(tags), model_id=model_id
                )
            self._client.set_terminated(run_id)
            return _read_version(made)

    def _experiment(self, name: str) -> str:
        if known := self._client.get_experiment_by_name(name):
            return known.experiment_id
        location = f"{self.artifact_root}/{name}" if self.artifact_root else None
        return self._client.create_experiment(name, artifact_location=location)

    def _discard_unfinished(self, experiment_id: str, *, key: str) -> None:
        """Delete the runs of ``key`` that a kill left before their version was made."""
        mine = f"tags.`{KEY_TAG}` = '{key}' AND attributes.status = 'RUNNING'"
        for left in self._client.search_runs([experiment_id], mine):
            self._client.delete_run(left.info.run_id)

    def _log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float],
        curves: Mapping[str, Any],
        params: Mapping[str, str],
        documents: Mapping[str, str],
    ) -> None:
        from mlflow.entities import Metric, Param

        points = [(name, value, 0) for name, value in metrics.items()]
        points += [
            (name, value, step)
            for name, curve in curves.items()
            for step, value in enumerate(curve)
            if not math.isnan(value)
        ]
        if bad := sorted({name for name, value, _ in points if not math.isfinite(value)}):
            raise RegistryError(f"metrics must be finite numbers, found others in {', '.join(bad)}: leave them out")
        now = int(datetime.now(UTC).timestamp() * 1000)
        logged = [Metric(name, float(value), now, step) for name, value, step in points]
        for start in range(0, max(len(logged), 1), _PAGE):
            batch = [Param(name, value) for name, value in params.items()] if start == 0 else []
            self._client.log_batch(run_id, metrics=logged[start : start + _PAGE], params=batch)
        for file, text in documents.items():
            self._client.log_text(run_id, text, file)

    def _log_dataset(self, run_id: str, name: str, digest: str) -> None:
        from mlflow.entities import Dataset, DatasetInput

        source = json.dumps({"table": "training_sets", "training_set_id": name, "digest": digest})
        dataset = Dataset(name=name, digest=digest[:36], source_type="cxloop", source=source)
        self._client.log_inputs(run_id, [DatasetInput(dataset, [])])

    def _store_model(self, name: str, package: ModelPackage, *, experiment_id: str, run_id: str) -> str:
        from mlflow.models import Model

        logged = self._client.create_logged_model(experiment_id, name=name, source_run_id=run_id)
        with tempfile.TemporaryDirectory(prefix="cxloop-model-") as folder:
            path = Path(folder) / "model"
            description = Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=run_id,
                model_id=logged.model_id,
            )
            _load_mlflow().pyfunc.save_model(
                str(path),
                python_model=str(package.code),
                artifacts={"folder": str(package.folder)},
                code_paths=[str(each) for each in package.code_paths],
                signature=_signature(package.answers),
                input_example=list(package.example),
                pip_requirements=_pin(package.requirements),
                mlflow_model=description,
            )
            self._client.log_model_artifacts(logged.model_id, str(path))
        self._client.finalize_logged_model(logged.model_id, "READY")
        return logged.model_id

    def _check_parity(self, made: ModelVersion, package: ModelPackage) -> Parity:
        """Reload ``made`` by its address, compare its answers, and write the outcome on it."""
        try:
            with self._as_default():
                model = _load_mlflow().pyfunc.load_model(made.uri, suppress_warnings=True)
                said = model.predict(list(package.probe))
        except Exception as error:  # the model's own code runs here: whatever it raises, the version does not load
            self.tag(made.name, made.version, {PARITY_TAG: FAILED})
            raise RegistryError(
                f"{made.name} version {made.version} was registered but does not answer when reloaded "
                f"({type(error).__name__}); it gets no alias: see the cause, then train again"
            ) from error
        parity = compare_answers(package.answers, said)
        self.tag(made.name, made.version, {PARITY_TAG: PASSED if parity.is_exact(_TOLERANCE) else FAILED})
        return parity

    @contextmanager
    def _as_default(self) -> Iterator[None]:
        """Make this store the process's default while MLflow resolves ``models:/``, which knows no other way.

        MLflow writes its defaults into the environment, where every process started later would find them; and
        loading a model puts the code that it carries before ours on the import path. Both are put back.
        """
        mlflow, path = _load_mlflow(), list(sys.path)
        environment = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(None)
            mlflow.set_registry_uri(None)  # type: ignore[arg-type]
            for name, value in environment.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
            sys.path[:] = path


def compare_answers(expected: "pd.DataFrame", found: "pd.DataFrame") -> Parity:
    """Compare two frames of answers row by row; columns or rows that one lacks make every row disagree."""
    if list(expected.columns) != list(found.columns) or len(expected) != len(found):
        return Parity(len(expected), len(expected), math.inf)
    numbers = expected.select_dtypes("number").columns
    others = [column for column in expected.columns if column not in numbers]
    differs = (expected[others].to_numpy(object) != found[others].to_numpy(object)).any(axis=1)
    gap = 0.0
    if len(numbers) and len(expected):
        gap = float(abs(expected[numbers].to_numpy(float) - found[numbers].to_numpy(float)).max())
    return Parity(len(expected), int(differs.sum()), gap if math.isfinite(gap) else math.inf)


def _load_mlflow() -> ModuleType:
    """Import MLflow with settings that must be there before it is."""
    for setting, value in _SETTINGS.items():
        os.environ.setdefault(setting, value)
    with _without_collecting():
        import mlflow
        import mlflow.artifacts
        import mlflow.pyfunc

    # it would print a failed statement with all that it holds; whoever called is told (_readable_errors)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return mlflow


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage meanwhile: what imports make stays, and looking through it takes a fifth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _signature(answers: "pd.DataFrame") -> Any:
    """Return the signature: one unnamed text in, because a named column would refuse a plain list of texts."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(Schema([ColSpec("string")]), infer_signature(answers).inputs)


def _count(package: ModelPackage) -> str:
    return _describe_files([path.stat().st_size for path in package.folder.rglob("*") if path.is_file()])


def _describe_files(sizes: Sequence[int]) -> str:
    return f"{len(sizes)} files, {sum(sizes)} bytes"


def _pin(distributions: tuple[str, ...]) -> list[str]:
    try:
        return [f"{name}=={version(name)}" for name in distributions]
    except PackageNotFoundError as error:
        raise RegistryError(f"a model needs the distribution {error.name}, it is not installed: install it") from error


def _read_version(found: Any) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        tags=dict(found.tags),
        run_id=found.run_id or "",
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


@contextmanager
def _readable_errors(what: str) -> Iterator[None]:
    """Turn MLflow's errors into ours; its words are not repeated, they may hold inputs."""
    mlflow_error = _load_mlflow().exceptions.MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (mlflow_error, SQLAlchemyError) as error:
        code = getattr(error, "error_code", "")
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise RegistryError(f"the model registry lacks {what}: list what it has with `cxloop status`") from error
        if code == "INVALID_PARAMETER_VALUE":
            raise RegistryError(f"the model registry refused {what}: a name or value is not one it allows") from error
        if "database is locked" in str(error):
            raise RegistryError(f"the model registry's database is locked ({what}): run again in a moment") from error
        raise RegistryError(f"the model registry cannot be used ({what}): see that it runs, then run again") from error
    except OSError as error:
        full = "the disk is full; free some space" if error.errno == 28 else f"{type(error).__name__}"
        raise RegistryError(f"the model registry cannot read or write ({what}): {full}, then run again") from error
