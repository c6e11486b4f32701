"""What every process of these tests needs, imported once and then forked."""

from importlib import import_module

import tests.training.registry.stage  # noqa: F401
from training.registry.mlflow_registry import _load_mlflow

_load_mlflow()
import_module("mlflow.store.model_registry.sqlalchemy_store")
import_module("mlflow.store.tracking.sqlalchemy_store")
