"""Serve the reviewers' page: ``python -m serving.reviewers PORT``, the home being in CXLOOP_HOME.

``cxloop up`` starts it, and hands over the model registry's address in CXLOOP_MLFLOW_URI where the settings place it
elsewhere than in the home.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Final

from labeling.home import Home
from serving.reviewers import MLFLOW_URI, SECRET

_LOOPBACK: Final = "127.0.0.1"
_LOADING_SECONDS: Final = 15.0
"""MLflow's libraries take seconds to load: before the first page, not while somebody waits for it."""


def main() -> None:
    """Serve the page of CXLOOP_HOME on the port given, on loopback, until stopped."""
    import uvicorn

    from serving.reviewers.app import build_app
    from serving.reviewers.records import Records
    from training.registry.mlflow_registry import MlflowRegistry

    home = Home.from_environment()
    elsewhere = os.environ.get(MLFLOW_URI, "")
    registry = MlflowRegistry(elsewhere, None) if elsewhere else MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts)
    records = Records(home, registry, lambda: datetime.now(UTC))
    records.registered(seconds=_LOADING_SECONDS)
    app = build_app(records, home.secret(SECRET))
    uvicorn.run(app, host=_LOOPBACK, port=int(sys.argv[1]), log_level="warning", proxy_headers=False)


if __name__ == "__main__":
    main()
