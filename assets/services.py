"""The desk and the registry that a home's settings name."""

from assets.settings import MlflowSettings, Settings
from labeling.desk.desk import ReviewDesk
from labeling.errors import DeskUnavailable
from labeling.home import Home
from training.registry.registry import ModelRegistry


def label_studio_desk(home: Home, settings: Settings) -> ReviewDesk:
    """Return the Label Studio desk that the settings name, or the one that the command runs over this home.

    Raises:
        DeskUnavailable: the settings name none, and none runs.
    """
    from labeling.desk.label_studio import LabelStudioDesk
    from labeling.desk.server import find_server

    url = settings.services.label_studio.url or find_server(home.label_studio)
    if not url:
        raise DeskUnavailable("a running Label Studio is needed, found none over this home: start it with `cxloop up`")
    return LabelStudioDesk(url, home.secret("CXLOOP_LABEL_STUDIO_TOKEN"), project_title="cxloop")


def mlflow_registry(home: Home, mlflow: MlflowSettings) -> ModelRegistry:
    """Return the MLflow registry that ``mlflow`` names, or the one in this home."""
    from training.registry.mlflow_registry import MlflowRegistry

    if mlflow.tracking_uri:
        return MlflowRegistry(mlflow.tracking_uri, None)
    return MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts)
